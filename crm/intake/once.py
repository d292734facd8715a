"""The same submission twice is one: a key of the sender's, and a digest of what came under it."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from crm.errors import Invalid, later
from crm.intake.models import Form, Submission


class OtherBody(Invalid):
    """An Idempotency-Key came again with something else."""

    say = later("This Idempotency-Key was used for another submission. Use a new key for this one.")


@dataclass(frozen=True, slots=True)
class Once:
    """What makes two POSTs the same: a key, and a keyed digest of what came with it."""

    key: bytes
    digests: tuple[bytes, ...]
    """Under every secret key, newest first."""


def once(key: str, came: Sequence[tuple[str, str]], *, keys: tuple[str, ...]) -> Once:
    """Return what tells a repetition; ``came`` is everything that was sent but our defences."""
    body = b"\0".join(part.encode("utf-8", "replace") for pair in sorted(came) for part in pair)
    digests = tuple(hmac.digest(secret.encode(), body, "sha256") for secret in keys)
    return Once(hashlib.sha256(key.encode("utf-8", "replace")).digest(), digests)


def earlier(session: Session, form: Form, once: Once) -> Submission | None:
    """Return the submission made under this key before, and keep others with it waiting.

    Of two at once the second waits for the first one's commit, so it always finds it.

    Raises:
        OtherBody: something else came under the key.

    """
    lock = int.from_bytes(hashlib.sha256(b"%d:" % form.id + once.key).digest()[:8], signed=True)
    session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock})
    found = session.scalar(
        select(Submission).where(Submission.form_id == form.id, Submission.idempotency == once.key)
    )
    if found is not None and not _same_body(found, once):
        raise OtherBody(f"submission {found.id}")
    return found


def _same_body(found: Submission, once: Once) -> bool:
    stored = found.body_digest or b""
    return any(hmac.compare_digest(stored, digest) for digest in once.digests)
