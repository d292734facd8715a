"""A relay that lets in whom it likes, and who knocks there."""

from collections.abc import Iterator

from sqlalchemy.orm import Session

from crm import clock
from crm.delivery import service
from crm.delivery.dispatch import Sender
from crm.delivery.models import Delivery
from tests.factories import ENVELOPE, NOON, a_contact, a_promotion, email_of
from tests.mail.hostile import Server, Visit

BUSY = b"451 4.3.2 Too busy for anybody\r\n"
STRANGER = b"550 5.7.1 We do not know you\r\n"


class Mood:
    """What a relay says to MAIL; None: it takes the letter."""

    def __init__(self, says: bytes | None = None) -> None:
        self.says = says

    def __call__(self, visit: Visit) -> None:
        visit.greet(b"PIPELINING")
        visit.serve(refuse=_Refusals(self))


class _Refusals(dict[bytes, bytes]):
    """Asked anew at each command."""

    def __init__(self, mood: Mood) -> None:
        super().__init__({b"MAIL": b""})
        self._mood = mood

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"MAIL"] if self._mood.says else [])

    def __getitem__(self, command: bytes) -> bytes:
        return self._mood.says or b""


def url_of(server: Server) -> str:
    return f"smtp://127.0.0.1:{server.port}?starttls=never"


def run(sender: Sender) -> None:
    sender.allowance.now_s = lambda: clock.now().timestamp()
    while sender.work():
        pass


def knocks(server: Server) -> int:
    return sum(line.startswith(b"MAIL") for line in server.heard)


def a_service_letter(session: Session) -> Delivery:
    contact = a_contact(session)
    letter = a_promotion().bind({"unsubscribe_url": "https://crm.clinic.example/u/x"})
    sent = service.send_one(
        session,
        letter,
        ENVELOPE,
        address=email_of(session, contact),
        contact_id=contact.id,
        at=NOON,
    )
    session.commit()
    return sent
