import re
from collections.abc import Iterator
from datetime import datetime
from html import unescape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.letters.compile import compile_letter
from crm.letters.fill import Press
from crm.letters.merge import Kind
from crm.letters.templates import appointment_confirmed
from crm.mail.message import Envelope, HeaderFault
from tests.letters.samples import (
    BRAND,
    DOCUMENT,
    ENVELOPE,
    SENT_AT,
    SUBJECT,
    TOKEN,
    VALUES,
    letter_of,
    part,
    printed,
    subject_of,
)

SERVICE_VALUES = {
    "greeting": "Здравствуйте!",
    "when": "24 ноября, 10:30",
    "place": "Примерная ул., 1",
    "page_url": "https://crm.clinic.example/a/abc",
}
ONE_LINE = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=120
).filter(lambda text: "=?" not in text and text.strip() != "")


@pytest.fixture(scope="module")
def raw() -> bytes:
    return printed(compile_letter(DOCUMENT, SUBJECT, brand=BRAND, kind=Kind.PROMOTIONAL))


@pytest.fixture(scope="module")
def service_raw() -> bytes:
    draft = appointment_confirmed("ru")
    letter = compile_letter(draft.document, draft.subject, brand=BRAND, kind=Kind.SERVICE)
    return printed(letter, **SERVICE_VALUES)


def lines_of(raw: bytes) -> Iterator[bytes]:
    assert raw.endswith(b"\r\n")
    yield from raw.removesuffix(b"\r\n").split(b"\r\n")


def test_both_unsubscribe_headers_stand_in_the_raw_bytes_unencoded(raw: bytes) -> None:
    link = re.escape(VALUES["unsubscribe_url"].encode())
    mailto = b"mailto:unsubscribe@clinic\\.example\\?subject=unsubscribe%20" + re.escape(
        TOKEN.encode()
    )
    assert re.search(
        b"\r\nList-Unsubscribe: <" + link + b">,\r\n <" + mailto + b">\r\n"
        b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
        raw,
    )


def test_a_promotional_letter_names_its_list_and_asks_machines_not_to_answer(raw: bytes) -> None:
    head = raw.split(b"\r\n\r\n")[0]
    assert b"\r\nList-Id: <news.clinic.example>\r\n" in head
    assert b"\r\nFeedback-ID: 42:promotional:sever:vezhlivo\r\n" in head
    assert b"\r\nPrecedence: bulk\r\n" in head
    assert b"\r\nX-Auto-Response-Suppress: OOF, AutoReply\r\n" in head
    assert b"Auto-Submitted" not in head


def test_a_service_letter_has_no_list_and_no_promotion(service_raw: bytes) -> None:
    head = service_raw.split(b"\r\n\r\n")[0]
    assert b"List-" not in head
    assert b"Precedence" not in head
    assert b"Feedback-ID" not in head
    assert b"\r\nAuto-Submitted: auto-generated\r\n" in head
    assert "Отписаться" not in part(service_raw, "html") + part(service_raw, "plain")
    assert "ООО «Север», 101000, Москва" in part(service_raw, "html")


def test_every_header_that_a_letter_needs_is_there_once(raw: bytes) -> None:
    names = re.findall(rb"(?m)^([A-Za-z-]+): ", raw.split(b"\r\n\r\n")[0])
    assert len(names) == len(set(names))
    assert {b"From", b"To", b"Reply-To", b"Date", b"Message-ID", b"MIME-Version"} <= set(names)
    assert b"\r\nTo: anna@mail.example\r\n" in raw
    assert b"\r\nDate: Tue, 24 Nov 2026 07:30:00 +0000\r\n" in raw
    assert b"\r\nMessage-ID: <0f8fad5b-d9cb@clinic.example>\r\n" in raw


def test_the_bytes_are_ascii_with_nothing_but_crlf(raw: bytes) -> None:
    assert raw.isascii()
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", raw)


def test_no_body_line_is_over_76_and_no_header_line_over_998(raw: bytes) -> None:
    head, _, body = raw.partition(b"\r\n\r\n")
    assert max(map(len, lines_of(body))) <= 76
    assert max(map(len, head.split(b"\r\n"))) <= 998
    encoded = [line for line in head.split(b"\r\n") if b"=?" in line]
    assert encoded
    assert max(map(len, encoded)) <= 76


def test_the_text_comes_first_and_says_the_same(raw: bytes) -> None:
    assert raw.index(b"text/plain") < raw.index(b"text/html")
    text, markup = part(raw, "plain"), unescape(part(raw, "html"))
    for words in (
        "Здравствуйте, Анна Сергеевна!",
        "полчаса",
        "https://clinic.example/a?b=1&c=2",
        "https://clinic.example/book",
        "ИМЕЮТСЯ ПРОТИВОПОКАЗАНИЯ. НЕОБХОДИМА КОНСУЛЬТАЦИЯ СПЕЦИАЛИСТА",
        "ООО «Север», 101000, Москва, Примерная ул., 1",
        "потому что 12.03.2026 дано согласие на рекламные письма",
        "Отписаться от рекламных писем",
        VALUES["unsubscribe_url"],
    ):
        assert words in text
        assert words in markup


def test_a_dot_at_the_start_of_a_line_needs_no_stuffing() -> None:
    letter = letter_of(
        {"type": "heading", "text": "{{ first_name | . }}"},
        {
            "type": "text",
            "html": "<p>.начало</p><p>From here</p><p>" + "…" * 40 + "." * 90 + "</p>",
        },
    )
    raw = printed(letter, first_name="...Анна")
    assert not [line for line in lines_of(raw) if line.startswith((b".", b"From "))]
    assert "\r\n\r\n...Анна\r\n" in part(raw, "plain")
    assert "\r\n\r\n.начало\r\n" in part(raw, "plain")


def test_a_slot_that_begins_a_line_with_a_dot_reads_back_with_one_dot() -> None:
    letter = letter_of({"type": "text", "html": "<p>{{ first_name | друг }}.</p>"})
    assert "\r\n\r\n.Анна.\r\n" in part(printed(letter, first_name=".Анна"), "plain")


@settings(deadline=None)
@given(ONE_LINE)
def test_any_name_arrives_as_it_is(name: str) -> None:
    letter = letter_of({"type": "heading", "text": "{{ first_name | друг }}"})
    raw = printed(letter, first_name=name)
    assert raw.isascii()
    assert max(map(len, lines_of(raw.partition(b"\r\n\r\n")[2]))) <= 76
    assert not [line for line in lines_of(raw) if line.startswith(b".")]
    assert subject_of(raw) == f"{name}, приглашаем на осмотр"
    assert f"\r\n\r\n{name}\r\n" in part(raw, "plain")
    assert f">{name}</h1>" in unescape(part(raw, "html"))
    assert re.search(r"<h1[^>]*>[^<>]*</h1>", part(raw, "html"))


@pytest.mark.parametrize(
    "name",
    ["Анна Мария " * 20, "O'Connor", 'Анна "Аня"', "👩🏽‍⚕️ Анна", "a" * 300, "А. Б.", "Анна = Аня"],
)
def test_awkward_names_arrive_as_they_are(name: str) -> None:
    letter = letter_of({"type": "heading", "text": "{{ first_name | друг }}"})
    raw = printed(letter, first_name=name)
    assert subject_of(raw) == f"{name}, приглашаем на осмотр"
    assert f"\r\n\r\n{name}\r\n" in part(raw, "plain")


def test_a_name_is_text_and_never_markup() -> None:
    letter = letter_of({"type": "text", "html": "<p>{{ first_name | друг }}</p>"})
    markup = part(printed(letter, first_name='<script>"x"</script>&'), "html")
    assert "<p>&lt;script&gt;&quot;x&quot;&lt;/script&gt;&amp;</p>" in markup


def test_an_unknown_name_takes_the_fallback_everywhere() -> None:
    letter = letter_of({"type": "heading", "text": "{{ first_name | наш друг }}, день добрый"})
    raw = printed(letter, first_name="")
    assert subject_of(raw) == "Друзья, приглашаем на осмотр"
    assert "наш друг, день добрый" in part(raw, "plain")


@pytest.mark.parametrize("name", ["a\r\nBcc: x@y.example", "a\nb", "a\rb", "a\0b", "=?utf-8?q?a?="])
def test_a_name_that_would_break_a_header_is_refused(name: str) -> None:
    letter = letter_of({"type": "heading", "text": "Без имени"})
    with pytest.raises(HeaderFault):
        printed(letter, first_name=name)


@pytest.mark.parametrize("name", ["a\r\n.\r\nRCPT", "a\nb", "a\0b", "a\u2028b", "a\x1bb", "\udc80"])
def test_a_name_that_would_break_a_body_line_is_refused(name: str) -> None:
    letter = letter_of({"type": "heading", "text": "{{ first_name | друг }}"}, subject="Осмотр")
    with pytest.raises(HeaderFault, match=r"^first_name$"):
        printed(letter, first_name=name)


@pytest.mark.parametrize(
    "link",
    [
        "http://crm.clinic.example/u/abc",
        "https://crm.clinic.example/u/a>b",
        "https://crm.clinic.example/u/a b",
        "https://crm.clinic.example/u/a\r\nBcc: x",
        "javascript:alert(1)",
        "https://evil@crm.clinic.example/u/a",
        "",
    ],
)
def test_an_unsubscribe_address_that_is_not_ours_is_refused(link: str) -> None:
    letter = letter_of({"type": "heading", "text": "Осмотр"})
    with pytest.raises(HeaderFault):
        printed(letter, unsubscribe_url=link)


def test_on_a_loopback_host_links_may_be_http() -> None:
    letter = letter_of({"type": "heading", "text": "Осмотр"})
    raw = printed(letter, unsubscribe_url="http://127.0.0.1:8000/u/abc")
    assert b"List-Unsubscribe: <http://127.0.0.1:8000/u/abc>,\r\n <mailto:" in raw


@pytest.mark.parametrize("to", ["a@b.example, c@d.example", "a@b\r\nX: y", "<a@b.example>", ""])
def test_a_letter_goes_to_exactly_one_address(to: str) -> None:
    press = Press(letter_of({"type": "heading", "text": "Осмотр"}), ENVELOPE)
    with pytest.raises(HeaderFault, match=r"^To$"):
        press.print(VALUES, to=to, message_id="1@clinic.example", date=SENT_AT)


def test_a_date_without_a_zone_is_refused() -> None:
    press = Press(letter_of({"type": "heading", "text": "Осмотр"}), ENVELOPE)
    naive = datetime(2026, 11, 24, 7, 30)  # noqa: DTZ001 - the point of the test
    with pytest.raises(HeaderFault, match=r"^Date$"):
        press.print(VALUES, to="a@b.example", message_id="1@clinic.example", date=naive)


def test_a_value_that_was_promised_cannot_be_left_out() -> None:
    letter = letter_of({"type": "heading", "text": "Осмотр"})
    with pytest.raises(HeaderFault, match=r"^consent_on$"):
        printed(letter, consent_on="")
    without = {name: value for name, value in VALUES.items() if name != "consent_on"}
    with pytest.raises(HeaderFault, match=r"^consent_on$"):
        Press(letter, ENVELOPE).print(
            without, to="a@b.example", message_id="1@clinic.example", date=SENT_AT
        )


@pytest.mark.parametrize("lacking", ["list_id", "unsubscribe_mailbox"])
def test_a_promotional_letter_without_its_list_cannot_be_printed(lacking: str) -> None:
    envelope = Envelope.from_json(ENVELOPE.to_json() | {lacking: None})
    with pytest.raises(HeaderFault):
        Press(letter_of({"type": "heading", "text": "Осмотр"}), envelope)


def test_one_press_prints_each_letter_for_itself() -> None:
    press = Press(letter_of({"type": "heading", "text": "{{ first_name | друг }}"}), ENVELOPE)
    for name in ("Анна", "Пётр", "Анна"):
        values = VALUES | {"first_name": name}
        raw = press.print(values, to="a@b.example", message_id="1@clinic.example", date=SENT_AT)
        assert subject_of(raw) == f"{name}, приглашаем на осмотр"
