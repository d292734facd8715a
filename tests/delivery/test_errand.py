"""The letter that a sender hands over: its form, its signature and its return path."""

from collections.abc import Callable
from datetime import UTC, datetime

import dkim
import pytest
from sqlalchemy.orm import Session

from crm.config import Settings
from crm.consent.tokens import read_unsubscribe
from crm.delivery.errand import Errand, prepare
from crm.delivery.lease import take_range
from crm.delivery.models import Mailing
from crm.delivery.states import Lane
from crm.delivery.window import Recipient, intend
from crm.mail import dkim_keys, verp
from tests.factories import NOON, a_clinic, a_running_mailing, a_willing_contact
from tests.letters.samples import received

SENT_AT = datetime(2026, 1, 1, tzinfo=UTC)
"""In the past, as verifiers want it."""
DOMAIN = "clinic.example"
Begin = Callable[[], tuple[Errand, Recipient, str]]


@pytest.fixture
def mailing(session: Session) -> Mailing:
    a_clinic(session)
    a_willing_contact(session)
    return a_running_mailing(session)


@pytest.fixture
def begin(session: Session, settings: Settings) -> Begin:
    """``begin()`` takes the mailing's lease and returns its errand and its only recipient."""

    def begun() -> tuple[Errand, Recipient, str]:
        session.commit()
        work = take_range(session, Lane.BULK, at=NOON)
        assert work is not None
        session.commit()
        [one] = intend(session, work, limit=4, at=NOON)
        assert one.value is not None
        return prepare(session, work.mailing_id, settings), one, one.value

    return begun


@pytest.mark.usefixtures("mailing")
def test_a_letter_comes_in_the_form_that_the_relay_takes(begin: Begin) -> None:
    errand, one, address = begin()
    quoted = errand.letter(one, address, at=SENT_AT)
    eight_bit = errand.letter(one, address, at=SENT_AT, eight_bit=True)
    assert quoted.body.isascii()
    assert "Здравствуйте".encode() in eight_bit.body
    assert quoted.sender == eight_bit.sender == "news@clinic.example"
    assert quoted.recipient == eight_bit.recipient == address


@pytest.mark.usefixtures("mailing")
def test_a_letter_tried_again_is_the_same_letter(begin: Begin) -> None:
    errand, one, address = begin()
    assert errand.letter(one, address, at=SENT_AT) == errand.letter(one, address, at=SENT_AT)


@pytest.mark.usefixtures("mailing")
def test_its_way_out_is_this_recipients(begin: Begin, settings: Settings) -> None:
    errand, one, address = begin()
    head = errand.letter(one, address, at=SENT_AT).body.partition(b"\r\n\r\n")[0].decode()
    link = head.partition("List-Unsubscribe: <")[2].partition(">")[0]
    right = read_unsubscribe(link.rpartition("/u/")[2], keys=settings.secret_keys)
    assert (right.address_id, right.delivery_id) == (one.address_id, one.delivery_id)


@pytest.mark.usefixtures("mailing")
def test_the_day_of_consent_is_the_clinics_day(begin: Begin) -> None:
    errand, one, address = begin()
    for moment, day in (
        (datetime(2025, 12, 31, 20, 59, tzinfo=UTC), "31.12.2025"),
        (datetime(2025, 12, 31, 21, tzinfo=UTC), "01.01.2026"),
        (None, "—"),
    ):
        one.confirmed_at = moment
        body = errand.letter(one, address, at=SENT_AT, eight_bit=True).body
        assert f"потому что {day} дано согласие".encode() in body


def test_where_bounces_have_a_domain_each_letter_has_a_return_path_of_its_own(
    mailing: Mailing, begin: Begin, settings: Settings
) -> None:
    mailing.envelope = mailing.envelope | {"bounce_domain": "bounce.clinic.example"}
    errand, one, address = begin()
    sender = errand.letter(one, address, at=SENT_AT).sender
    assert sender.endswith("@bounce.clinic.example")
    assert verp.read(sender, keys=settings.secret_keys) == one.delivery_id


@pytest.mark.usefixtures("mailing")
@pytest.mark.parametrize("eight_bit", [True, False])
def test_a_letter_is_signed_by_each_key_in_use(
    begin: Begin, settings: Settings, eight_bit: bool
) -> None:
    directory = settings.state_dir / "dkim"
    made = {"r1": False, "e1": True, "e2": True}
    records = {
        f"{selector}._domainkey.{DOMAIN}.": dkim_keys.record(
            dkim_keys.prepare(directory, DOMAIN, selector, ed25519=ed25519)
        )
        for selector, ed25519 in made.items()
    }
    for one in dkim_keys.stored(directory, DOMAIN):
        if one.signer.selector != "e2":
            dkim_keys.use(directory, one)
    errand, recipient, address = begin()
    letter = errand.letter(recipient, address, at=SENT_AT, eight_bit=eight_bit)
    assert letter.body.count(b"DKIM-Signature: ") == 2
    verifier = dkim.DKIM(received(letter.body))
    for which in (0, 1):
        assert verifier.verify(which, dnsfunc=lambda name, timeout: records[name.decode()].encode())


@pytest.mark.usefixtures("mailing")
def test_with_a_key_that_cannot_be_read_nothing_leaves_unsigned(
    begin: Begin, settings: Settings
) -> None:
    folder = settings.state_dir / "dkim" / DOMAIN
    folder.mkdir(parents=True)
    (folder / "s1.pem").write_bytes(b"no key")
    with pytest.raises(dkim_keys.KeyFault, match=r"s1\.pem"):
        begin()
