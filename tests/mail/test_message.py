from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.mail.message import (
    Envelope,
    HeaderFault,
    date_value,
    from_lines,
    list_lines,
    list_unsubscribe_line,
    message_id,
    subject_line,
)

ENVELOPE = Envelope(
    sender_name="Clinic",
    sender_address="news@clinic.example",
    reply_to="desk@clinic.example",
    list_id="news.clinic.example",
    unsubscribe_mailbox="unsubscribe@clinic.example",
)


def test_a_plain_short_subject_is_not_encoded() -> None:
    assert subject_line("Your visit") == b"Subject: Your visit\r\n"


@pytest.mark.parametrize("subject", ["Приём", "a" * 68, "tab\there"])
def test_any_other_subject_is_encoded_whole(subject: str) -> None:
    assert subject_line(subject).startswith(b"Subject: =?utf-8?b?")


@pytest.mark.parametrize("value", ["a\r\nBcc: b", "a\nb", "a\rb", "a\0b", "=?utf-8?q?a?=", "a =?"])
def test_what_could_break_a_header_is_refused(value: str) -> None:
    with pytest.raises(HeaderFault, match=r"^Subject$"):
        subject_line(value)
    with pytest.raises(HeaderFault, match=r"^From$"):
        from_lines(replace(ENVELOPE, sender_name=value))


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("", b"From: <news@clinic.example>"),
        ("Clinic", b"From: Clinic <news@clinic.example>"),
        ("Clinic, Ltd", b"From: =?utf-8?b?Q2xpbmljLCBMdGQ=?=\r\n <news@clinic.example>"),
        ('"<x@y.example>', b"From: =?utf-8?b?Ijx4QHkuZXhhbXBsZT4=?=\r\n <news@clinic.example>"),
    ],
)
def test_the_senders_name_cannot_pass_for_an_address(name: str, line: bytes) -> None:
    lines = from_lines(replace(ENVELOPE, sender_name=name))
    assert lines == line + b"\r\nReply-To: desk@clinic.example\r\n"


@pytest.mark.parametrize("bad", ["", "a", "a b@c.example", "a@b.example\r\nX: y", "иван@c.example"])
def test_addresses_of_the_envelope_are_bare_ascii(bad: str) -> None:
    with pytest.raises(HeaderFault):
        from_lines(replace(ENVELOPE, sender_address=bad))
    with pytest.raises(HeaderFault):
        from_lines(replace(ENVELOPE, reply_to=bad))
    with pytest.raises(HeaderFault):
        message_id(bad)


@pytest.mark.parametrize(
    "list_id", [None, "", "news", "a b.c", "news.clinic.example\r\nX: y", "новости.рф"]
)
def test_a_list_id_is_a_dotted_ascii_name(list_id: str | None) -> None:
    with pytest.raises(HeaderFault, match=r"^List-Id$"):
        list_lines(replace(ENVELOPE, list_id=list_id))


@pytest.mark.parametrize("feedback_id", ["a:b:c:d:e", "a b:c", "a", "a:b\r\nX: y", "a:"])
def test_a_feedback_id_has_two_to_four_fields_and_a_sender(feedback_id: str) -> None:
    with pytest.raises(HeaderFault, match=r"^Feedback-ID$"):
        list_lines(replace(ENVELOPE, feedback_id=feedback_id))


def test_a_long_unsubscribe_address_is_broken_between_the_two_only() -> None:
    link = b"https://crm.clinic.example/u/" + b"a" * 300
    line = list_unsubscribe_line(link, mailbox=b"unsubscribe@clinic.example")
    token = b"a" * 300
    assert line.split(b"\r\n") == [
        b"List-Unsubscribe: <https://crm.clinic.example/u/" + token + b">,",
        b" <mailto:unsubscribe@clinic.example?subject=unsubscribe%20" + token + b">",
        b"",
    ]


def test_an_envelope_survives_the_database() -> None:
    assert Envelope.from_json(ENVELOPE.to_json()) == ENVELOPE


def test_an_envelope_stored_before_bounces_had_a_domain_is_read() -> None:
    stored = ENVELOPE.to_json()
    del stored["bounce_domain"]
    assert Envelope.from_json(stored).bounce_domain is None


@given(
    st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2200, 1, 1)),  # noqa: DTZ001
    st.integers(min_value=-23 * 60, max_value=23 * 60),
)
def test_a_date_is_written_as_the_standard_library_does(wall: datetime, minutes: int) -> None:
    at = wall.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    for same in (at, at.astimezone(UTC), at.replace(microsecond=999_999)):
        assert date_value(same) == format_datetime(same).encode()
