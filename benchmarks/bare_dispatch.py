"""The yardstick of `dispatch`: what is stored goes out, by hand in one file, with nothing in between.

What it promises is what cannot be left away: an attempt is committed before its call, an outcome is committed with its
event, several processes may share the queue, and what one of them dropped can be found by its lease. Everything else
(consent under lock, retries, routes, circuits, metrics, history) is missing on purpose. It uses what the product uses,
psycopg and aiohttp on uvloop, as well as they can be used: one statement and one round trip per batch, each its own
transaction; one JSON parameter; look-ups that leave the planner no choice; inserts where an update would do.
"""

import argparse
import asyncio
import json
import signal
from collections.abc import Coroutine, Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson
import psycopg
import uvloop
from attrs import define, field

Connection = psycopg.AsyncConnection[tuple[Any, ...]]

SCHEMA: Final = """
CREATE TABLE contact (user_id text PRIMARY KEY, email text NOT NULL);
CREATE TABLE notification (
    id uuid PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT now(), user_id text NOT NULL, type text NOT NULL,
    variables json NOT NULL
);
CREATE TABLE delivery (
    id uuid PRIMARY KEY, due_at timestamptz NOT NULL DEFAULT now(), lease_until timestamptz,
    attempts integer NOT NULL DEFAULT 0, status text NOT NULL DEFAULT 'pending', user_id text NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX delivery_due ON delivery (due_at) WHERE status = 'pending';
CREATE TABLE attempt (
    id uuid, no integer, started_at timestamptz NOT NULL DEFAULT now(), route text NOT NULL, PRIMARY KEY (id, no)
);
CREATE TABLE outcome (
    id uuid, no integer, answered_at timestamptz NOT NULL DEFAULT now(), kind text NOT NULL, provider_id text,
    PRIMARY KEY (id, no)
);
CREATE TABLE event (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, topic text NOT NULL, key text NOT NULL, data json NOT NULL
);
"""

_CLAIM: Final = """
WITH taken AS (
    UPDATE delivery SET status = 'sending', attempts = attempts + 1, lease_until = now() + interval '2 minutes'
    WHERE id = ANY (ARRAY(
        SELECT id FROM delivery WHERE status = 'pending' AND due_at <= now()
        ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED))
    RETURNING id, attempts, user_id
), tried AS (
    INSERT INTO attempt (id, no, route) SELECT id, attempts, 'sendgrid/email' FROM taken
)
SELECT t.id::text, t.attempts, t.user_id, c.email, n.variables
FROM taken t
CROSS JOIN LATERAL (SELECT variables FROM notification n WHERE n.id = t.id LIMIT 1) AS n
CROSS JOIN LATERAL (SELECT email FROM contact c WHERE c.user_id = t.user_id LIMIT 1) AS c
"""

_ANSWER: Final = """
WITH said AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%s) AS i (id uuid, no integer, kind text, provider_id text, user_id text)
), answered AS (
    INSERT INTO outcome (id, no, kind, provider_id) SELECT id, no, kind, provider_id FROM said
), told AS (
    INSERT INTO event (topic, key, data)
    SELECT 'fn-notifications.notification.sent', user_id,
           json_build_object('delivery_id', id, 'attempt_no', no, 'status', kind, 'user_id', user_id, 'at', now())
    FROM said
)
UPDATE delivery SET status = 'sent', lease_until = NULL WHERE id = ANY (ARRAY(SELECT id FROM said))
"""

_BATCH: Final = 200
_LINGER: Final = 0.002
_IDLE: Final = 0.01


@define(kw_only=True)
class Dispatch:
    """Claims, calls and answers."""

    database: str
    url: str
    mail: dict[str, Any]
    calls: int
    _queue: asyncio.Queue[tuple[Any, ...]] = field(factory=asyncio.Queue, init=False)
    _open: int = field(default=0, init=False)
    """Claimed and not yet answered by the provider."""
    _room: asyncio.Event = field(factory=asyncio.Event, init=False)
    _answers: list[dict[str, Any]] = field(factory=list, init=False)
    _answered: asyncio.Event = field(factory=asyncio.Event, init=False)

    async def run(self) -> None:
        """Until cancelled."""
        connector = aiohttp.TCPConnector(limit=self.calls)
        headers = {"Authorization": "Bearer key", "Content-Type": "application/json", "Accept-Encoding": "identity"}
        async with (
            await connect(self.database) as claiming,
            await connect(self.database) as answering,
            aiohttp.ClientSession(connector=connector, headers=headers, cookie_jar=aiohttp.DummyCookieJar()) as session,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(self._claim(claiming))
            group.create_task(self._write(answering))
            for _ in range(self.calls):
                group.create_task(self._call(session))

    async def _claim(self, connection: Connection) -> None:
        while True:
            room = min(2 * self.calls - self._open, _BATCH)
            if room < self.calls // 2:
                self._room.clear()
                await self._room.wait()
                continue
            rows = await (await connection.execute(_CLAIM, (room,), prepare=True)).fetchall()
            self._open += len(rows)
            for row in rows:
                self._queue.put_nowait(row)
            if not rows:
                await asyncio.sleep(_IDLE)

    async def _call(self, session: aiohttp.ClientSession) -> None:
        while True:
            id_, no, user_id, email, variables = await self._queue.get()
            mail = mail_to(self.mail, f"{id_}-{no}", email, variables)
            body = orjson.dumps(mail)
            async with session.post(self.url, data=body) as response:
                await response.read()
                kind = "accepted" if response.status == 202 else "refused"
                provider_id = response.headers.get("X-Message-Id")
            said = {"id": id_, "no": no, "kind": kind, "provider_id": provider_id, "user_id": user_id}
            self._answers.append(said)
            self._open -= 1
            self._answered.set()
            self._room.set()

    async def _write(self, connection: Connection) -> None:
        while True:
            await self._answered.wait()
            if len(self._answers) < _BATCH:
                await asyncio.sleep(_LINGER)
            self._answered.clear()
            said, self._answers = self._answers, []
            await connection.execute(_ANSWER, (orjson.dumps(said).decode(),), prepare=True)


def mail_to(mail: dict[str, Any], attempt_id: str, email: str, variables: dict[str, str]) -> dict[str, Any]:
    """The mail/send request for one person: the common one, filled in."""
    item, place = variables["item"], variables["place"]
    subject, text, html = mail["subject"], *(each["value"] for each in mail["content"])
    return {
        **mail,
        "subject": subject.replace("=ITEM=", item),
        "content": [
            {"type": "text/plain", "value": text.replace("=ITEM=", item).replace("=PLACE=", place)},
            {"type": "text/html", "value": html.replace("=ITEM=", escape(item)).replace("=PLACE=", escape(place))},
        ],
        "personalizations": [{"to": [{"email": email}], "custom_args": {"attempt_id": attempt_id}}],
    }


async def connect(database: str) -> Connection:
    """A connection on which each statement is a transaction."""
    return await psycopg.AsyncConnection.connect(database, autocommit=True)


def prepare(database: str, users: Iterable[tuple[str, str]], stored: Sequence[tuple[str, str, dict[str, str]]]) -> None:
    """The schema, people (id, email), and deliveries that wait (id, user, variables); statistics fresh."""
    with psycopg.connect(database, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(SCHEMA)
        with cursor.copy("COPY contact FROM STDIN") as copy:
            for user in users:
                copy.write_row(user)
        with cursor.copy("COPY notification (id, user_id, type, variables) FROM STDIN") as copy:
            for id_, user_id, variables in stored:
                copy.write_row((id_, user_id, "post_confirmation", json.dumps(variables)))
        with cursor.copy("COPY delivery (id, user_id) FROM STDIN") as copy:
            for id_, user_id, _ in stored:
                copy.write_row((id_, user_id))
        cursor.execute("VACUUM ANALYZE")


def until_stopped(work: Coroutine[Any, Any, None]) -> None:
    """Run until SIGTERM."""

    async def run() -> None:
        task = asyncio.ensure_future(work)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        await asyncio.gather(task, return_exceptions=True)
        if not task.cancelled():
            task.result()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def arguments() -> argparse.ArgumentParser:
    """What every yardstick is told."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", required=True)
    parser.add_argument("--provider", required=True, help="base URL")
    parser.add_argument("--message", required=True, type=Path)
    parser.add_argument("--calls", required=True, type=int, help="on the wire at once")
    return parser


def dispatch_of(told: argparse.Namespace) -> Dispatch:
    """The dispatcher of these arguments."""
    mail = json.loads(told.message.read_text(encoding="utf-8"))
    return Dispatch(database=told.database, url=f"{told.provider}/v3/mail/send", mail=mail, calls=told.calls)


if __name__ == "__main__":
    until_stopped(dispatch_of(arguments().parse_args()).run())
