"""The relays of SMTP_URL with what is declared of each, and declaring."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.audit.service import note
from crm.config import Settings
from crm.errors import NotFound
from crm.mail.smtp import Relay
from crm.relays.models import RelayDeclaration
from crm.relays.rules import Bond, Refusal, is_this_machine, name_of, refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A relay, what is declared of it, and whether it may be given letters."""

    relay: Relay
    declaration: RelayDeclaration | None
    refusal: Refusal | None

    @property
    def name(self) -> str:
        return name_of(self.relay)

    @property
    def is_this_machine(self) -> bool:
        return is_this_machine(self.relay)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaring:
    """What is being declared of a relay."""

    owner: str
    country: str
    bond: Bond
    contract: str
    contract_on: date | None
    note: str


def relays_of(settings: Settings) -> list[Relay]:
    """Return the relays of SMTP_URL, the preferred first.

    Raises: ValueError where a URL cannot be read, with a sentence that never holds a password.
    """
    return [Relay.from_url(url) for url in settings.relay_urls]


def standings(session: Session, settings: Settings) -> list[Standing]:
    """Return the relays of SMTP_URL with what is declared of each. Raises as ``relays_of``."""
    relays = relays_of(settings)
    query = select(RelayDeclaration).order_by(RelayDeclaration.id)
    newest = {one.relay: one for one in session.scalars(query)}
    return [_standing(relay, newest.get(name_of(relay))) for relay in relays]


def usable(session: Session, settings: Settings) -> list[Relay]:
    """Return the relays that may be given letters now, the preferred first.

    Where there is none, ``rules.NONE_MAY_SEND`` says so. Raises as ``relays_of``.
    """
    return [one.relay for one in standings(session, settings) if one.refusal is None]


def standing(session: Session, settings: Settings, name: str) -> Standing:
    """Return one relay of SMTP_URL. Raises NotFound where no URL that can be read names it."""
    try:
        known = {one.name: one for one in standings(session, settings)}
    except ValueError as error:
        raise NotFound("relay") from error
    if name not in known:
        raise NotFound("relay")
    return known[name]


def history(session: Session, name: str) -> Sequence[RelayDeclaration]:
    """Return everything ever declared of a relay, the newest first."""
    query = select(RelayDeclaration).where(RelayDeclaration.relay == name)
    return session.scalars(query.order_by(RelayDeclaration.id.desc())).all()


def declare(
    session: Session, name: str, wanted: Declaring, *, at: datetime, by: int
) -> RelayDeclaration | None:
    """Write down what is declared of a relay from now on; None where it is nothing new."""
    before = next(iter(history(session, name)), None)
    if before is not None and _said(before) == wanted:
        return None
    made = RelayDeclaration(
        relay=name,
        owner=wanted.owner,
        country=wanted.country,
        bond=wanted.bond,
        contract=wanted.contract,
        contract_on=wanted.contract_on,
        note=wanted.note,
        declared_at=at,
        declared_by=by,
    )
    session.add(made)
    session.flush()
    note(session, "relay.declared", at=at, actor_id=by, subject="relay", subject_id=made.id)
    session.flush()
    return made


def _standing(relay: Relay, declaration: RelayDeclaration | None) -> Standing:
    return Standing(relay=relay, declaration=declaration, refusal=refusal(relay, declaration))


def _said(declaration: RelayDeclaration) -> Declaring:
    return Declaring(
        owner=declaration.owner,
        country=declaration.country,
        bond=declaration.bond,
        contract=declaration.contract,
        contract_on=declaration.contract_on,
        note=declaration.note,
    )
