"""Reading what arrived at the sink: as a mail program shows it, and as raw bytes."""

import email
import email.policy
import re
from email.message import EmailMessage

from devtools.catcher import Letter

LINK = re.compile(r"https?://\S+")


def parsed(letter: Letter) -> EmailMessage:
    return email.message_from_bytes(letter.raw, policy=email.policy.default)


def subject(letter: Letter) -> str:
    return str(parsed(letter)["Subject"])


def part(letter: Letter, kind: str) -> str:
    """Return the decoded part: ``plain`` or ``html``."""
    body = parsed(letter).get_body((kind,))
    assert body is not None, f"no {kind} part"
    return str(body.get_content())


def link(letter: Letter, start: str) -> str:
    """Return the one link of the text part that begins so; the HTML part has the same."""
    found: set[str] = {one for one in links(letter) if one.startswith(start)}
    assert len(found) == 1, f"{len(found)} links begin with {start}"
    [only] = found
    assert only in part(letter, "html"), "the two parts lead to different places"
    return only


def links(letter: Letter) -> list[str]:
    """Return every link of the text part."""
    return [one[0] for one in LINK.finditer(part(letter, "plain"))]


def raw_head(letter: Letter) -> bytes:
    return letter.raw.partition(b"\r\n\r\n")[0]


def raw_header(letter: Letter, name: bytes) -> list[bytes]:
    """Return every header of this name, unfolded but not decoded."""
    unfolded = re.sub(rb"\r\n[ \t]+", b" ", raw_head(letter))
    lines = [line.partition(b":") for line in unfolded.split(b"\r\n")]
    return [value.strip() for key, _colon, value in lines if key.lower() == name.lower()]


def everything(letter: Letter) -> str:
    """Return all that can be read in it, decoded: subject, both parts, and the bytes themselves."""
    raw = letter.raw.decode("ascii", "replace")
    return "\n".join([subject(letter), part(letter, "plain"), part(letter, "html"), raw])
