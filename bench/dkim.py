"""What signing costs beside everything else: letters a second with DKIM, to signatures alone.

Each round takes turns between a bare loop of RSA-2048 signatures by `cryptography`, in as many
processes as there are senders, and a campaign whose every letter is signed with such a key by the
senders, with the sink and PostgreSQL on the same cores. The ratio says as much about the processor:
where OpenSSL has AVX-512 IFMA to sign with, a signature costs half, and the rest of a letter weighs
twice as much. So both are measured once more without it, as on other processors.
"""

import contextlib
import hashlib
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from email import message_from_bytes

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from sqlalchemy import Engine

from bench.rig import clinic, mailings, options, people
from bench.rig.capture import a_letter
from bench.rig.letter import ENVELOPE
from bench.rig.processes import cpu_s, family
from bench.rig.product import SLOTS, running
from bench.rig.race import watched
from bench.rig.report import Report, Row
from bench.rig.smtp import Sink, sink
from crm.config import from_environ
from crm.mail import dkim_keys
from devtools.terminal import working

LETTERS = 20_000
LOOP_S = 5.0
BITS = 2048
WITHOUT_IFMA = {"OPENSSL_ia32cap": ":~0x200000"}
"""Bit 21 of EBX of CPUID leaf 7, which OpenSSL leaves out then; nothing where it is not there."""


def main() -> int:
    """Measure, and return the exit status."""
    asked = options.asked(
        "dkim", __doc__ or "", letters=LETTERS, quick_letters=4000, minutes="five minutes"
    )
    report, cores = Report("dkim", asked), len(os.sched_getaffinity(0))
    with clinic.opened() as engine:
        people.load(engine, asked.letters)
        _make_a_key()
        if "DKIM-Signature" not in message_from_bytes(a_letter(engine)):
            raise SystemExit("Letters are not signed: there is nothing to compare.")
        with sink() as taker:
            for _ in range(asked.rounds):
                row = _round(engine, taker, asked.letters)
                with _environment(WITHOUT_IFMA):
                    plain = _round(engine, taker, asked.letters)
                report.add(row | {f"plain_{name}": value for name, value in plain.items()})
    report.tell(
        f"Processor time of the senders: {report.median('senders_us'):.0f} µs a letter, of which a"
        f" signature takes {1e6 * cores / report.median('bare/s'):.0f}."
    )
    report.tell(
        f"Without AVX-512 IFMA {report.median('plain_to_signing'):.2f} of"
        f" {report.median('plain_bare/s'):,.0f} signatures/s, instead of"
        f" {report.median('to_signing'):.2f} of {report.median('bare/s'):,.0f}."
    )
    return report.end({"ratio_to_signing": report.median("to_signing")})


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Set these for the processes that are started meanwhile."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            os.environ.pop(name)
        os.environ.update(before)


def _make_a_key() -> None:
    directory = from_environ().state_dir / "dkim"
    domain = ENVELOPE.sender_address.rpartition("@")[2]
    dkim_keys.prepare(directory, domain, "bench")
    for key in dkim_keys.stored(directory, domain):
        dkim_keys.use(directory, key)


def _round(engine: Engine, taker: Sink, letters: int) -> Row:
    fresh = multiprocessing.get_context("spawn")
    with working("Bare signatures"), ProcessPoolExecutor(SLOTS["bulk"], fresh) as pool:
        bare = sum(pool.map(_signatures_a_second, range(SLOTS["bulk"])))
    with running(engine, taker.url) as product:
        senders = family(product.workers["bulk"])
        before, spent = taker.letters(), cpu_s(senders)
        mailing_id = mailings.launched(engine, from_environ())
        with working("Signed letters"):
            stretch = watched(taker, before, letters)
        assert mailings.accepted(engine, mailing_id) == letters
        senders_us = (cpu_s(senders) - spent) / letters * 1e6
    to_signing = stretch.rate / bare
    return {
        "bare/s": bare,
        "signed/s": stretch.rate,
        "senders_us": senders_us,
        "to_signing": to_signing,
    }


def _signatures_a_second(_number: int) -> float:
    key = generate_private_key(65537, BITS)
    padding, prehashed = PKCS1v15(), Prehashed(SHA256())
    digest = hashlib.sha256(os.urandom(32)).digest()
    signed, began = 0, time.perf_counter()
    while time.perf_counter() - began < LOOP_S:
        key.sign(digest, padding, prehashed)
        signed += 1
    return signed / (time.perf_counter() - began)


if __name__ == "__main__":
    sys.exit(main())
