"""The clinic's details: what may stand in them, what is missing, and what the log tells."""

from collections.abc import Callable
from datetime import time

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.audit.models import AuditEvent
from crm.clinic.rules import read_inn, read_ogrn, read_origin, read_site
from crm.clinic.service import details, missing
from crm.errors import Invalid

As = Callable[..., FlaskClient]
GOOD = {
    "name": "Клиника «Север»",
    "legal_name": "ООО «Север»",
    "inn": "7899012340",
    "ogrn": "1237800901238",
    "postal_address": "190000, Санкт-Петербург, Речная ул., 12",
    "phone": "+7 812 000-12-12",
    "email": "info@clinic.example",
    "site_url": "https://clinic.example/",
    "dpo_name": "Анна Иванова",
    "news_email": "news@clinic.example",
    "service_email": "priem@clinic.example",
    "zone": "Asia/Omsk",
    "quiet_from": "21:30",
    "quiet_until": "08:00",
    "letters_per_minute": "1 200",
    "smart_host": "no",
    "one_a_day": "y",
    "cap_per_month": "4",
    "consent_months": "24",
}


@pytest.mark.parametrize("role", ["admin", "dpo"])
def test_the_details_are_saved_as_they_were_typed(
    session: Session, signed_in: As, role: str
) -> None:
    client = signed_in(role)
    assert len(missing(details(session))) == 7
    session.commit()
    assert "#inn" in client.get("/clinic").text
    assert client.post("/clinic", data=GOOD).status_code == 303
    session.expire_all()
    clinic = details(session)
    assert missing(clinic) == []
    assert (clinic.inn, clinic.site_url) == ("7899012340", "https://clinic.example")
    assert (clinic.quiet_from, clinic.letters_per_minute) == (time(21, 30), 1200)
    assert (clinic.zone, clinic.consent_months) == ("Asia/Omsk", 24)
    assert (clinic.smart_host, clinic.one_a_day, clinic.cap_per_month) == (False, True, 4)


def test_a_clinic_may_have_no_limit_no_cap_and_no_quiet_hour(
    session: Session, signed_in: As
) -> None:
    client = signed_in("admin")
    free = {
        **GOOD,
        "letters_per_minute": "0",
        "cap_per_month": "0",
        "smart_host": "",
        "quiet_until": "21:30",
    }
    del free["one_a_day"]
    assert client.post("/clinic", data=free).status_code == 303
    clinic = details(session)
    assert (clinic.letters_per_minute, clinic.cap_per_month, clinic.one_a_day) == (0, 0, False)
    assert clinic.smart_host is None
    assert clinic.quiet_from == clinic.quiet_until
    assert client.get("/clinic").status_code == 200


def test_the_log_names_what_changed_and_not_to_what(session: Session, signed_in: As) -> None:
    client = signed_in("admin")
    client.post("/clinic", data=GOOD)
    client.post("/clinic", data={**GOOD, "inn": "", "phone": "+7 812 000-13-13"})
    client.post("/clinic", data={**GOOD, "inn": "", "phone": "+7 812 000-13-13"})
    noted = session.scalars(
        select(AuditEvent).where(AuditEvent.act == "clinic.changed").order_by(AuditEvent.id)
    ).all()
    assert len(noted) == 2
    assert noted[1].detail == {"fields": "inn phone"}


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("name", ""),
        ("name", "п" * 121),
        ("name", "Север\r\nBcc: a@b.example"),
        ("name", "=?utf-8?b?0JA=?="),
        ("name", "<script>1</script>"),
        ("name", "Север\x00"),
        ("name", "\ufffd"),
        ("legal_name", "п" * 201),
        ("inn", "789901234"),
        ("inn", "7899012341"),
        ("inn", "٧٨٩٩٠١٢٣٤٠"),
        ("inn", "123456789012"),
        ("ogrn", "1237800901239"),
        ("ogrn", "12"),
        ("postal_address", "а\nб"),
        ("phone", "call us"),
        ("phone", "12"),
        ("phone", "1" * 40),
        ("email", "info"),
        ("email", "a@b.example\r\nX: y"),
        ("news_email", "Север <n@clinic.example>"),
        ("service_email", "news@clinic.example"),
        ("site_url", "clinic.example"),
        ("site_url", "javascript:alert(1)"),
        ("site_url", "http://clinic.example"),
        ("site_url", "https://clinic.example/" + "x" * 300),
        ("zone", "Mars/Olympus"),
        ("zone", ""),
        ("quiet_from", "25:00"),
        ("quiet_from", "\x00"),
        ("quiet_until", ""),
        ("smart_host", "maybe"),
        ("cap_per_month", "32"),
        ("cap_per_month", ""),
        ("letters_per_minute", "1000001"),
        ("letters_per_minute", "много"),
        ("letters_per_minute", "-5"),
        ("letters_per_minute", "9" * 400),
        ("consent_months", "121"),
        ("consent_months", "1.5"),
        ("consent_months", ""),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence_and_kept(
    session: Session, signed_in: As, field: str, typed: str
) -> None:
    answer = signed_in("dpo").post("/clinic", data={**GOOD, field: typed})
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    assert "Анна Иванова" in answer.text
    session.expire_all()
    assert details(session).dpo_name == ""


def test_a_form_that_lacks_fields_is_not_taken_for_an_unchanged_one(
    session: Session, signed_in: As
) -> None:
    client = signed_in("admin")
    client.post("/clinic", data=GOOD)
    assert client.post("/clinic", data={"name": "Другая"}).status_code == 422


def test_registration_numbers_are_checked_by_their_digits() -> None:
    assert read_inn("") == ""
    assert read_inn("500100732259") == "500100732259"
    assert read_ogrn("304500116000157") == "304500116000157"
    for wrong in ("500100732258", "500100732269", "5001007322591"):
        with pytest.raises(Invalid):
            read_inn(wrong)
    with pytest.raises(Invalid):
        read_ogrn("304500116000158")


@pytest.mark.parametrize(
    ("typed", "origin"),
    [
        ("https://clinic.example", "https://clinic.example"),
        ("https://Clinic.Example:443/", "https://clinic.example"),
        ("https://clinic.example:8443", "https://clinic.example:8443"),
        ("http://127.0.0.1:8001", "http://127.0.0.1:8001"),
        ("http://localhost", "http://localhost"),
    ],
)
def test_an_origin_is_kept_as_browsers_send_it(typed: str, origin: str) -> None:
    assert read_origin(typed) == origin


@pytest.mark.parametrize(
    "typed",
    [
        "clinic.example",
        "http://clinic.example",
        "https://clinic.example/page",
        "https://clinic.example?x=1",
        "https://user@clinic.example",
        "https://clinic.example; script-src *",
        "https://*.clinic.example",
        "https://clinic.example:0",
        "https://clinic.example:99999",
        "https://clinic",
        "https://",
        "https://[::1",
        "https://-a.example",
        "https://a..example",
        "null",
        "",
        "javascript://clinic.example",
        "https://clinic.example\r\nX: y",
    ],
)
def test_what_is_no_origin_is_refused(typed: str) -> None:
    with pytest.raises(Invalid):
        read_origin(typed)


def test_a_site_may_have_a_path() -> None:
    assert read_site("https://clinic.example/ru/") == "https://clinic.example/ru"
