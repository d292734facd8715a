"""Hands letters to a relay over kept connections; bytes and sockets, no database, no settings.

`offer` brings a window of bodies to the server, `dot` dispatches one of them, `replies` gathers
the answers, `drop` takes a body back, `close` says goodbye. A letter is handed over by its dot
and by nothing else: a verdict is uncertain only after it, and accepted only after it.
"""

from crm.mail.smtp.fleet import Fleet
from crm.mail.smtp.letter import Letter
from crm.mail.smtp.line import Line
from crm.mail.smtp.relay import Relay
from crm.mail.smtp.verdict import Kind, Stage, Verdict
from crm.mail.smtp.window import close, dot, drop, offer, replies

__all__ = [
    "Fleet",
    "Kind",
    "Letter",
    "Line",
    "Relay",
    "Stage",
    "Verdict",
    "close",
    "dot",
    "drop",
    "offer",
    "replies",
]
