"""One letter as a server is told it."""

import re
from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field

from crm.errors import later
from crm.mail.smtp.verdict import Stage, Verdict, not_handed_over, refused_here

_ADDRESS = re.compile(r"[!-;=?-~]{1,320}")


@dataclass(frozen=True, slots=True)
class Letter:
    """One letter to one recipient.

    `body` is the whole message, dot-stuffed, every line ended by CRLF, without the final dot.
    An empty `sender` is the null return path. With `is_stuffed` the caller vouches that no line
    of the body is a single dot, by whatever line ends; otherwise all of it is searched for one.

    Raises: ValueError for an address that could break out of its command (IDN must be A-labels),
    and for a body that would end itself, or would not let the dot end it.
    """

    sender: str = field(repr=False)
    recipient: str = field(repr=False)
    body: bytes = field(repr=False)
    is_stuffed: InitVar[bool] = False

    def __post_init__(self, is_stuffed: bool) -> None:
        if self.sender and not _ADDRESS.fullmatch(self.sender):
            raise ValueError("The sender's address cannot be written in an SMTP command.")
        if not _ADDRESS.fullmatch(self.recipient):
            raise ValueError("The recipient's address cannot be written in an SMTP command.")
        if not self.body.endswith(b"\r\n"):
            raise ValueError("A body must end with CRLF.")
        if not is_stuffed and _ends_itself(self.body):
            raise ValueError("A body must not hold a line of a single dot.")

    def envelope(self, features: Mapping[str, str]) -> bytes | Verdict:
        """Return MAIL, RCPT and DATA for a server of these features, or why it cannot be asked.

        A body of 8 bits that the server does not take is not handed over: print it anew.
        """
        size = bits = ""
        limit = features.get("SIZE")
        if limit is not None:
            if limit.isdecimal() and 0 < int(limit) < len(self.body):
                text = later("The letter is larger than the relay takes.")
                return refused_here(552, "5.3.4", text, stage=Stage.MAIL)
            size = f" SIZE={len(self.body)}"
        if not self.body.isascii():
            if "8BITMIME" not in features:
                text = later("The relay takes letters of 7 bits only.")
                return not_handed_over(text, stage=Stage.MAIL, relay_wide=False)
            bits = " BODY=8BITMIME"
        mail = f"MAIL FROM:<{self.sender}>{size}{bits}"
        return f"{mail}\r\nRCPT TO:<{self.recipient}>\r\nDATA\r\n".encode()

    def private(self) -> tuple[str, ...]:
        """Return what stands before the @: no stored text may repeat it, as servers like to."""
        return self.recipient.rpartition("@")[0], self.sender.rpartition("@")[0]


def _ends_itself(body: bytes) -> bool:
    """Tell whether a line is a single dot. Searched from behind: nothing else is as fast."""
    if body.startswith((b".\r\n", b".\n")):
        return True
    at = body.rfind(b"\n.")
    while at >= 0:
        if body.startswith((b"\r\n", b"\n"), at + 2):
            return True
        at = body.rfind(b"\n.", 0, at)
    return False
