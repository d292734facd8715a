"""The naive design: a Celery task a letter, ORM, Jinja, EmailMessage, a new connection each.

``celery -A bench.peers.naive worker -Q naive``; LETTER names the file with the templates.
"""

import json
import os
import smtplib
from datetime import UTC, date, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from celery import Celery
from jinja2 import Environment, Template
from sqlalchemy import BigInteger, Engine, MetaData, create_engine, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

QUEUE = "naive"

app = Celery("naive", broker=os.environ.get("REDIS_URL"))
app.conf.update(
    broker_connection_retry_on_startup=True,
    task_acks_late=True,
    task_default_queue=QUEUE,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
)


class Base(DeclarativeBase):
    """Tables of this design, in a schema of their own."""

    metadata = MetaData(schema="naive")


class Contact(Base):
    __tablename__ = "contacts"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    email: Mapped[str]
    first_name: Mapped[str]
    last_visit: Mapped[date]


class Consent(Base):
    __tablename__ = "consents"

    contact_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    is_given: Mapped[bool]


class Delivery(Base):
    __tablename__ = "deliveries"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    contact_id: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(default="queued")
    sent_at: Mapped[datetime | None]
    reply: Mapped[str | None]


@app.task
def send_one(delivery_id: int) -> None:
    """Send one letter, if its recipient still consents, and write down that it went."""
    with Session(_engine()) as session:
        delivery = session.get_one(Delivery, delivery_id)
        contact = session.get_one(Contact, delivery.contact_id)
        consent = session.get(Consent, contact.id)
        if consent is None or not consent.is_given:
            delivery.state = "withheld"
            session.commit()
            return
        relay = urlsplit(os.environ["SMTP_URL"])
        with smtplib.SMTP(relay.hostname or "", relay.port or 25, local_hostname="bench") as smtp:
            smtp.send_message(_message(contact, delivery.id))
        delivery.state, delivery.reply = "sent", "250"
        delivery.sent_at = datetime.now(UTC)
        session.commit()


def make(url: str, *, letters: int) -> None:
    """Make the tables with one delivery to each of ``letters`` people, anew."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA IF EXISTS naive CASCADE"))
        connection.execute(text("CREATE SCHEMA naive"))
        Base.metadata.create_all(connection)
        for statement in _FILL:
            connection.execute(text(statement), {"letters": letters})
    engine.dispose()


_FILL = (
    "INSERT INTO naive.contacts SELECT n, 'person' || n || '@mail.example', 'Анна', '2026-03-12'"
    " FROM generate_series(1, :letters) n",
    "INSERT INTO naive.consents SELECT n, true FROM generate_series(1, :letters) n",
    "INSERT INTO naive.deliveries SELECT n, n, 'queued' FROM generate_series(1, :letters) n",
    "ANALYZE",
)


def _message(contact: Contact, delivery_id: int) -> EmailMessage:
    way_out = f"https://crm.clinic.example/u/{contact.id:064x}"
    values = {
        "first_name": contact.first_name,
        "greeting": f"Здравствуйте, {contact.first_name}!",
        "consent_on": f"{contact.last_visit:%d.%m.%Y}",
        "unsubscribe_url": way_out,
    }
    parts = {name: template.render(values) for name, template in _templates().items()}
    message = EmailMessage(policy=SMTP)
    message["From"] = "Клиника «Север» <news@clinic.example>"
    message["To"] = contact.email
    message["Subject"] = parts["subject"]
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{delivery_id}.42@clinic.example>"
    message["List-Unsubscribe"] = f"<{way_out}>"
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(parts["text"])
    message.add_alternative(parts["html"], subtype="html")
    return message


@cache
def _engine() -> Engine:
    return create_engine(os.environ["DATABASE_URL"])


@cache
def _templates() -> dict[str, Template]:
    sources: dict[str, str] = json.loads(Path(os.environ["LETTER"]).read_text())
    return {
        name: Environment(autoescape=name == "html").from_string(source)  # noqa: S701 - only HTML
        for name, source in sources.items()
    }
