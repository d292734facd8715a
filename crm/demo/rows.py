"""From the invented world to rows, each kind in one statement."""

from collections.abc import Iterator
from enum import StrEnum
from random import Random
from typing import Any, Final

from psycopg import sql
from psycopg.types.json import Jsonb
from sqlalchemy import text
from sqlalchemy.orm import Session

from crm.clinic.models import Clinic
from crm.consent.ledger import STOPPING, digest
from crm.consent.models import AddressStanding, ConsentEvent, ConsentPayload, Suppression
from crm.consent.refold import Folded
from crm.consent.rules import Act
from crm.consent.tokens import key_id, suppression_token
from crm.contacts.models import Address, Contact, ContactAddress
from crm.db import Base
from crm.demo.texts import Texts
from crm.demo.world import Fact, Person, Place, World
from crm.intake.evidence import Circumstances, of_tick
from crm.intake.models import Form

Row = dict[str, Any]
BOXES: Final = ("processing", "marketing_email")


def put(session: Session, model: type[Base], rows: list[Row]) -> None:
    """Copy the rows in, and let the sequence of their ids go on after them.

    COPY, because a first start should not take longer than looking at it: defaults of the model
    do not enter, so each row names every column that must not be NULL.
    """
    if not rows:
        return
    columns = list(rows[0])
    copied = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(model.__tablename__),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
    )
    cursor = session.connection().connection.cursor()
    with cursor.copy(copied) as copy:
        for row in rows:
            copy.write_row([_plain(row[name]) for name in columns])
    cursor.close()
    if "id" in columns:
        session.execute(
            text("SELECT setval(pg_get_serial_sequence(:table, 'id'), :last)"),
            {"table": model.__tablename__, "last": max(row["id"] for row in rows)},
        )


def _plain(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return value.value
    return Jsonb(value) if isinstance(value, dict) else value


def put_people(session: Session, world: World) -> None:
    """Write contacts, addresses, and who is reached where."""
    put(session, Contact, [_contact(person) for person in world.people])
    put(session, Address, [_address(place) for place in world.places])
    put(
        session,
        ContactAddress,
        [
            {"contact_id": person.id, "address_id": place.id, "added_at": person.at}
            for person in world.people
            for place in (person.email, person.phone)
            if place is not None
        ],
    )


def put_ledger(
    session: Session,
    facts: list[Fact],
    rng: Random,
    *,
    texts: Texts,
    forms: dict[str, Form],
    clinic: Clinic,
    key: str,
) -> None:
    """Write the facts in their order, with evidence, standings and stop list beside them.

    The same as recording them one by one through ``consent.ledger.record``; a test holds the two
    together by folding the ledger anew.
    """
    tokens = {
        fact.place.id: suppression_token(fact.place.kind, fact.place.value, key=key)
        for fact in facts
    }
    ticked = {(fact.person, fact.at, fact.text_key) for fact in facts if fact.act is Act.ASKED}
    events: list[Row] = []
    payloads: list[Row] = []
    for number, fact in enumerate(facts, 1):
        fact.id = number
        evidence = _evidence(fact, ticked, texts=texts, forms=forms, clinic=clinic)
        salt = rng.randbytes(16)
        events.append(_event(fact, tokens[fact.place.id], texts, evidence, salt))
        if evidence:
            payloads.append({"event_id": number, "salt": salt, "evidence": evidence})
    put(session, ConsentEvent, events)
    put(session, ConsentPayload, payloads)
    put(session, AddressStanding, list(_standings(facts)))
    put(session, Suppression, list(_suppressions(facts, tokens, key=key)))


def _contact(person: Person) -> Row:
    return {
        "id": person.id,
        "last_name": person.called.last,
        "first_name": person.called.first,
        "patronymic": person.called.patronymic,
        "category": person.category,
        "source": person.source,
        "note": person.note,
        "created_at": person.at,
        "created_by": person.created_by,
        "revision": 1,
    }


def _address(place: Place) -> Row:
    return {
        "id": place.id,
        "kind": place.kind,
        "value": place.value,
        "display": place.display,
        "provider": place.provider,
        "created_at": place.since,
        "blocked_at": place.blocked_at,
    }


def _event(
    fact: Fact, token: bytes, texts: Texts, evidence: dict[str, Any] | None, salt: bytes
) -> Row:
    lang = fact.person.lang if fact.person else "ru"
    shown = texts.at(fact.text_key, lang, fact.shown_at) if fact.text_key else None
    return {
        "id": fact.id,
        "at": fact.at,
        "act": fact.act,
        "purpose": fact.purpose,
        "channel": fact.channel,
        "address_id": fact.place.id,
        "token": token,
        "contact_id": fact.person.id if fact.person else None,
        "text_id": shown.id if shown else None,
        "source": fact.source,
        "actor_id": fact.actor_id,
        "delivery_id": fact.delivery_id,
        "expires_at": fact.expires_at,
        "payload_digest": digest(salt, evidence) if evidence else None,
    }


def _evidence(
    fact: Fact,
    ticked: set[tuple[Any, ...]],
    *,
    texts: Texts,
    forms: dict[str, Form],
    clinic: Clinic,
) -> dict[str, Any] | None:
    person = fact.person or fact.place.people[0]
    if fact.evidence == "paper":
        return {"document": f"Согласие на бумаге № {1000 + fact.place.id}", "kept": "регистратура"}
    if fact.evidence == "page":
        return {"ip": person.ip, "user_agent": person.agent}
    if fact.evidence != "tick" or fact.text_key is None:
        return None
    boxes = {
        key: texts.at(key, person.lang, fact.at) if (fact.person, fact.at, key) in ticked else None
        for key in BOXES
    }
    form = forms[fact.source]
    return of_tick(
        texts.at(fact.text_key, person.lang, fact.at),
        fact.place.display,
        Circumstances(
            origin=clinic.site_url,
            page=f"{clinic.site_url}/{form.key}",
            ip=person.ip,
            user_agent=person.agent,
            lang=person.lang,
        ),
        form_key=form.key,
        boxes=boxes,
        policy=texts.at("policy", person.lang, fact.at),
        clinic=clinic,
        at=fact.at,
    )


def _standings(facts: list[Fact]) -> Iterator[Row]:
    folded: dict[tuple[Any, ...], Folded] = {}
    for fact in facts:
        key = (fact.place.id, fact.purpose, fact.channel)
        folded[key] = folded.get(key, Folded()).after(fact)
    for (address_id, purpose, channel), one in folded.items():
        yield {
            "address_id": address_id,
            "purpose": purpose,
            "channel": channel,
            **one.columns(),
        }


def _suppressions(facts: list[Fact], tokens: dict[int, bytes], *, key: str) -> Iterator[Row]:
    listed: dict[tuple[Any, ...], Row] = {}
    for fact in facts:
        where = (fact.place.id, fact.purpose)
        known = listed.get(where)
        is_open = known is not None and known["lifted_at"] is None
        if fact.act in STOPPING and not is_open:
            listed[where] = {
                "token": tokens[fact.place.id],
                "purpose": fact.purpose,
                "kind": fact.place.kind,
                "key_id": key_id(key),
                "reason": STOPPING[fact.act],
                "at": fact.at,
                "event_id": fact.id,
                "lifted_at": None,
                "lifted_by": None,
            }
        elif fact.act is Act.CONFIRMED and known is not None and is_open and known["at"] < fact.at:
            known["lifted_at"], known["lifted_by"] = fact.at, fact.id
    yield from listed.values()
