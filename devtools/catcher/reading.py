"""A caught letter as a person reads it."""

import email
import email.policy
from dataclasses import dataclass
from email.message import EmailMessage

from devtools.catcher.store import Letter

SHOWN_HEADERS = ("From", "Reply-To", "To", "Date", "List-Unsubscribe", "List-Unsubscribe-Post")
WEB_LINK = "<base target='_blank' rel='noreferrer'>"


@dataclass(frozen=True, slots=True)
class Reading:
    """What the pages show of a letter; any bytes can be read, also broken ones."""

    subject: str
    headers: list[tuple[str, str]]
    html: str | None
    text: str | None


def subject(letter: Letter) -> str:
    """The decoded subject, also from a head without its body."""
    return _header(_parse(letter.raw), "Subject") or "(no subject)"


def read(letter: Letter) -> Reading:
    """The letter with its first HTML part and its first plain one."""
    message = _parse(letter.raw)
    headers = [(name, _header(message, name)) for name in SHOWN_HEADERS if name in message]
    return Reading(
        subject=subject(letter),
        headers=headers,
        html=_part(message, "html"),
        text=_part(message, "plain"),
    )


def framed(html: str) -> str:
    """The HTML for a sandboxed frame: its links open beside it, in a tab of their own."""
    head, opened, rest = html.partition("<head>")
    if opened:
        return f"{head}{opened}{WEB_LINK}{rest}"
    return f"{WEB_LINK}{html}"


def _parse(raw: bytes) -> EmailMessage:
    return email.message_from_bytes(raw, policy=email.policy.default)


def _header(message: EmailMessage, name: str) -> str:
    try:
        return str(message[name] or "")
    except (ValueError, IndexError, AttributeError):  # the parser trips over some broken headers
        return "(unreadable)"


def _part(message: EmailMessage, kind: str) -> str | None:
    part = message.get_body((kind,))
    if part is None:
        return None
    try:
        return str(part.get_content())
    except (LookupError, ValueError):
        payload = part.get_payload(decode=True)
        return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
