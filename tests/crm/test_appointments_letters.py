"""The letters about a visit as bytes: neutral, for one person, without promotion or tracking."""

import re
from collections.abc import Callable
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.config import Settings
from crm.contacts.models import Address
from crm.delivery.models import Delivery, Mailing
from crm.letters.compiled import CompiledLetter
from crm.letters.fill import Press
from crm.mail.message import Envelope
from tests.conftest import NOON
from tests.crm.test_appointments import TOMORROW, a_request, of, the_visit
from tests.factories import a_clinic

pytestmark = pytest.mark.usefixtures("time")
SECRETS = re.compile(
    r"врач|доктор|терапевт|гинеколог|стоматолог|анализ|диагноз|лечен|услуг|скидк|акци[яию]|подар"
    r"|doctor|diagnos|service|unsubscribe|отпис|utm_|<img",
    re.IGNORECASE,
)


def printed(session: Session) -> list[bytes]:
    """Return every letter as a sender would write it, oldest first."""
    rows = session.execute(
        select(Mailing, Address)
        .join(Delivery, Delivery.mailing_id == Mailing.id)
        .join(Address, Address.id == Delivery.address_id)
        .order_by(Mailing.id)
    )
    return [
        Press(CompiledLetter.from_json(mailing.letter), Envelope.from_json(mailing.envelope)).print(
            {}, to=address.value or "", message_id=f"{mailing.id}@crm.clinic.example", date=NOON
        )
        for mailing, address in rows
    ]


def words(raw: bytes) -> str:
    parts = [_decoded(part) for part in message_from_bytes(raw).walk() if not part.is_multipart()]
    return "\n".join(parts)


def _decoded(part: Message) -> str:
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode()


def subject(raw: bytes) -> str:
    return str(make_header(decode_header(message_from_bytes(raw)["Subject"])))


@pytest.mark.parametrize(
    ("lang", "subjects"),
    [
        ("ru", ["2 марта, 10:30", "2 марта, 12:00", "2 марта, 12:00"]),
        ("en", ["2 March, 10:30", "2 March, 12:00", "2 March, 12:00"]),
    ],
)
def test_no_letter_tells_why_somebody_comes(
    session: Session, signed_in: Callable[..., FlaskClient], lang: str, subjects: list[str]
) -> None:
    asked = a_request(session, lang=lang, message="К гинекологу, сдать анализ на беременность")
    me = signed_in("receptionist")
    me.post(of(asked, "claim"))
    me.post(of(asked, "propose"), data=TOMORROW)
    me.post(of(asked, "agree"), data=TOMORROW | {"hour": "12:00", "revision": "1"})
    me.post(f"/reception/appointments/{the_visit(session).id}/cancel")
    raws = printed(session)
    for raw, when in zip(raws, subjects, strict=True):
        assert subject(raw).endswith(when)
        assert not SECRETS.search(words(raw)), SECRETS.search(words(raw))
        assert not SECRETS.search(subject(raw))
        letter = message_from_bytes(raw)
        assert letter["To"].count("@") == 1
        assert letter["Cc"] is None
        assert letter["List-Unsubscribe"] is None
        assert letter["Auto-Submitted"] == "auto-generated"
        assert "priem@clinic.example" in letter["From"]
        assert "ООО «Север», 190000" in words(raw)


def test_what_shows_before_opening_is_the_time_and_nothing_else(
    session: Session, signed_in: Callable[..., FlaskClient]
) -> None:
    asked, me = a_request(session), signed_in("receptionist")
    me.post(of(asked, "claim"))
    me.post(of(asked, "propose"), data=TOMORROW)
    (raw,) = printed(session)
    assert subject(raw) == "Запись: 2 марта, 10:30"
    plain = words(raw).split("<!doctype")[0]
    assert "Здравствуйте, Анна Сергеевна!" in plain
    assert "Иванова" not in plain


def test_its_only_links_lead_to_the_patients_page(
    session: Session, settings: Settings, signed_in: Callable[..., FlaskClient]
) -> None:
    asked, me = a_request(session), signed_in("receptionist")
    me.post(of(asked, "claim"))
    me.post(of(asked, "propose"), data=TOMORROW)
    (raw,) = printed(session)
    links = set(re.findall(r"https?://[^\s\"'<>]+", words(raw)))
    ours = {link for link in links if link.startswith(settings.public_url)}
    assert len(ours) == 1
    assert "/a/" in ours.pop()
    assert {link.split("/")[2] for link in links} <= {"crm.clinic.example", "www.w3.org"}


def test_a_name_with_odd_characters_breaks_no_letter(
    session: Session, signed_in: Callable[..., FlaskClient]
) -> None:
    asked, me = a_request(session), signed_in("receptionist")
    clinic = a_clinic(session)
    clinic.name = 'Клиника <b>"Север"</b> & Ко'
    session.commit()
    me.post(of(asked, "claim"))
    place = 'Речная ул., 12, корп. "А" & Б'
    assert me.post(of(asked, "propose"), data=TOMORROW | {"place": place}).status_code == 303
    (raw,) = printed(session)
    assert place in words(raw)
    assert "&amp; Б" in words(raw)
    assert "<b>" not in words(raw).partition("<!doctype")[2]
