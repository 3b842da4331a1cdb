-- The first schema. Applied whole, in one transaction; never edited afterwards: a change is a new file.
-- No foreign key points into a partitioned table and no CHECK lists states: both would have to change under load.
-- Further indexes begin with what tells rows apart, not with the tenant: before there are statistics, one that shares
-- its first column with a primary key is taken in its place.

CREATE FUNCTION fn_now() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE AS 'SELECT clock_timestamp()';
COMMENT ON FUNCTION fn_now() IS
    'The only clock. Statements read it through (SELECT fn_now()), once each, so that an index can be used with it.';

-- People ---------------------------------------------------------------------------------------------------------

CREATE TABLE user_preferences (
    tenant    text   NOT NULL,
    user_id   text   NOT NULL,
    version   bigint NOT NULL,
    fields    jsonb  NOT NULL,
    addresses bytea,
    PRIMARY KEY (tenant, user_id)
) WITH (fillfactor = 80);
COMMENT ON COLUMN user_preferences.fields IS 'Name to [value, source, time]; everything but addresses';
COMMENT ON COLUMN user_preferences.addresses IS 'The same for fields that hold an address, sealed';

CREATE TABLE contact_points (
    consent_epoch        bigint  NOT NULL,
    suppressed_at        timestamptz,
    cap_count            integer,
    cap_window_s         integer,
    enabled              boolean,
    opt_in               boolean,
    respects_quiet_hours boolean,
    global_enabled       boolean NOT NULL,
    tenant               text    NOT NULL,
    user_id              text    NOT NULL,
    channel              text    NOT NULL,
    address              bytea,
    lookup               bytea,
    suppression_cause    text,
    recent               timestamptz[] NOT NULL,
    PRIMARY KEY (tenant, user_id, channel)
) WITH (fillfactor = 80);
COMMENT ON TABLE contact_points IS 'The one row that consent is read from, under lock, when a call starts';
COMMENT ON COLUMN contact_points.recent IS 'Times of the latest sends; kept only while there is a cap';
CREATE INDEX contact_points_of_address ON contact_points (lookup, channel, tenant) WHERE lookup IS NOT NULL;

CREATE TABLE suppressions (
    at      timestamptz NOT NULL,
    lifted  boolean     NOT NULL,
    tenant  text        NOT NULL,
    channel text        NOT NULL,
    lookup  bytea       NOT NULL,
    cause   text        NOT NULL,
    PRIMARY KEY (tenant, channel, lookup, cause)
);
COMMENT ON TABLE suppressions IS
    'The latest word per address and cause: a lift undoes its own cause only, in whatever order they arrive';

-- Intake ---------------------------------------------------------------------------------------------------------

CREATE TABLE event_identities (
    at       timestamptz NOT NULL,
    tenant   text        NOT NULL,
    identity bytea       NOT NULL,
    digest   bytea       NOT NULL,
    PRIMARY KEY (tenant, identity)
);

CREATE TABLE requests (
    notification_id uuid,
    duplicate_of    uuid,
    tenant          text  NOT NULL,
    identity        bytea NOT NULL,
    user_id         text  NOT NULL,
    type            text  NOT NULL,
    outcome         text  NOT NULL,
    decisions       jsonb NOT NULL,
    PRIMARY KEY (tenant, identity, user_id, type)
);
COMMENT ON COLUMN requests.decisions IS 'What the rules said: [channel, verdict, reason, until] each';
CREATE INDEX requests_repeating ON requests (duplicate_of, tenant) WHERE duplicate_of IS NOT NULL;

CREATE TABLE dedup_keys (
    seen    timestamptz NOT NULL,
    tenant  text        NOT NULL,
    user_id text        NOT NULL,
    type    text        NOT NULL,
    key     bytea       NOT NULL,
    kept    jsonb       NOT NULL,
    PRIMARY KEY (tenant, user_id, type, key)
) WITH (fillfactor = 90);
COMMENT ON COLUMN dedup_keys.kept IS 'Who holds the key: [event time, notification id] each';

CREATE TABLE intake (
    id           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    first_offset bigint      NOT NULL,
    last_offset  bigint      NOT NULL,
    at           timestamptz NOT NULL,
    partition    integer     NOT NULL,
    tenant       text        NOT NULL,
    topic        text        NOT NULL,
    counts       jsonb       NOT NULL
);
COMMENT ON TABLE intake IS 'One row per batch and partition: which offsets, and what became of their events';

CREATE TABLE dead_letters (
    id         bigint      GENERATED ALWAYS AS IDENTITY,
    "offset"   bigint      NOT NULL,
    at         timestamptz NOT NULL,
    written_at timestamptz NOT NULL,
    partition  integer     NOT NULL,
    tenant     text        NOT NULL,
    identity   bytea       NOT NULL,
    topic      text        NOT NULL,
    reason     text        NOT NULL,
    detail     text        NOT NULL,
    value      bytea       NOT NULL,
    envelope   bytea       NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, identity)
);
COMMENT ON COLUMN dead_letters.identity IS 'Of the record: the same one, taken in again, is the same letter';
COMMENT ON COLUMN dead_letters.value IS 'The bytes as they came, sealed';
COMMENT ON COLUMN dead_letters.envelope IS 'Key and headers, sealed';

-- History, by month of event time ----------------------------------------------------------------------------------

CREATE TABLE notifications (
    id             uuid        NOT NULL,
    event_at       timestamptz NOT NULL,
    created_at     timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,
    priority       smallint    NOT NULL,
    explicit       boolean     NOT NULL,
    tenant         text        NOT NULL,
    user_id        text        NOT NULL,
    type           text        NOT NULL,
    catalogue      text        NOT NULL,
    identity       bytea       NOT NULL,
    key            text,
    language       text,
    timezone       text,
    correlation_id text,
    sealed         bytea       NOT NULL,
    PRIMARY KEY (tenant, id)
) PARTITION BY RANGE (id);
COMMENT ON COLUMN notifications.sealed IS 'Variables and metadata, sealed';
CREATE INDEX notifications_of_user ON notifications (user_id, tenant, id);

CREATE TABLE deliveries (
    notification_id uuid        NOT NULL,
    due_at          timestamptz,
    expires_at      timestamptz NOT NULL,
    version         integer     NOT NULL,
    no              smallint    NOT NULL,
    resends         smallint    NOT NULL,
    tenant          text        NOT NULL,
    channel         text        NOT NULL,
    status          text        NOT NULL,
    rest            text        NOT NULL,
    reason          text,
    changes         jsonb,
    PRIMARY KEY (tenant, notification_id, no)
) PARTITION BY RANGE (notification_id);
COMMENT ON COLUMN deliveries.changes IS 'Second thoughts of the rules: [time, event, reason, until] each';

CREATE TABLE attempts (
    notification_id uuid        NOT NULL,
    started_at      timestamptz NOT NULL,
    answered_at     timestamptz,
    epoch           bigint      NOT NULL,
    delivery_no     smallint    NOT NULL,
    no              smallint    NOT NULL,
    evidence        smallint    NOT NULL,
    tenant          text        NOT NULL,
    id              text,
    route           text        NOT NULL,
    scope           text,
    code            text,
    provider_id     text,
    digest          text,
    PRIMARY KEY (tenant, notification_id, delivery_no, no)
) PARTITION BY RANGE (notification_id);
COMMENT ON COLUMN attempts.id IS 'NULL: made from the key, as ids of attempts are';
COMMENT ON COLUMN attempts.epoch IS 'The consent epoch that was read under lock when this attempt was allowed';

CREATE TABLE receipts (
    notification_id uuid        NOT NULL,
    at              timestamptz NOT NULL,
    received_at     timestamptz NOT NULL,
    look_at         timestamptz,
    delivery_no     smallint,
    attempt_no      smallint,
    hard            boolean     NOT NULL,
    applied         boolean     NOT NULL,
    tenant          text        NOT NULL,
    key             bytea       NOT NULL,
    provider        text        NOT NULL,
    provider_key    text        NOT NULL,
    kind            text        NOT NULL,
    attempt_id      text,
    provider_id     text,
    channel         text,
    code            text,
    address         bytea,
    PRIMARY KEY (tenant, notification_id, key)
) PARTITION BY RANGE (notification_id);
COMMENT ON COLUMN receipts.look_at IS 'When it wants to be looked at next; NULL when it was applied, or given up';
COMMENT ON COLUMN receipts.notification_id IS 'As its attempt says; the nil UUID when it names none of ours';
COMMENT ON COLUMN receipts.attempt_id IS 'What it names instead';
CREATE INDEX receipts_waiting ON receipts (look_at) WHERE look_at IS NOT NULL;

-- The queue ------------------------------------------------------------------------------------------------------

CREATE SEQUENCE lease_token;
COMMENT ON SEQUENCE lease_token IS
    'One for all: a lease is newer than another by its token, even when the row was gone and came back in between';

CREATE TABLE due (
    notification_id uuid        NOT NULL,
    rank            bigint      NOT NULL,
    due_at          timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    lease_until     timestamptz,
    token           bigint      NOT NULL DEFAULT 0,
    no              smallint    NOT NULL,
    priority        smallint    NOT NULL,
    ready           boolean     NOT NULL,
    awaits_contact  boolean     NOT NULL,
    tenant          text        NOT NULL,
    user_id         text        NOT NULL,
    channel         text        NOT NULL,
    status          text        NOT NULL,
    worker          text,
    PRIMARY KEY (tenant, notification_id, no)
) WITH (
    -- Every row changes several times and goes: dead rows are cleared early and fast, or claims walk over them.
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 500,
    autovacuum_analyze_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_cost_limit = 10000
);
COMMENT ON TABLE due IS 'One row per open delivery; gone when it is settled';
COMMENT ON COLUMN due.ready IS 'May be claimed now. Leased rows are not ready: they come back when the lease runs out';
CREATE INDEX due_ready ON due (channel, priority, rank, due_at) WHERE ready;
CREATE INDEX due_asleep ON due (status, coalesce(lease_until, due_at)) WHERE NOT ready;
CREATE INDEX due_of_user ON due (user_id, channel, tenant);

-- The event log, by day --------------------------------------------------------------------------------------------

CREATE SEQUENCE event_log_position;
CREATE TABLE event_log (
    position bigint      NOT NULL DEFAULT nextval('event_log_position'),
    after    bigint      NOT NULL DEFAULT greatest(
        pg_current_xact_id()::text::bigint,
        pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1
    ),
    at       timestamptz NOT NULL,
    shard    smallint    NOT NULL,
    id       text        NOT NULL,
    topic    text        NOT NULL,
    key      text        NOT NULL,
    data     jsonb       NOT NULL,
    PRIMARY KEY (shard, after, position, at)
) PARTITION BY RANGE (at);
COMMENT ON COLUMN event_log.after IS
    'The newest transaction that may be part of what this entry follows: its own, or the last to end before it was '
    'written. An entry may be read once every transaction up to here has ended; two entries of one delivery, which '
    'its row lock puts in order, are in order by (after, position)';

CREATE TABLE event_log_shards (
    lease_until    timestamptz NOT NULL DEFAULT '-infinity',
    after          bigint      NOT NULL DEFAULT 0,
    position       bigint      NOT NULL DEFAULT 0,
    taken_after    bigint      NOT NULL DEFAULT 0,
    taken_position bigint      NOT NULL DEFAULT 0,
    shard          smallint    NOT NULL PRIMARY KEY,
    reader         text
) WITH (fillfactor = 50);
COMMENT ON TABLE event_log_shards IS 'Who reads a shard, how far it is published, and how far it was last taken';
INSERT INTO event_log_shards (shard) SELECT generate_series(0, 15);

-- Routes ---------------------------------------------------------------------------------------------------------

CREATE TABLE routes (
    version         bigint NOT NULL DEFAULT 0,
    open_until      timestamptz,
    throttled_until timestamptz,
    probe           bigint,
    held            boolean NOT NULL DEFAULT false,
    name            text NOT NULL,
    channel         text NOT NULL,
    pinned          text,
    PRIMARY KEY (name, channel)
);
COMMENT ON TABLE routes IS 'One row per provider account and channel; written when a state changes, read by claims';

-- What no partition holds; the others are made ahead of time (see partitions.py).

CREATE TABLE notifications_default PARTITION OF notifications DEFAULT;
CREATE TABLE deliveries_default PARTITION OF deliveries DEFAULT WITH (fillfactor = 80);
CREATE TABLE attempts_default PARTITION OF attempts DEFAULT WITH (fillfactor = 80);
CREATE TABLE receipts_default PARTITION OF receipts DEFAULT WITH (fillfactor = 80);
CREATE TABLE event_log_default PARTITION OF event_log DEFAULT;
