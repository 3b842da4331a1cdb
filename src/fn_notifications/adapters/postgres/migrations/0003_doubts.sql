-- A provider that never reports is not waited for: a doubt about it has no grace.

CREATE TABLE reporters (
    first_at timestamptz NOT NULL,
    tenant   text        NOT NULL,
    provider text        NOT NULL,
    PRIMARY KEY (tenant, provider)
);
COMMENT ON TABLE reporters IS 'Provider accounts that ever sent a verified report, whatever history was pruned since';
INSERT INTO reporters (tenant, provider, first_at)
SELECT tenant, provider, min(received_at) FROM receipts GROUP BY tenant, provider;

COMMENT ON TABLE due IS 'One row per delivery with a next wake-up (open, or sent and to be asked about) or a lease';
COMMENT ON COLUMN deliveries.changes IS 'Second thoughts and late answers: [time, event, reason, until, text] each';
