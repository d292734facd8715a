"""Hands letters to a relay over kept connections; bytes and sockets, no database, no settings.

A `Fleet` of lines carries letters: `hand_in`, `turn`, `dot` what is `ready`, fetch what has
`ended`. A letter is handed over by its dot and by nothing else: a verdict is uncertain only after
it, and accepted only after it; before the dot, when the server waits for nothing else, the caller
looks at consent a last time.

A `Carrier` is one line at work, a `Speaker` its speaking half, with a `Cargo` of letters, the
`Questions` it has asked and a `Pipe` to write into; the `Dock` keeps the letters of all lines.
"""

from crm.mail.smtp.fleet import Fleet
from crm.mail.smtp.letter import Letter
from crm.mail.smtp.relay import Relay
from crm.mail.smtp.verdict import Kind, Stage, Verdict

__all__ = [
    "Fleet",
    "Kind",
    "Letter",
    "Relay",
    "Stage",
    "Verdict",
]
