-- Events held for an operator, what is counted to tell whether to, and the turns that ranks are given by.

CREATE TABLE quarantine (
    id         bigint      GENERATED ALWAYS AS IDENTITY,
    "offset"   bigint      NOT NULL,
    event_at   timestamptz NOT NULL,
    held_at    timestamptz NOT NULL,
    written_at timestamptz NOT NULL,
    settled_at timestamptz,
    partition  integer     NOT NULL,
    tenant     text        NOT NULL,
    identity   bytea       NOT NULL,
    user_id    text        NOT NULL,
    type       text        NOT NULL,
    reason     text        NOT NULL,
    outcome    text,
    topic      text        NOT NULL,
    value      bytea,
    envelope   bytea,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, identity, user_id, type)
);
COMMENT ON TABLE quarantine IS 'What an event means for one person, kept instead of being said';
COMMENT ON COLUMN quarantine.outcome IS 'What became of it; NULL while it is held';
COMMENT ON COLUMN quarantine.value IS 'The event''s bytes as they came, sealed; gone with the hold';
CREATE INDEX quarantine_held ON quarantine (event_at, id) WHERE outcome IS NULL;

CREATE TABLE received (
    seen    timestamptz   NOT NULL,
    tenant  text          NOT NULL,
    user_id text          NOT NULL,
    type    text          NOT NULL,
    recent  timestamptz[] NOT NULL,
    PRIMARY KEY (tenant, user_id, type)
) WITH (fillfactor = 80);
COMMENT ON TABLE received IS 'When a person was last told something of a type: never more times than its limit';

CREATE TABLE volumes (
    hour   timestamptz NOT NULL,
    amount bigint      NOT NULL,
    tenant text        NOT NULL,
    type   text        NOT NULL,
    recent bigint[]    NOT NULL,
    PRIMARY KEY (tenant, type)
) WITH (fillfactor = 50);
COMMENT ON TABLE volumes IS 'How many of a type were asked for in an hour, and in those before it, the newest first';

CREATE TABLE turns (
    last     bigint   NOT NULL,
    furthest bigint   NOT NULL,
    priority smallint NOT NULL,
    channel  text     NOT NULL,
    tenant   text     NOT NULL,
    type     text     NOT NULL,
    PRIMARY KEY (channel, priority, tenant, type)
) WITH (fillfactor = 50);
COMMENT ON TABLE turns IS 'How far each type has got in a lane: its last turn, and the highest rank it ever had';

-- The last of a person's messages is found without reading the others, however many there are.
DROP INDEX due_of_user;
CREATE INDEX due_of_user ON due (user_id, channel, tenant, priority, rank);
CREATE INDEX due_awaiting ON due (user_id, channel, tenant) WHERE awaits_contact;

ALTER TABLE dead_letters ADD COLUMN replayed_at timestamptz;
