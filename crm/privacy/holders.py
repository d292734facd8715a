"""Every table that holds something about a person.

The access report and destruction walk this list; an architecture test compares it with the
schema, so that a new table about people cannot be forgotten.
"""

from crm.appointments.models import Appointment, Request
from crm.consent.models import AddressStanding, ConsentEvent, ConsentPayload
from crm.contacts.models import Address, Contact, ContactAddress
from crm.db import Base
from crm.delivery.models import Delivery
from crm.delivery.pacing_models import PromotionalDay
from crm.intake.models import Submission

HOLDERS: tuple[type[Base], ...] = (
    Contact,
    Address,
    ContactAddress,
    ConsentEvent,
    ConsentPayload,
    AddressStanding,
    Request,
    Appointment,
    Submission,
    Delivery,
    PromotionalDay,
)
