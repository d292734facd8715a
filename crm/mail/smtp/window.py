"""A window of letters over as many lines, all at once: offer, dot, replies.

A window costs four round trips, whatever its size, and the dot stands alone: between the body and
the dot the caller looks at consent for the last time. Each line tells its own story; how much of
it is said per round trip is decided in `_hand_in` and nowhere else.
"""

import time
from collections.abc import Callable, Iterable

from crm.errors import later
from crm.mail.smtp.letter import Letter
from crm.mail.smtp.line import Interrupted, Line, Lost, Stage
from crm.mail.smtp.opening import Failed, open_wire
from crm.mail.smtp.reply import Garbled, Reply
from crm.mail.smtp.verdict import Stage as At
from crm.mail.smtp.verdict import Verdict, judged, not_handed_over, refused_here, uncertain
from crm.mail.smtp.wait import WRITE, Deadline, Talk, Wait, drive
from crm.mail.smtp.wire import told

REPLY_PATIENCE_S = 300.0
"""For the answer to the dot; RFC 5321 4.5.3.2.6 allows the server ten minutes."""

_CLOSE_PATIENCE_S = 1.0
_LARGE = 32_768
_DOT = b".\r\n"
_MISTAKES = (Lost, Garbled, Deadline, OSError)


def offer(
    letters: Iterable[tuple[Line, Letter]], *, timeout_s: float, beat: Callable[[], object]
) -> None:
    """Hand in all letters but their dots; after it each line is `ready` or has a `verdict`.

    Opens what is not open. A line still `ready` from before is cut: its letter is discarded.
    Never raises for anything a server does; what `beat` raises comes through, all lines cut.

    Raises: ValueError when a line is given twice or its last answer was not gathered.
    """
    pairs = list(letters)
    lines = [line for line, _ in pairs]
    if len(set(lines)) < len(lines) or any(line.dotted for line in lines):
        raise ValueError("A line carries one letter at a time: gather the replies first.")
    for line, letter in pairs:
        line.verdict = None
        line.private = letter.private()
        if line.ready:
            line.cut()
    talks = [_settled(line, _hand_in(line, letter), not_handed_over) for line, letter in pairs]
    try:
        drive(talks, deadline=time.monotonic() + timeout_s, beat=beat)
    except BaseException:
        for line in lines:
            line.cut()
        raise


def dot(line: Line) -> bool:
    """Write the final dot without waiting; return whether the letter is dispatched.

    After False the line has a `verdict`, unless it was not `ready`: nothing is handed over, and
    the connection is cut. Never raises.
    """
    if not line.ready:
        return False
    try:
        if line.glance():
            line.verdict = _too_early(line, line.heard())
        elif line.send_now(_DOT):
            line.stage = Stage.DOTTED
            return True
        else:
            line.verdict = not_handed_over(later("The relay does not read what it is sent."))
    except _MISTAKES as fault:
        line.verdict = not_handed_over(told(fault))
    line.cut()
    return False


def replies(
    lines: Iterable[Line],
    *,
    timeout_s: float = REPLY_PATIENCE_S,
    beat: Callable[[], object],
) -> None:
    """Gather the answers to the dots; after it each of the lines that were `dotted` has a verdict.

    Other lines are left alone. Never raises for anything a server does; when `beat` raises, that
    comes through, and lines without an answer are still `dotted` and may be given again.
    """
    dotted = {line for line in lines if line.dotted}
    talks = [_settled(line, _conclude(line), uncertain) for line in dotted]
    drive(talks, deadline=time.monotonic() + timeout_s, beat=beat)


def drop(line: Line) -> None:
    """Cut the connection: the only way to take a letter back before its dot. Never raises.

    Where the dot was written already and not answered, the verdict is uncertain.
    """
    if line.dotted:
        line.verdict = uncertain(later("The connection was given up before the relay answered."))
    line.cut()


def close(lines: Iterable[Line]) -> None:
    """Say QUIT on all lines at once, waits at most a second, closes. Never raises.

    A body without its dot is taken back, a dot without its answer becomes uncertain.
    """
    lines = list(lines)
    for line in lines:
        if line.ready or line.dotted:
            drop(line)
    talks = [_leave(line) for line in lines if line.stage is not Stage.CLOSED]
    drive(talks, deadline=time.monotonic() + _CLOSE_PATIENCE_S, beat=lambda: None)


def _settled(
    line: Line, talk: Talk[Verdict | None], broken: Callable[[str], Verdict]
) -> Talk[None]:
    """Run a talk to its verdict; where it breaks, `broken` says what that means."""
    try:
        line.verdict = yield from talk
    except Failed as failed:
        line.verdict = failed.verdict
    except _MISTAKES as fault:
        line.cut()
        line.verdict = broken(told(fault))


def _hand_in(line: Line, letter: Letter) -> Talk[Verdict | None]:
    reply = yield from _mail(line, letter)
    if reply.code // 100 != 2:
        return _refused(line, reply, At.MAIL)
    reply = yield from line.ask(b"RCPT TO:<" + letter.recipient.encode("ascii") + b">")
    if reply.code // 100 != 2:
        return _refused(line, reply, At.RCPT)
    reply = yield from line.ask(b"DATA")
    if reply.code != 354:
        return _refused(line, reply, At.DATA)
    return (yield from _pour(line, letter.body))


def _mail(line: Line, letter: Letter) -> Talk[Reply]:
    """Return the answer to MAIL FROM, over a new connection if the kept one has been given up."""
    if line.is_fresh():
        try:
            reply = yield from line.ask(_mail_command(line, letter))
            if reply.code != 421:
                return reply
        except (Lost, Garbled, OSError):
            pass
    yield from open_wire(line)
    line.stage = Stage.IDLE
    return (yield from line.ask(_mail_command(line, letter)))


def _mail_command(line: Line, letter: Letter) -> bytes:
    """Return the command. Raises: `Failed` where the server cannot take this letter."""
    command = b"MAIL FROM:<" + letter.sender.encode("ascii") + b">"
    size = len(letter.body)
    if "SIZE" in line.features:
        limit = line.features["SIZE"]
        if limit.isdecimal() and 0 < int(limit) < size:
            text = later("The letter is larger than the relay takes.")
            raise Failed(refused_here(552, "5.3.4", text, stage=At.MAIL))
        command += b" SIZE=%d" % size
    if not letter.body.isascii():
        if "8BITMIME" not in line.features:
            text = later("The relay takes letters of 7 bits only.")
            raise Failed(refused_here(554, "5.6.3", text, stage=At.MAIL, relay_wide=True))
        command += b" BODY=8BITMIME"
    line.letters += 1
    return command


def _pour(line: Line, body: bytes) -> Talk[Verdict | None]:
    try:
        yield from line.say(body)
    except Interrupted:
        reply = yield from line.hear()
        line.cut()
        return _too_early(line, reply)
    if len(body) > _LARGE:
        yield Wait(line.sock, WRITE)  # room for the dot, which must not wait
    line.stage = Stage.READY
    return None


def _conclude(line: Line) -> Talk[Verdict | None]:
    reply = yield from line.hear()
    if reply.code // 100 == 3:
        raise Garbled
    if reply.code == 421:
        line.hang_up()
    else:
        line.rest()
    return judged(reply, stage=At.DOT, private=line.private)


def _refused(line: Line, reply: Reply, stage: At) -> Verdict:
    """Return the verdict of a refusal; the line lives on, unless the server leaves."""
    if reply.code // 100 not in (4, 5):
        raise Garbled
    if reply.code == 421:
        line.hang_up()
    else:
        line.reset_transaction()
    return judged(reply, stage=stage, private=line.private)


def _too_early(line: Line, reply: Reply | None) -> Verdict:
    """Return the verdict of an answer that came while the body still lacked its dot."""
    if reply is None or reply.code // 100 not in (4, 5):
        return not_handed_over(later("The relay answered before the letter was complete."))
    return judged(reply, stage=At.DATA, private=line.private)


def _leave(line: Line) -> Talk[None]:
    try:
        if line.stage is Stage.LEAVING:
            yield from line.hear()
        else:
            yield from line.ask(b"QUIT")
    except _MISTAKES:
        pass
    finally:
        line.hang_up()
