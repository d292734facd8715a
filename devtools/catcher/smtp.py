"""The SMTP side of the catcher."""

import asyncio
import time

from aiosmtpd.smtp import SMTP, Envelope, Session

from devtools.catcher.answers import ACCEPTED, Answers, answers_to
from devtools.catcher.store import Store

LARGEST_BYTES = 33_554_432
IDLE_S = 600


class Handler:
    """Keeps what comes. The names of the methods are aiosmtpd's."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def handle_EHLO(  # noqa: N802
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, lines: list[str]
    ) -> list[str]:
        """Offers pipelining too: commands are read one after another from a buffer anyway."""
        session.host_name = hostname
        return [*lines[:-1], "250-PIPELINING", "250-ENHANCEDSTATUSCODES", lines[-1]]

    async def handle_RCPT(  # noqa: N802
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        """Takes the recipient or gives the scripted refusal."""
        refused = answers_to(address).to_rcpt
        if refused:
            return refused
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 Recipient taken"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Called when the final dot has been read."""
        at_ns = time.monotonic_ns()
        answers = _first_scripted(envelope.rcpt_tos)
        if answers.keeps:
            self._keep(envelope, at_ns)
        if answers.delay_s:
            await asyncio.sleep(answers.delay_s)
        if answers.to_dot is None and server.transport is not None:
            server.transport.close()
        return answers.to_dot or ACCEPTED

    def _keep(self, envelope: Envelope, at_ns: int) -> None:
        self._store.append(
            at_ns=at_ns,
            received=time.time(),
            sender=envelope.mail_from or "",
            recipients=[str(each) for each in envelope.rcpt_tos],
            raw=envelope.original_content or b"",
        )


def _first_scripted(recipients: list[str]) -> Answers:
    scripts = [answers_to(each) for each in recipients]
    return next((each for each in scripts if each != Answers()), Answers())


async def listen(store: Store, *, host: str, port: int) -> asyncio.Server:
    """The listening server; port 0 takes any."""
    handler = Handler(store)
    loop = asyncio.get_running_loop()

    def converse() -> SMTP:
        return SMTP(
            handler,
            hostname="catcher.test",
            ident="ESMTP",
            data_size_limit=LARGEST_BYTES,
            timeout=IDLE_S,
            loop=loop,
        )

    return await loop.create_server(converse, host=host, port=port, backlog=256)
