"""What is constant for one mailing in one sender, and the letter it makes for each recipient."""

from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from itsdangerous import URLSafeSerializer
from sqlalchemy import select
from sqlalchemy.orm import Session

from crm import keyed
from crm.clinic.service import details
from crm.config import Settings
from crm.consent.rules import Channel, Purpose
from crm.consent.tokens import Right, Unsubscribe, mint_unsubscribe, signer
from crm.delivery.models import Mailing
from crm.delivery.window import Recipient
from crm.letters.compiled import CompiledLetter
from crm.letters.fill import Press
from crm.letters.merge import greeting
from crm.mail import verp
from crm.mail.dkim import Signer, signatures
from crm.mail.dkim_keys import load_signers
from crm.mail.message import Envelope
from crm.mail.smtp import Letter
from crm.safekeeping.handed import is_marked


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """All that a mailing's letters share, in one sender."""

    purpose: Purpose
    channel: Channel
    envelope: Envelope
    press: Press
    links: URLSafeSerializer
    settings: Settings
    host: str
    """The right-hand side of Message-IDs."""
    zone: ZoneInfo
    signers: tuple[Signer, ...] = ()
    """DKIM keys of the sender's domain."""
    is_marked: bool = False
    """Some of them left before the database was restored: ``safekeeping.handed`` knows which."""

    def letter(
        self, one: Recipient, address: str, *, at: datetime, eight_bit: bool = False
    ) -> Letter:
        """Return the letter to one recipient, in 8-bit if the relay takes that.

        Raises:
            HeaderFault: a name that may not stand in a letter; the fault is this recipient's.

        """
        body = self.press.print(
            self._values(one),
            to=address,
            message_id=f"{self._mark(one.delivery_id)}@{self.host}",
            date=at,
            eight_bit=eight_bit,
        )
        if self.signers:
            body = signatures(body, self.signers, at=at) + body
        return Letter(self._return_path(one.delivery_id), address, body, is_stuffed=True)

    def _mark(self, delivery_id: int) -> str:
        """Return the left-hand side of its Message-ID: the same at each try, and not to be guessed.

        The oldest key makes it, so that adding a key changes no letter already under way.
        """
        key = self.settings.secret_keys[-1].encode()
        return keyed.digest(key, b"message:%d" % delivery_id)[:16].hex()

    def _return_path(self, delivery_id: int) -> str:
        domain = self.envelope.bounce_domain
        if domain is None:
            return self.envelope.sender_address
        return verp.make(delivery_id, domain=domain, keys=self.settings.secret_keys)

    def _values(self, one: Recipient) -> dict[str, str]:
        way_out = Unsubscribe(one.address_id, Purpose.MARKETING, self.channel, one.delivery_id)
        token = mint_unsubscribe(self.links, way_out)
        return {
            "first_name": one.first_name,
            "greeting": _greeting(one.first_name, one.patronymic),
            "unsubscribe_url": f"{self.settings.public_url}/u/{token}",
            "consent_on": self._day(one.confirmed_at),
        }

    def _day(self, moment: datetime | None) -> str:
        return "—" if moment is None else _written(moment.astimezone(self.zone).date())


def prepare(session: Session, mailing_id: int, settings: Settings) -> Errand:
    """Read a mailing once and encode everything constant in it.

    Raises:
        KeyFault: a DKIM key of the sender's domain cannot be read.

    """
    mailing = session.execute(
        select(Mailing.purpose, Mailing.channel, Mailing.letter, Mailing.envelope).where(
            Mailing.id == mailing_id
        )
    ).one()
    envelope = Envelope.from_json(mailing.envelope)
    stored: dict[str, Any] = mailing.letter
    domain = envelope.sender_address.rpartition("@")[2].lower()
    return Errand(
        purpose=mailing.purpose,
        channel=mailing.channel,
        envelope=envelope,
        press=Press(CompiledLetter.from_json(stored), envelope),
        links=signer(Right.UNSUBSCRIBE, settings.secret_keys),
        settings=settings,
        host=settings.public_host,
        zone=ZoneInfo(details(session).zone),
        signers=tuple(load_signers(settings.state_dir / "dkim", domain)),
        is_marked=is_marked(session, mailing_id),
    )


@lru_cache(8192)
def _written(day: date) -> str:
    return f"{day.day:02}.{day.month:02}.{day.year}"


_greeting = lru_cache(8192)(greeting)
