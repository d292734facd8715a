"""Loading the demo into an empty database: all of it, or nothing."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from crm.appointments.models import RequestKind
from crm.audit import seal
from crm.campaigns.models import Campaign
from crm.config import LOOPBACK, Settings
from crm.consent.models import ConsentText
from crm.consent.refold import LOGS
from crm.contacts.models import Contact
from crm.demo import mailings, rows
from crm.demo.clinic import TERM_MONTHS, open_clinic
from crm.demo.desk import put_requests
from crm.demo.histories import Era, tell
from crm.demo.notices import put_notices
from crm.demo.people import gather
from crm.demo.reception import receive
from crm.demo.texts import OPENED, publish_all
from crm.demo.world import World
from crm.errors import WrongState
from crm.intake.models import Form
from crm.staff import service as staff
from crm.staff.models import RoleName, Staff

SEED: Final = 1703
"""The same people every time; only the dates move with the day of loading."""
FORMS: Final = (
    ("appointment", RequestKind.APPOINTMENT, "Запись на приём", "Make an appointment"),
    ("question", RequestKind.QUESTION, "Задать вопрос", "Ask a question"),
)
TEAM: Final = (
    (RoleName.ADMIN, "Анна Игоревна Лаврентьева"),
    (RoleName.MARKETER, "Мария Сергеевна Белозёрова"),
    (RoleName.RECEPTIONIST, "Ольга Павловна Щукина"),
    (RoleName.DPO, "Вера Львовна Одинцова"),
)
_BLOCKED: Final = 3


class NotEmpty(WrongState):
    """There is something in the database already."""

    say = "The demo is loaded into an empty database only, and this one holds data already."


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """How one member of the demo's staff signs in. Shown once; the database keeps a hash."""

    role: RoleName
    name: str
    email: str
    password: str


def is_development(settings: Settings) -> bool:
    """Return whether only this machine can reach us, so that passwords may be known to all."""
    return urlsplit(settings.public_url).hostname in LOOPBACK


def is_empty(session: Session) -> bool:
    """Return whether nobody works here yet and nothing was said."""
    return not any(
        session.scalar(select(exists().select_from(model)))
        for model in (Staff, Contact, Form, Campaign, ConsentText)
    )


def load(
    session: Session, *, origins: Iterable[str], settings: Settings, at: datetime
) -> list[SignIn]:
    """Fill an empty database and return the sign-ins.

    On a loopback address the passwords are fixed and memorable, elsewhere random.

    Args:
        session: flushed, not committed.
        origins: of the pages that may embed the forms, besides the clinic's own site.
        settings: for keys, links and whether this is development.
        at: now; everything that happened is dated back from it.

    Raises:
        NotEmpty: nothing was changed.

    """
    if not is_empty(session):
        raise NotEmpty
    rng = Random(SEED)  # noqa: S311 - for inventing people, not for keys
    clinic = open_clinic(session)
    texts = publish_all(session, clinic, months=TERM_MONTHS, at=at)
    team, sign_ins = _hire(session, settings, at=at - OPENED)
    forms = _forms(session, [clinic.site_url, *origins], at=at - OPENED)
    world = gather(rng, staff_id=team[RoleName.RECEPTIONIST].id, at=at)
    reception, marketer = team[RoleName.RECEPTIONIST], team[RoleName.MARKETER]
    tell(rng, world, era=Era(months=TERM_MONTHS, at=at), staff_id=reception.id)
    _block(rng, world, at=at)
    runs = mailings.send_all(rng, world, staff_id=reception.id, at=at)
    asked = receive(rng, world, at=at)
    rows.put_people(session, world)
    rows.put_ledger(
        session,
        world.facts(),
        rng,
        texts=texts,
        forms={f"form:{form.key}": form for form in forms},
        clinic=clinic,
        key=settings.suppression_keys[0],
    )
    mailings.put_campaigns(session, runs, author=marketer, clinic=clinic, settings=settings, at=at)
    put_requests(session, asked, forms, staff_id=reception.id)
    put_notices(session, clinic, settings, at=at)
    session.flush()
    for log, table in LOGS.items():
        while seal.seal(session, log, table, at=at):
            pass
    return sign_ins


def allow_origin(session: Session, origin: str) -> int:
    """Let the page at ``origin`` embed the demo's forms; return how many did not yet.

    The development site may get another port at each start.
    """
    keys = [key for key, _kind, _ru, _en in FORMS]
    forms = session.scalars(select(Form).where(Form.key.in_(keys))).all()
    changed = [form for form in forms if origin not in form.origins]
    for form in changed:
        form.origins = [*form.origins, origin]
    session.flush()
    return len(changed)


def _hire(
    session: Session, settings: Settings, *, at: datetime
) -> tuple[dict[RoleName, Staff], list[SignIn]]:
    team: dict[RoleName, Staff] = {}
    sign_ins: list[SignIn] = []
    for role, name in TEAM:
        password = f"demo {role.value} demo" if is_development(settings) else _random_password()
        one = SignIn(role=role, name=name, email=f"{role.value}@clinic.example", password=password)
        team[role] = staff.add(
            session, email=one.email, name=name, roles=[role], password=password, at=at, by=None
        )
        sign_ins.append(one)
    return team, sign_ins


def _random_password() -> str:
    return secrets.token_urlsafe(15)


def _forms(session: Session, origins: list[str], *, at: datetime) -> list[Form]:
    forms = [
        Form(
            key=key,
            kind=kind,
            title_ru=title_ru,
            title_en=title_en,
            text_keys=list(rows.BOXES),
            origins=origins,
            created_at=at,
        )
        for key, kind, title_ru, title_en in FORMS
    ]
    session.add_all(forms)
    session.flush()
    return forms


def _block(rng: Random, world: World, *, at: datetime) -> None:
    """Block a few mailboxes whose owners the clinic may not process at the moment."""
    for place in rng.sample([one for one in world.places if one.facts], _BLOCKED):
        place.blocked_at = at - timedelta(days=rng.randint(1, 9))
