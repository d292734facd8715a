import quopri
import re
from email.header import decode_header, make_header

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.mail.encode import encoded_words, quoted_printable

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=400)
WORD = re.compile(rb"=\?utf-8\?b\?[A-Za-z0-9+/]+=*\?=")


@settings(deadline=None)
@given(TEXT)
def test_quoted_printable_reads_back(text: str) -> None:
    encoded = quoted_printable(text)
    assert quopri.decodestring(encoded).decode().replace("\r\n", "\n") == text
    for line in encoded.split(b"\r\n"):
        assert len(line) <= 76
        assert not line.startswith((b".", b"From "))
        assert not line.endswith((b" ", b"\t"))
    assert encoded.isascii()


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        (".", b"=2E"),
        ("a\n.\nb", b"a\r\n=2E\r\nb"),
        ("From me", b"=46rom me"),
        ("Fromage", b"Fromage"),
        ("a \n", b"a=20\r\n"),
        ("a=b", b"a=3Db"),
        ("a\r\nb\rc", b"a\r\nb\r\nc"),
        ("a" * 75 + ".b", b"a" * 75 + b"=\r\n=2Eb"),
    ],
)
def test_quoted_printable_is_safe_at_the_ends_of_lines(text: str, encoded: bytes) -> None:
    assert quoted_printable(text) == encoded


@settings(deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=300),
    st.integers(min_value=1, max_value=40),
)
def test_each_encoded_word_is_short_whole_and_reads_back(text: str, used: int) -> None:
    lines = encoded_words(text, used=used).split(b"\r\n ")
    assert len(lines[0]) + used <= 76
    for word in lines:
        assert len(word) <= 75
        assert WORD.fullmatch(word)
        assert str(make_header(decode_header(word.decode())))
    assert str(make_header(decode_header(b"\r\n ".join(lines).decode()))) == text
