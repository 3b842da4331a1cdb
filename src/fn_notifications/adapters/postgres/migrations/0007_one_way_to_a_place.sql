-- A place in the queue is found by its key. While nothing that died can be cleared away the table looks empty, and any
-- other index with a part of the key in it looks as good, though all that ever passed stands in it.

DROP INDEX due_of_user;
CREATE INDEX due_of_user ON due (user_id, channel, priority, rank);
DROP INDEX due_awaiting;
CREATE INDEX due_awaiting ON due (user_id, channel) WHERE awaits_contact;
