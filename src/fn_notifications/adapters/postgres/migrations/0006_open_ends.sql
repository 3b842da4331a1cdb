-- Everything ends: what waits past its time, and the calls of workers that died while another attempt arrived.

CREATE INDEX due_expiring ON due (expires_at) WHERE status = 'pending';

COMMENT ON TABLE due IS
    'One row per delivery with a next wake-up (open, or sent and to be asked about) or a lease on a call. What is '
    'delivered stands here while the call of another attempt is on the wire';

-- Nobody holds a lease on these calls any more, or whoever does will still say what they came to.
UPDATE attempts a SET evidence = 1, code = 'worker_lost', answered_at = fn_now()
FROM deliveries d
WHERE a.evidence = 0 AND d.status = 'delivered'
  AND d.tenant = a.tenant AND d.notification_id = a.notification_id AND d.no = a.delivery_no;
