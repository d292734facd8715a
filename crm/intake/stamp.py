"""The time trap ``_t`` of a form: signed, so that nobody invents when the form was shown."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from itsdangerous import BadSignature, URLSafeSerializer

_SALT = "intake.shown.v1"


@dataclass(frozen=True, slots=True)
class Stamp:
    """When a form was shown; ``nonce`` differs each time."""

    shown_at: datetime
    nonce: str


def mint(form_id: int, *, keys: tuple[str, ...], at: datetime) -> str:
    """Return the value of ``_t`` for a form shown at ``at``."""
    payload = [form_id, int(at.timestamp() * 1000), secrets.token_urlsafe(9)]
    return str(_signer(keys).dumps(payload))


def read(given: str, form_id: int, *, keys: tuple[str, ...]) -> Stamp | None:
    """Return what the stamp says; None if it is not ours, or another form's."""
    try:
        of_form, shown_ms, nonce = _signer(keys).loads(given)
    except (BadSignature, ValueError, TypeError):
        return None
    if of_form != form_id:
        return None
    return Stamp(datetime.fromtimestamp(shown_ms / 1000, UTC), str(nonce))


def _signer(keys: tuple[str, ...]) -> URLSafeSerializer:
    return URLSafeSerializer(
        list(reversed(keys)), salt=_SALT, signer_kwargs={"digest_method": hashlib.sha256}
    )
