"""Triggers that write down, in the transaction itself, what the judge compares afterwards.

The service knows nothing of them. They stand in the campaign's own database, beside its schema.
"""

from typing import Final

WITNESS: Final = """
CREATE TABLE seen_consent (
    at timestamptz DEFAULT clock_timestamp(), user_id text, channel text, epoch bigint, allowed boolean);
CREATE TABLE seen_attempts (
    notification_id uuid, delivery_no smallint, no smallint, worker text, epoch bigint, epoch_then bigint);
CREATE TABLE seen_doubts (
    at timestamptz DEFAULT clock_timestamp(), notification_id uuid, delivery_no smallint, no smallint, code text);

CREATE FUNCTION see_consent() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO seen_consent (user_id, channel, epoch, allowed) VALUES (
        NEW.user_id, NEW.channel, NEW.consent_epoch,
        NEW.global_enabled AND NEW.suppression_cause IS NULL
        AND coalesce(NEW.enabled, NEW.channel <> 'whatsapp')
        AND (NEW.channel <> 'whatsapp' OR coalesce(NEW.opt_in, false)));
    RETURN NULL;
END $$;
CREATE TRIGGER see_consent AFTER INSERT OR UPDATE ON contact_points FOR EACH ROW EXECUTE FUNCTION see_consent();

CREATE FUNCTION see_attempt() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO seen_attempts
    SELECT NEW.notification_id, NEW.delivery_no, NEW.no, q.worker, NEW.epoch, p.consent_epoch
    FROM due q
    LEFT JOIN contact_points p ON (p.tenant, p.user_id, p.channel) = (q.tenant, q.user_id, q.channel)
    WHERE q.tenant = NEW.tenant AND q.notification_id = NEW.notification_id AND q.no = NEW.delivery_no;
    RETURN NULL;
END $$;
CREATE TRIGGER see_attempt AFTER INSERT ON attempts FOR EACH ROW EXECUTE FUNCTION see_attempt();

CREATE FUNCTION see_doubt() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO seen_doubts (notification_id, delivery_no, no, code)
    VALUES (NEW.notification_id, NEW.delivery_no, NEW.no, NEW.code);
    RETURN NULL;
END $$;
CREATE TRIGGER see_doubt AFTER INSERT OR UPDATE ON attempts
    FOR EACH ROW WHEN (NEW.evidence = 1) EXECUTE FUNCTION see_doubt();
"""
"""Evidence 1 is `Evidence.IN_DOUBT`. `epoch_then` is the epoch that was in force when the attempt was written: it
differs from the attempt's own where the contact point was not locked."""
