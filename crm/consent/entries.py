"""What the ledger says to the database: statements that ``crm.straight`` takes in one breath.

``ledger`` decides which of them; those that follow an event name it by the sequence of its ids, so
nothing waits to hear its id first.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from crm.consent.models import ConsentEvent
from crm.consent.rules import Act, Channel, Purpose, Reason, Standing
from crm.consent.tokens import key_id
from crm.contacts.models import Kind
from crm.straight import Statement, array


def locking(address_id: int, purpose: Purpose, channel: Channel | None) -> Sequence[Statement]:
    """Return what begins a standing, if there was none, and what locks it.

    The last answers with the address's kind, value and, once destroyed, last token; then with the
    standing's channel and its moments; or with no row, for no address. Two statements: only one
    that begins after the other may see what another transaction has begun meanwhile.
    """
    asked = {"address_id": address_id, "purpose": purpose, "channel": channel}
    return (_BEGIN, asked), (_LOCK, asked)


def adding(event: ConsentEvent) -> Statement:
    """Return what adds the event, and answers with its id."""
    return _ADD, {name: getattr(event, name) for name in _COLUMNS}


def proving(salt: bytes, evidence: Mapping[str, Any]) -> Statement:
    """Return what keeps the evidence of the event that was just added."""
    return _PROVE, {"salt": salt, "evidence": json.dumps(evidence)}


def advancing(event: ConsentEvent, after: Standing) -> Statement:
    """Return what brings the standing up to date with the event that was just added."""
    mark = {Act.ASKED: "", Act.CONFIRMED: f", grant_event_id = {_ID}"}
    key = {name: getattr(event, name) for name in ("address_id", "purpose", "channel")}
    sql = f"{_ADVANCE}{mark.get(event.act, f', stop_event_id = {_ID}')} WHERE {_IT}"
    return sql, key | after._asdict()


def suppressing(event: ConsentEvent, reason: Reason, kind: Kind, *, key: str) -> Statement:
    """Return what enters the event that was just added into the stop list."""
    return _SUPPRESS, {
        "token": event.token,
        "purpose": event.purpose,
        "kind": kind,
        "key_id": key_id(key),
        "reason": reason,
        "at": event.at,
    }


def lifting(event: ConsentEvent, tokens: Sequence[bytes]) -> Statement:
    """Return what lifts the older entries of the stop list, by the event that was just added."""
    return _LIFT, {"tokens": array(tokens), "purpose": event.purpose, "at": event.at}


_COLUMNS: Final = [one.name for one in ConsentEvent.__table__.columns if not one.primary_key]
_ID = "currval('consent_events_id_seq')"
"""Of the event that this session has added last."""
_IT = "address_id = %(address_id)s AND purpose = %(purpose)s AND channel = %(channel)s"
_OWN = "coalesce(%(channel)s, CASE a.kind WHEN 'email' THEN 'email' ELSE 'sms' END)"

_ADVANCE = f"""
    UPDATE standings SET {", ".join(f"{name} = %({name})s" for name in Standing._fields)}
"""  # noqa: S608 - constants

_BEGIN = f"""
    INSERT INTO standings (address_id, purpose, channel)
    SELECT a.id, %(purpose)s, {_OWN} FROM addresses a WHERE a.id = %(address_id)s
    ON CONFLICT DO NOTHING
"""  # noqa: S608 - constants

_LOCK = f"""
    SELECT a.kind, a.value, CASE WHEN a.value IS NULL THEN (
               SELECT e.token FROM consent_events e
               WHERE e.address_id = a.id ORDER BY e.id DESC LIMIT 1
           ) END, s.channel, {", ".join(f"s.{name}" for name in Standing._fields)}
    FROM standings s JOIN addresses a ON a.id = s.address_id
    WHERE s.address_id = %(address_id)s AND s.purpose = %(purpose)s AND s.channel = {_OWN}
    FOR UPDATE OF s
"""  # noqa: S608 - constants

_ADD = f"""
    INSERT INTO consent_events ({", ".join(_COLUMNS)})
    VALUES ({", ".join(f"%({name})s" for name in _COLUMNS)}) RETURNING id
"""  # noqa: S608 - constants

_PROVE = f"""
    INSERT INTO consent_payloads (event_id, salt, evidence)
    VALUES ({_ID}, %(salt)s, %(evidence)s)
"""  # noqa: S608 - constants

_SUPPRESS = f"""
    INSERT INTO suppressions AS s (token, purpose, kind, key_id, reason, at, event_id)
    VALUES (%(token)s, %(purpose)s, %(kind)s, %(key_id)s, %(reason)s, %(at)s, {_ID})
    ON CONFLICT (token, purpose) DO UPDATE SET
        kind = excluded.kind, key_id = excluded.key_id, reason = excluded.reason,
        at = excluded.at, event_id = excluded.event_id, lifted_at = NULL, lifted_by = NULL
    WHERE s.lifted_at IS NOT NULL OR s.at < excluded.at
"""  # noqa: S608 - constants

_LIFT = f"""
    UPDATE suppressions SET lifted_at = %(at)s, lifted_by = {_ID}
    WHERE token = ANY(%(tokens)s::bytea[]) AND purpose = %(purpose)s
        AND lifted_at IS NULL AND at < %(at)s
"""  # noqa: S608 - constants
