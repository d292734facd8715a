"""What is constant for one mailing in one sender, and the letter it makes for each recipient."""

import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from itsdangerous import URLSafeSerializer
from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.clinic.service import details
from crm.config import Settings
from crm.consent.rules import Channel, Purpose
from crm.consent.tokens import Right, Unsubscribe, mint_unsubscribe, signer
from crm.delivery.lease import Work
from crm.delivery.models import Mailing
from crm.delivery.window import Recipient
from crm.letters.compiled import CompiledLetter
from crm.letters.fill import Press
from crm.letters.merge import greeting
from crm.mail.message import Envelope
from crm.mail.smtp import Letter


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """A lease, and all that its mailing's letters share."""

    work: Work
    purpose: Purpose
    channel: Channel
    envelope: Envelope
    press: Press
    signer: URLSafeSerializer
    settings: Settings
    zone: ZoneInfo

    def letter(self, one: Recipient, address: str, *, at: datetime) -> Letter:
        """Return the letter to one recipient.

        Raises:
            HeaderFault: a name that may not stand in a letter; the fault is this recipient's.

        """
        body = self.press.print(
            self._values(one),
            to=address,
            message_id=message_id(one.delivery_id, self.settings),
            date=at,
        )
        return Letter(sender=self.envelope.sender_address, recipient=address, body=body)

    def _values(self, one: Recipient) -> dict[str, str]:
        token = mint_unsubscribe(
            self.signer,
            Unsubscribe(one.address_id, Purpose.MARKETING, self.channel, one.delivery_id),
        )
        confirmed = one.confirmed_at
        return {
            "first_name": one.first_name,
            "greeting": greeting(one.first_name, one.patronymic),
            "unsubscribe_url": f"{self.settings.public_url}/u/{token}",
            "consent_on": f"{confirmed.astimezone(self.zone):%d.%m.%Y}" if confirmed else "—",
        }


def prepare(session: Session, work: Work, settings: Settings) -> Errand:
    """Read a mailing once and encode everything constant in it."""
    mailing = session.execute(
        select(Mailing.purpose, Mailing.channel, Mailing.letter, Mailing.envelope).where(
            Mailing.id == work.mailing_id
        )
    ).one()
    envelope = Envelope.from_json(mailing.envelope)
    stored: dict[str, Any] = mailing.letter
    return Errand(
        work=work,
        purpose=mailing.purpose,
        channel=mailing.channel,
        envelope=envelope,
        press=Press(CompiledLetter.from_json(stored), envelope),
        signer=signer(Right.UNSUBSCRIBE, settings.secret_keys),
        settings=settings,
        zone=ZoneInfo(details(session).zone),
    )


def message_id(delivery_id: int, settings: Settings) -> str:
    """Return the Message-ID of a delivery: the same at each try, and not to be guessed.

    The oldest key makes it, so that adding a key changes no letter already under way.
    """
    key = settings.secret_keys[-1].encode()
    mark = hmac.digest(key, f"message:{delivery_id}".encode(), "sha256")[:16].hex()
    return f"{mark}@{settings.public_host}"
