"""How text goes by mail: encoded words in headers, quoted-printable or 8-bit in bodies."""

import binascii
import re
from typing import Final

_WORD_OPEN: Final = b"=?utf-8?b?"
_WORD_CLOSE: Final = b"?="
_LINE: Final = 76
_FOLD: Final = b"\r\n "
_PLAIN: Final = re.compile(rb"(?:[!-<>-~ \t]*[!-<>-~])?")
_LEADING_DOT: Final = re.compile(rb"^\.", re.MULTILINE)

_QUOTED: Final = [b"=%02X" % octet for octet in range(256)]
_TOKENS: Final = [
    bytes([octet]) if (33 <= octet <= 126 and octet != 61) or octet in b" \t" else _QUOTED[octet]
    for octet in range(256)
]


def encoded_words(text: str, *, used: int) -> bytes:
    """Return ``text`` as RFC 2047 words, folded so that no line is longer than 76 octets.

    Characters are never cut in two, so each word can be decoded by itself.

    Args:
        text: any text without line breaks; the caller refuses those.
        used: octets already on the first line, the header's name and colon included.

    """
    octets = text.encode()
    words, start, room = [], 0, _octets_in_word(_LINE - used)
    while start < len(octets):
        end = _boundary(octets, start + room)
        encoded = binascii.b2a_base64(octets[start:end], newline=False)
        words.append(_WORD_OPEN + encoded + _WORD_CLOSE)
        start, room = end, _octets_in_word(_LINE - 1)
    return _FOLD.join(words)


def _octets_in_word(room: int) -> int:
    whole = min(room, 75) - len(_WORD_OPEN) - len(_WORD_CLOSE)
    return whole // 4 * 3


def _boundary(octets: bytes, end: int) -> int:
    while end < len(octets) and octets[end] & 0xC0 == 0x80:
        end -= 1
    return end


def quoted_printable(text: str) -> bytes:
    """Return ``text`` in quoted-printable, as it stands from the start of a line of the body.

    Lines are at most 75 octets, so that a soft break (``=`` CRLF) may be put after the last one.
    A line never begins with a dot or with ``From ``: the result goes through SMTP and through
    mailbox files unchanged, and dot-stuffing it does nothing. Source: RFC 2045 6.7.
    """
    return b"\r\n".join([_quoted_line(line.encode()) for line in _unbroken(text)])


def eight_bit(text: str) -> bytes:
    """Return ``text`` in UTF-8 with CRLF, dot-stuffed as from the start of a line of the body.

    The caller sees to it that no line is longer than 998 octets.
    """
    return _LEADING_DOT.sub(b"..", "\n".join(_unbroken(text)).encode()).replace(b"\n", b"\r\n")


def _unbroken(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _quoted_line(octets: bytes) -> bytes:
    if _PLAIN.fullmatch(octets):
        pieces = [octets[at : at + _LINE - 1] for at in range(0, len(octets), _LINE - 1)]
        if not any(piece.startswith((b".", b"From ")) for piece in pieces):
            return b"=\r\n".join(pieces)
    return _quoted_octets(octets)


def _quoted_octets(octets: bytes) -> bytes:
    tokens = [_TOKENS[octet] for octet in octets]
    if tokens and octets[-1] in b" \t":
        tokens[-1] = _QUOTED[octets[-1]]
    out, width = [], 0
    for at, token in enumerate(tokens):
        if width + len(token) > _LINE - 1:
            out.append(b"=\r\n")
            width = 0
        if width == 0 and (token == b"." or octets.startswith(b"From ", at)):
            token = _QUOTED[octets[at]]
        out.append(token)
        width += len(token)
    return b"".join(out)
