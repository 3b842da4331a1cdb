-- Every event of a delivery is a row of the log, and what an intake makes is counted where the intake is.

CREATE FUNCTION fn_day(id uuid) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
    $$SELECT ((('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint) / 86400000)::integer$$;
COMMENT ON FUNCTION fn_day IS 'The day of an id''s event, counted from 1970-01-01 (UTC)';

-- The log ----------------------------------------------------------------------------------------------------------
-- In this order the new columns stand without gaps behind the shard; those that are NULL take no room.

ALTER TABLE event_log
    ADD COLUMN no              smallint,
    ADD COLUMN version         integer,
    ADD COLUMN attempts        smallint,
    ADD COLUMN notification_id uuid,
    ADD COLUMN tenant          text,
    ADD COLUMN status          text,
    ALTER COLUMN id DROP NOT NULL,
    ALTER COLUMN topic DROP NOT NULL,
    ALTER COLUMN key DROP NOT NULL,
    ALTER COLUMN data DROP NOT NULL;
COMMENT ON COLUMN event_log.id IS 'NULL for a delivery''s: made from its key and version';
COMMENT ON COLUMN event_log.topic IS 'NULL: kept for the ledger, not published';
COMMENT ON COLUMN event_log.attempts IS 'How many the delivery has from this event on';
COMMENT ON COLUMN event_log.data IS 'Of what is published, that which no column says';

-- Nobody looks for the others by their place: a relay walks over what it publishes and nothing else.
CREATE INDEX event_log_outward ON event_log (shard, after, position) WHERE topic IS NOT NULL;
ALTER TABLE event_log DROP CONSTRAINT event_log_pkey;

-- The ledger -------------------------------------------------------------------------------------------------------

ALTER TABLE intake
    ADD COLUMN events       integer,
    ADD COLUMN identities   integer,
    ADD COLUMN dead_letters integer,
    ADD COLUMN held         integer,
    ADD COLUMN made         jsonb,
    ADD COLUMN folded       boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN intake.events IS 'How many came in: the sum of counts, counted apart';
COMMENT ON COLUMN intake.identities IS 'Of new events';
COMMENT ON COLUMN intake.made IS
    'Day of event time (see fn_day) to [notifications, deliveries, recorded repetitions] that were stored';
COMMENT ON COLUMN intake.folded IS 'One for all of a day and partition';
CREATE INDEX event_identities_at ON event_identities (at);
CREATE INDEX dedup_keys_seen ON dedup_keys (seen);
CREATE INDEX dead_letters_at ON dead_letters (at);
CREATE INDEX quarantine_settled ON quarantine (held_at) WHERE outcome IS NOT NULL;

CREATE TABLE archived (
    amount bigint  NOT NULL,
    day    integer NOT NULL,
    tenant text    NOT NULL,
    what   text    NOT NULL,
    PRIMARY KEY (tenant, what, day)
);
COMMENT ON TABLE archived IS 'How many rows of each day were thrown away, written by whoever did';

CREATE TABLE reported (
    amount bigint   NOT NULL,
    day    integer  NOT NULL,
    part   smallint NOT NULL,
    tenant text     NOT NULL,
    PRIMARY KEY (tenant, day, part)
) WITH (fillfactor = 50);
COMMENT ON TABLE reported IS 'How many reports came in, by the day of event time of what they are about';
COMMENT ON COLUMN reported.part IS 'Those who count at once count in rows of their own';

CREATE TABLE horizons (
    day  integer NOT NULL,
    what text    NOT NULL PRIMARY KEY
);
COMMENT ON TABLE horizons IS 'From which day on something is whole: history, the event log, what intakes say of events';
INSERT INTO horizons (what, day)
SELECT what, CASE WHEN what <> 'history' AND (EXISTS (SELECT FROM intake) OR EXISTS (SELECT FROM deliveries))
                  THEN extract(epoch FROM fn_now())::bigint / 86400 + 1 ELSE 0 END
FROM (VALUES ('history'), ('event_log'), ('intake')) AS h (what);

-- What history holds from before anybody counted is the opening balance: one intake.
WITH days AS (
    SELECT tenant, fn_day(id) AS day, count(*) AS notifications, 0 AS deliveries, 0 AS repeats
    FROM notifications GROUP BY 1, 2
    UNION ALL
    SELECT tenant, fn_day(notification_id), 0, count(*), 0 FROM deliveries GROUP BY 1, 2
    UNION ALL
    SELECT tenant, fn_day(duplicate_of), 0, 0, count(*) FROM requests WHERE duplicate_of IS NOT NULL GROUP BY 1, 2
), sums AS (
    SELECT tenant, day, jsonb_build_array(sum(notifications), sum(deliveries), sum(repeats)) AS made
    FROM days GROUP BY 1, 2
)
INSERT INTO intake (tenant, topic, partition, first_offset, last_offset, at, counts, events, identities, dead_letters,
                    made)
SELECT tenant, 'opening balance', 0, 0, 0, fn_now(), '{}', 0, 0, 0, jsonb_object_agg(day, made)
FROM sums GROUP BY tenant;
INSERT INTO reported (tenant, day, part, amount)
SELECT tenant, fn_day(notification_id), 0, count(*) FROM receipts GROUP BY 1, 2;
