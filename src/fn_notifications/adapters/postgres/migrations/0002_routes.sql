-- The ways out, as all processes see them. A handful of rows each: read whole, written when something turns.

DROP TABLE routes;

CREATE TABLE routes (
    pinned_until  timestamptz,
    demoted_since timestamptz,
    demoted_until timestamptz,
    filled_at     timestamptz,
    rate          double precision,
    level         double precision,
    demotions     integer NOT NULL DEFAULT 0,
    name          text    NOT NULL PRIMARY KEY,
    pin_reason    text,
    pinned_by     text
) WITH (fillfactor = 50);
COMMENT ON COLUMN routes.rate IS 'Calls a second, in all processes together';
COMMENT ON COLUMN routes.level IS 'Permits left at filled_at';

CREATE TABLE route_stops (
    since       timestamptz NOT NULL,
    until       timestamptz NOT NULL,
    probe_since timestamptz,
    probe_until timestamptz,
    span        interval    NOT NULL,
    times       integer     NOT NULL,
    probes      boolean     NOT NULL,
    what        text        NOT NULL PRIMARY KEY,
    scope       text        NOT NULL,
    code        text
) WITH (fillfactor = 50);
COMMENT ON TABLE route_stops IS 'What is shut: an account (twilio), a route (twilio/sms), a country on it (twilio/sms+49)';
COMMENT ON COLUMN route_stops.probes IS 'Ends by a call that finds it open; otherwise by itself';

CREATE TABLE holds (
    since  timestamptz NOT NULL,
    kind   text        NOT NULL,
    name   text        NOT NULL,
    reason text        NOT NULL,
    by     text        NOT NULL,
    PRIMARY KEY (kind, name)
);
COMMENT ON TABLE holds IS 'What an operator holds back. Share-locked when calls begin';

ALTER TABLE due ADD COLUMN held boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN due.held IS 'Deferred for a hold: a release makes it due at once';
CREATE INDEX due_held ON due (notification_id) WHERE held;
