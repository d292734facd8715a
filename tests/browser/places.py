"""Where every page of the product is, with the demo clinic in it: endpoint and addresses."""

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from crm.appointments.letters import link
from crm.appointments.models import Appointment, AppointmentState, Request, RequestState
from crm.campaigns.models import Campaign
from crm.config import Settings
from crm.consent.models import ConsentEvent, ConsentText
from crm.consent.rules import Act, Channel, Purpose
from crm.consent.tokens import Right, Unsubscribe, mint, mint_unsubscribe, signer
from crm.contacts.models import Contact
from crm.delivery.models import Mailing
from crm.intake.models import Form
from crm.staff.models import Staff

NOT_PAGES: Final = frozenset(
    {
        "static",
        "health.healthz",
        "health.readyz",
        "health.metrics",
        "campaigns.picture",
        # what stands in a frame, what polling and typing ask for: seen within its page
        "campaigns.preview",
        "campaigns.progress",
        "campaigns.how_long",
        # files
        "campaigns.certificate_as_csv",
        "campaigns.certificate_as_json",
        "appointments.letter",
        "operations.now",
    }
)
Places = dict[str, list[str]]


def places(session: Session, settings: Settings) -> Places:
    """Return the addresses of each page, more than one where a page has several faces."""
    return {
        **_desk(session),
        **_reception(session),
        **_campaigns(session),
        **_settings(session),
        **_public(session, settings),
    }


def _desk(session: Session) -> Places:
    events = func.count(ConsentEvent.id)
    busiest = session.scalars(
        select(ConsentEvent.contact_id)
        .where(ConsentEvent.contact_id.is_not(None))
        .group_by(ConsentEvent.contact_id)
        .order_by(events.desc())
        .limit(1)
    ).one()
    newest = session.scalars(select(func.max(Contact.id))).one()
    return {
        "desk.today": ["/"],
        "desk.contacts": ["/contacts", "/contacts?q=nobody-is-called-so"],
        "desk.contact": [f"/contacts/{busiest}", f"/contacts/{newest}"],
        "contacts.new": ["/contacts/new"],
        "contacts.change": [f"/contacts/{busiest}/edit"],
        "audit.index": ["/audit", "/audit?act=contact.viewed&subject_id=0"],
    }


def _reception(session: Session) -> Places:
    waiting = _first(session, Request.id, Request.state == RequestState.WAITING)
    proposed = _first(
        session, Appointment.request_id, Appointment.state == AppointmentState.PROPOSED
    )
    tabs = [f"/reception?tab={tab}" for tab in ("mine", "offered", "upcoming")]
    return {
        "appointments.queue": ["/reception", *tabs],
        "appointments.day": ["/reception/day"],
        "appointments.show": [f"/reception/requests/{one}" for one in (waiting, proposed)],
    }


def _campaigns(session: Session) -> Places:
    draft = _first(session, Campaign.id, Campaign.mailing_id.is_(None))
    one_each = session.execute(
        select(Mailing.state, func.max(Campaign.id))
        .join(Campaign, Campaign.mailing_id == Mailing.id)
        .group_by(Mailing.state)
    )
    launched = [campaign_id for _state, campaign_id in one_each]
    doubted, again = session.execute(
        select(Campaign.id, Mailing.id).join(Mailing, Mailing.resends_id == Campaign.mailing_id)
    ).one()
    return {
        "campaigns.index": ["/campaigns"],
        "campaigns.new": ["/campaigns/new"],
        "campaigns.compose": [f"/campaigns/{draft}/compose"],
        "campaigns.check": [f"/campaigns/{draft}/check"],
        "campaigns.show": [
            *(f"/campaigns/{one}" for one in launched),
            f"/campaigns/{doubted}",
            f"/campaigns/{doubted}/again/{again}",
        ],
        "campaigns.log": [
            f"/campaigns/{launched[-1]}/journal",
            f"/campaigns/{launched[-1]}/journal?state=withheld",
            f"/campaigns/{doubted}/journal?state=uncertain",
        ],
        "campaigns.ask_again": [
            f"/campaigns/{doubted}/resend?all=1",
            f"/campaigns/{doubted}/resend",
        ],
    }


def _settings(session: Session) -> Places:
    form = _first(session, Form.id)
    someone = _first(session, Staff.id)
    return {
        "clinic.settings": ["/clinic"],
        "relays.index": ["/relays"],
        "paces.index": ["/paces"],
        "operations.show": ["/operations"],
        "installation.show": ["/installation"],
        "relays.declare": ["/relays/127.0.0.1:9"],
        "consent.texts": ["/consent/texts"],
        "consent.versions": ["/consent/texts/marketing_email/ru"],
        "consent.publish_text": ["/consent/texts/policy/en/new"],
        "intake.forms": ["/forms"],
        "intake.form": [f"/forms/{form}"],
        "intake.new_form": ["/forms/new"],
        "intake.edit_form": [f"/forms/{form}/edit"],
        "staff.index": ["/staff"],
        "staff.new": ["/staff/new"],
        "staff.edit": [f"/staff/{someone}"],
        "staff.me": ["/me"],
        "security.change_password": ["/me/password"],
    }


def _public(session: Session, settings: Settings) -> Places:
    keys = settings.secret_keys
    asked = session.scalars(
        select(ConsentEvent)
        .where(ConsentEvent.act == Act.ASKED, ConsentEvent.purpose == Purpose.MARKETING)
        .order_by(ConsentEvent.at.desc())
        .limit(1)
    ).one()
    way_out = Unsubscribe(asked.address_id, Purpose.MARKETING, Channel.EMAIL, None)
    visits = [
        link(_visit(session, state), settings).removeprefix(settings.public_url)
        for state in (AppointmentState.PROPOSED, AppointmentState.CONFIRMED)
    ]
    unsubscribe = mint_unsubscribe(signer(Right.UNSUBSCRIBE, keys), way_out)
    return {
        "security.login": ["/login"],
        "intake.show_form": ["/f/appointment", "/f/question?lang=en", "/f/question?embed=1"],
        "intake.text": [f"/texts/{_first(session, ConsentText.id, ConsentText.key == 'policy')}"],
        "recipients.unsubscribe": [f"/u/{unsubscribe}", "/u/damaged"],
        "recipients.confirm": [f"/o/{mint(signer(Right.CONFIRM, keys), asked.id)}", "/o/damaged"],
        "recipients.appointment": [*visits, "/a/damaged"],
    }


def _visit(session: Session, state: AppointmentState) -> Appointment:
    return session.scalars(
        select(Appointment).where(Appointment.state == state).order_by(Appointment.id.desc())
    ).first() or _none(state)


def _first(session: Session, column: Any, *conditions: Any) -> int:
    found: int | None = session.scalars(select(column).where(*conditions).order_by(column)).first()
    return _none(column) if found is None else found


def _none(what: object) -> Any:
    raise AssertionError(f"the demo has no {what}")


def addresses(found: Places, endpoints: Iterable[str]) -> list[str]:
    """Return the addresses of these endpoints. Fails where a page is in no list."""
    wanted = set(endpoints) - NOT_PAGES
    assert not wanted - set(found), "pages without a sample address: add them to places.py"
    return [address for endpoint in sorted(wanted) for address in found[endpoint]]
