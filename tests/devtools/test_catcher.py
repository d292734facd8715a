import smtplib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devtools.catcher import Sink, reading
from devtools.catcher.answers import answers_to
from devtools.catcher.pages import create_app
from devtools.catcher.store import TRIM_EVERY, Letter, Store

KEEP = 10
RAW = b"Subject: =?utf-8?b?0J/RgNC40LLQtdGC?=\r\n\r\n..leading dot\r\n"


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with Sink() as started:
        yield started


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path, keep=KEEP)
    opened.open_for_writing()
    yield opened
    opened.close()


@pytest.fixture
def client(sink: Sink) -> Iterator[smtplib.SMTP]:
    sink.clear()
    with smtplib.SMTP("127.0.0.1", sink.port) as connected:
        yield connected


def test_a_letter_is_kept_byte_by_byte_with_its_envelope_and_moment(
    sink: Sink, client: smtplib.SMTP
) -> None:
    before = time.monotonic_ns()

    client.sendmail("clinic@sender.example", ["anna@mail.example"], RAW)

    [letter] = sink.messages()
    assert letter.raw == RAW
    assert (letter.sender, letter.rcpt) == ("clinic@sender.example", "anna@mail.example")
    assert before < letter.at_ns < time.monotonic_ns()


@pytest.mark.parametrize(
    ("recipient", "code"),
    [("reject@x.example", 550), ("reject552.a@x.example", 552), ("later451.a@x.example", 451)],
)
def test_an_address_can_ask_to_be_refused(
    sink: Sink, client: smtplib.SMTP, recipient: str, code: int
) -> None:
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        client.sendmail("clinic@sender.example", [recipient], RAW)

    assert refused.value.recipients[recipient][0] == code
    assert sink.count() == 0


def test_an_address_can_ask_for_a_refused_dot(sink: Sink, client: smtplib.SMTP) -> None:
    with pytest.raises(smtplib.SMTPDataError):
        client.sendmail("clinic@sender.example", ["refuse554.a@x.example"], RAW)

    assert sink.count() == 0


def test_an_address_can_ask_that_nobody_knows_whether_it_arrived(
    sink: Sink, client: smtplib.SMTP
) -> None:
    with pytest.raises(smtplib.SMTPServerDisconnected):
        client.sendmail("clinic@sender.example", ["vanish.a@x.example"], RAW)

    assert sink.count() == 1


def test_an_address_that_only_looks_like_a_script_is_taken() -> None:
    assert answers_to("slowik@mail.example").delay_s == 0
    assert answers_to("rejectova@mail.example").to_rcpt is None


def test_the_store_keeps_the_newest_only(store: Store) -> None:
    for number in range(TRIM_EVERY):
        _append(store, f"p{number}@mail.example", RAW)

    assert [letter.rcpt for letter in store.all()] == [
        f"p{number}@mail.example" for number in range(TRIM_EVERY - KEEP, TRIM_EVERY)
    ]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n",
        b"Subject: =?utf-8?q?half=FF?=\r\nContent-Type: text/html; charset=none\r\n\r\n\xff",
        b"From: <<>@\r\nTo: \xff\r\nDate: x\r\nContent-Type: multipart/mixed\r\n\r\nx",
        b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n%%%",
    ],
)
@pytest.mark.parametrize("view", ["html", "text", "raw"])
def test_the_pages_show_any_bytes(store: Store, raw: bytes, view: str) -> None:
    _append(store, "anna@mail.example", raw)
    pages = create_app(store).test_client()

    assert pages.get("/").status_code == 200
    assert pages.get(f"/letters/1?view={view}").status_code == 200
    assert pages.get("/letters/1/html").status_code == 200


def test_letters_are_found_by_a_part_of_an_address_taken_literally(store: Store) -> None:
    for address in ("anna_a@mail.example", "anna1a@mail.example"):
        _append(store, address, RAW)

    found = store.newest(address="a_a@", before=None, limit=9)

    assert [letter.rcpt for letter in found] == ["anna_a@mail.example"]


def test_a_letter_runs_nothing_and_its_links_open_beside_it(store: Store) -> None:
    html = b"<html><head></head><body><a href='http://127.0.0.1/u/1'>x</a><script>1</script>"
    _append(store, "anna@mail.example", b"Content-Type: text/html\r\n\r\n" + html)

    answer = create_app(store).test_client().get("/letters/1/html")

    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "allow-scripts" not in policy
    assert "<base target='_blank'" in answer.text


def test_a_page_elsewhere_cannot_reach_the_letters_by_rebinding(store: Store) -> None:

    answer = create_app(store).test_client().get("/", headers={"Host": "elsewhere.example"})

    assert answer.status_code == 400


def test_a_subject_is_shown_decoded() -> None:
    letter = Letter(1, 0, 0.0, "", ("anna@mail.example",), RAW)

    assert reading.subject(letter) == "Привет"


def _append(store: Store, recipient: str, raw: bytes) -> None:
    store.append(
        at_ns=1, received=1.0, sender="clinic@sender.example", recipients=[recipient], raw=raw
    )
