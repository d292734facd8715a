"""Letters in 8-bit: half the size, safe for SMTP as they stand, and the same to a reader."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.letters.compiled import CompiledLetter
from crm.letters.merge import Kind, Slot
from tests.letters.samples import letter_of, part, printed, printed_in_8_bit, received, subject_of

PARAGRAPH = (
    "Профилактический осмотр помогает вовремя заметить изменения и сохранить здоровье. Наши врачи "
    "принимают ежедневно, запись открыта на ближайшие две недели. "
)
LETTER = letter_of(
    {"type": "heading", "text": "{{ greeting }}"},
    {"type": "text", "html": f"<p>{{{{ first_name | Друзья }}}}! {PARAGRAPH}</p>"},
    *[{"type": "text", "html": f"<p>{PARAGRAPH * 3}</p>"}] * 4,
)
NAMED = Slot("first_name", "друг")
NAME = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=1500).filter(
    lambda text: "=?" not in text
)
CONSTANT = st.one_of(
    st.sampled_from([".", "\n", " ", "<p>", "я" * 500, "\r\n", "\n--=_letter", "\nFrom ", "\n."]),
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=40),
)
PIECES = st.lists(st.one_of(CONSTANT, st.just(NAMED), st.just(Slot("greeting"))), max_size=12)


def a_letter(*pieces: str | Slot) -> CompiledLetter:
    """Return a letter with these pieces as its text and as its HTML."""
    return CompiledLetter(kind=Kind.SERVICE, subject=("Осмотр",), text=pieces, html=pieces)


def assert_safe(raw: bytes) -> None:
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", raw)
    assert raw.endswith(b"\r\n")
    lines = raw.split(b"\r\n")
    assert max(map(len, lines)) <= 998
    assert not [line for line in lines if line.startswith(b".") and not line.startswith(b"..")]
    assert not [line for line in lines if line.startswith(b"From ")]


def same_to_a_reader(wire: bytes, other: bytes) -> bool:
    pairs = [(part(received(wire), name), part(other, name)) for name in ("plain", "html")]
    return all(mine == theirs for mine, theirs in pairs)


def test_a_cyrillic_letter_is_about_half_its_quoted_printable() -> None:
    eight_bit, quoted = printed_in_8_bit(LETTER), printed(LETTER)
    assert 12_000 < len(eight_bit) < 0.55 * len(quoted)
    assert same_to_a_reader(eight_bit, quoted)


def test_the_letter_and_its_parts_say_that_they_are_in_8_bit() -> None:
    raw = printed_in_8_bit(LETTER)
    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.endswith(b"\r\nContent-Transfer-Encoding: 8bit")
    assert body.count(b"\r\nContent-Transfer-Encoding: 8bit\r\n") == 2
    assert head.isascii()
    assert b"Content-Transfer-Encoding" not in printed(LETTER).partition(b"\r\n\r\n")[0]


@settings(deadline=None)
@given(PIECES, NAME, NAME)
def test_any_letter_is_safe_on_the_wire_and_arrives_as_it_is(
    pieces: list[str | Slot], name: str, greeting: str
) -> None:
    values = {"first_name": name, "greeting": greeting}
    raw, quoted = (
        printed_in_8_bit(a_letter(*pieces), **values),
        printed(a_letter(*pieces), **values),
    )
    assert_safe(raw)
    assert_safe(quoted)
    assert same_to_a_reader(raw, quoted)


@settings(deadline=None)
@given(NAME)
def test_any_name_arrives_as_it_is(name: str) -> None:
    raw = printed_in_8_bit(LETTER, first_name=name)
    assert_safe(raw)
    assert same_to_a_reader(raw, printed(LETTER, first_name=name))
    assert subject_of(raw) == f"{name or 'Друзья'}, приглашаем на осмотр"


def test_dots_at_the_starts_of_lines_are_doubled_once() -> None:
    raw = printed_in_8_bit(a_letter("...\n.\n", NAMED, ".\n"), first_name="Анна")
    assert b"\r\n....\r\n..\r\n" + "Анна.\r\n".encode() in raw
    assert part(received(raw), "plain").startswith("...\r\n.\r\nАнна.\r\n")


@pytest.mark.parametrize("name", [".", "..", ".Анна", "--=_letter--", "From Anna", "From", " Анна"])
def test_a_name_that_would_mean_something_at_the_start_of_a_line_goes_in_quoted_printable(
    name: str,
) -> None:
    letter = a_letter("Добрый день,\n", NAMED, ".")
    raw = printed_in_8_bit(letter, first_name=name)
    assert raw == printed(letter, first_name=name)
    assert part(raw, "plain").startswith(f"Добрый день,\r\n{name}.")


def test_a_name_too_long_for_its_line_goes_in_quoted_printable() -> None:
    letter = a_letter("а" * 450, NAMED, "\n")
    assert b": 8bit\r\n" in printed_in_8_bit(letter, first_name="a" * 98)
    long = printed_in_8_bit(letter, first_name="a" * 99)
    assert long == printed(letter, first_name="a" * 99)
    assert b": 8bit\r\n" in printed_in_8_bit(letter)


def test_slots_on_one_line_share_its_room() -> None:
    letter = a_letter("a" * 900, Slot("greeting"), ", ", NAMED, "\n")
    raw = printed_in_8_bit(letter, first_name="b" * 48, greeting="a" * 48)
    assert b": 8bit\r\n" in raw
    assert max(map(len, raw.split(b"\r\n"))) == 998
    longer = printed_in_8_bit(letter, first_name="b" * 49, greeting="a" * 49)
    assert b": 8bit\r\n" not in longer


def test_only_the_part_with_a_line_too_long_goes_in_quoted_printable() -> None:
    text, markup = ("а" * 500 + "\n",), ("<p>а</p>\n",)
    letter = CompiledLetter(kind=Kind.SERVICE, subject=("Осмотр",), text=text, html=markup)
    raw = printed_in_8_bit(letter)
    plain, html = raw.index(b"text/plain"), raw.index(b"text/html")
    assert b": 8bit\r\n" in raw[:plain]
    assert b"quoted-printable" in raw[plain:html]
    assert b"8bit" in raw[html:]
    assert same_to_a_reader(raw, printed(letter))


def test_long_lines_of_markup_are_broken_between_words_but_not_inside_of_values() -> None:
    markup = '<td align="left" style="a: b; c: d">' * 20 + "<!--[if mso | IE]>" + "слово " * 200
    letter = CompiledLetter(kind=Kind.SERVICE, subject=("Осмотр",), text=("а\n",), html=(markup,))
    read = part(printed_in_8_bit(letter), "html")
    assert "<td\r\nalign=" in read
    assert "слово\r\nслово" in read
    assert read.count('style="a: b; c: d">') == 20
    assert "<!--[if mso | IE]>" in read
    assert " ".join(read.split()) == " ".join(markup.split())
