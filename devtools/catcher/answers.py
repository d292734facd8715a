"""What the catcher answers: 250, unless the address itself asks for something else.

The local part may begin with a word, perhaps a number, and then `.`, `-`, `_`, `+` or its end:

reject550.anna@…   550 5.1.1 at RCPT: no such mailbox
later451.anna@…    451 4.3.0 at RCPT: try again
refuse554.anna@…   554 5.7.1 at the final dot; the letter is not kept
slow1500.anna@…    kept at the final dot, answered 1,500 ms later
vanish.anna@…      kept at the final dot, and the connection closed without an answer
"""

import re
from dataclasses import dataclass

ACCEPTED = "250 2.0.0 Accepted"
SCRIPT = re.compile(r"(reject|later|refuse|slow|vanish)(\d{0,5})(?=[.+_@-])", re.IGNORECASE)
DEFAULTS = {"reject": 550, "later": 451, "refuse": 554, "slow": 1000, "vanish": 0}
MEANINGS = {
    421: "4.3.2 Not accepting mail now",
    450: "4.2.1 Mailbox busy",
    451: "4.3.0 Try again later",
    452: "4.2.2 Mailbox full",
    455: "4.7.28 Too many letters at once",
    550: "5.1.1 No such mailbox",
    552: "5.2.2 Mailbox full",
    553: "5.1.3 Bad address",
    554: "5.7.1 Refused by policy",
}


@dataclass(frozen=True)
class Answers:
    """One recipient's share of a conversation."""

    to_rcpt: str | None = None
    """Refuses the recipient."""
    to_dot: str | None = ACCEPTED
    """None: the connection is closed instead."""
    delay_s: float = 0.0
    """Between keeping the letter and answering its dot."""

    @property
    def keeps(self) -> bool:
        """Whether the letter counts as received."""
        return self.to_dot is None or self.to_dot.startswith("2")


def answers_to(recipient: str) -> Answers:
    """What the address asks for."""
    asked = SCRIPT.match(recipient)
    if asked is None:
        return Answers()
    word = asked[1].lower()
    number = int(asked[2] or DEFAULTS[word])
    match word:
        case "reject" | "later":
            return Answers(to_rcpt=_reply(number))
        case "refuse":
            return Answers(to_dot=_reply(number))
        case "slow":
            return Answers(delay_s=number / 1000)
        case _:
            return Answers(to_dot=None)


def _reply(code: int) -> str:
    return f"{code} {MEANINGS.get(code, f'{code // 100}.0.0 As the address asks')}"
