"""Hands letters to a relay over kept connections; bytes and sockets, no database, no settings.

`offer` brings a window of bodies to the server, `dot` dispatches one of them, `replies` gathers
the answers, `drop` takes a body back, `close` says goodbye. A letter is handed over by its dot
and by nothing else: a verdict is uncertain only after it, and accepted only after it.
"""

from crm.mail.smtp.line import Line
from crm.mail.smtp.relay import Relay
from crm.mail.smtp.verdict import Kind, Verdict
from crm.mail.smtp.window import Letter, close, dot, drop, offer, replies

__all__ = [
    "Kind",
    "Letter",
    "Line",
    "Relay",
    "Verdict",
    "close",
    "dot",
    "drop",
    "offer",
    "replies",
]
