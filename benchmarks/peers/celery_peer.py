"""Celery on Redis, two prefork workers, SQLAlchemy, and the vendor's SDK: what most people would build."""

# mypy: disable-error-code="import-not-found,untyped-decorator"
# Its libraries are installed beside it, not here.

import json
import os
import sys
from pathlib import Path

from celery import Celery
from sendgrid import SendGridAPIClient
from sendgrid.helpers.mail import CustomArg, Mail
from sqlalchemy import create_engine, text

from benchmarks.bare_dispatch import mail_to

_LOAD = text("SELECT c.email, n.variables FROM notification n JOIN contact c USING (user_id) WHERE n.id = :id")
_STORE = text("INSERT INTO outcome (id, no, kind) VALUES (:id, 1, :kind)")

app = Celery("celery_peer", broker=os.environ["REDIS"])
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=4)
engine = create_engine(os.environ["DATABASE"].replace("postgresql://", "postgresql+psycopg://"))
message = json.loads(Path(os.environ["MESSAGE"]).read_text(encoding="utf-8"))
client = SendGridAPIClient("key", host=os.environ["PROVIDER"])


@app.task(name="send")
def send(id_: str) -> None:
    """One delivery."""
    with engine.connect() as connection:
        email, variables = connection.execute(_LOAD, {"id": id_}).one()
    filled = mail_to(message, f"{id_}-1", email, variables)
    mail = Mail(
        from_email=filled["from"]["email"],
        to_emails=email,
        subject=filled["subject"],
        plain_text_content=filled["content"][0]["value"],
        html_content=filled["content"][1]["value"],
    )
    mail.add_custom_arg(CustomArg("attempt_id", f"{id_}-1"))
    response = client.send(mail)
    with engine.begin() as connection:
        connection.execute(_STORE, {"id": id_, "kind": "accepted" if response.status_code == 202 else "refused"})


if __name__ == "__main__":
    if sys.argv[1] == "prepare":
        with engine.connect() as reading:
            for (one,) in reading.execute(text("SELECT id::text FROM delivery")):
                send.delay(one)
        engine.dispose()
    else:
        app.worker_main(["worker", "--pool=prefork", "--concurrency=2", "--loglevel=warning"])
