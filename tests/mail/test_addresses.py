import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.mail.addresses import (
    AddressFault,
    Domains,
    Email,
    mask,
    provider_of,
    read_email,
    read_phone,
)


def test_the_key_is_lower_case_and_the_display_is_as_typed() -> None:
    assert read_email(" Anna.Ivanova@Mail.Example ") == Email(
        value="anna.ivanova@mail.example", display="Anna.Ivanova@mail.example"
    )


def test_a_cyrillic_domain_is_kept_in_both_forms() -> None:
    found = read_email("Ivan@Клиника.РФ")
    assert found == Email(value="ivan@xn--80apagcdp.xn--p1ai", display="Ivan@клиника.рф")
    assert found.domain == "xn--80apagcdp.xn--p1ai"
    assert read_email(found.value).display == "ivan@клиника.рф"


@pytest.mark.parametrize(
    "typed",
    [
        "ivаn@mail.example",  # a Cyrillic «а» before the @
        "иван@mail.example",
        "ivan@mаil.example",  # a Cyrillic «а» after it
        "ivan@gοοgle.example",  # a Greek «ο»
        "ivan@xn--mil-7cd.example",  # «mаil» again, as an A-label
    ],
)
def test_look_alike_letters_are_refused(typed: str) -> None:
    with pytest.raises(AddressFault) as refused:
        read_email(typed)
    assert "letters" in refused.value.say
    assert typed not in str(refused.value)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "   ",
        "anna",
        "anna@",
        "@mail.example",
        "anna@mail",
        "anna@@mail.example",
        "anna@mail.example, boris@mail.example",
        "Anna <anna@mail.example>",
        '"anna"@mail.example',
        "anna@[127.0.0.1]",
        "anna@127.0.0.1",
        "anna..b@mail.example",
        ".anna@mail.example",
        "anna@-mail.example",
        "anna@localhost",
        "anna@mail.localhost",
        "anna@clinic.local",
        "anna@mail.invalid",
        "anna@mail.test",
        "anna@mail.example\r\nBcc: boris@mail.example",
        "anna@mail.example\n",
        "anna\0@mail.example",
        "an\u200bna@mail.example",
        "anna@mail.example\x1b[31m",
        "=?utf-8?q?anna?=@mail.example\n",
        "a" * 65 + "@mail.example",
        "anna@" + "a" * 64 + ".example",
        "a" * 10_000 + "@mail.example",
        "anna@" + "xn--" + "a" * 100_000 + ".example",
    ],
)
def test_what_is_no_address_is_refused_with_a_sentence(typed: str) -> None:
    with pytest.raises(AddressFault) as refused:
        read_email(typed)
    assert refused.value.say.endswith(".")
    assert refused.value.status == 422


def test_a_local_part_of_64_characters_is_possible() -> None:
    assert read_email("a" * 64 + "@mail.example").value == "a" * 64 + "@mail.example"


def test_the_demo_may_use_test_domains_and_still_no_local_ones() -> None:
    found = read_email("anna@mail.test", domains=Domains.WITH_TEST)
    assert found.value == "anna@mail.test"
    for typed in ("anna@test", "anna@localhost", "anna@clinic.local"):
        with pytest.raises(AddressFault):
            read_email(typed, domains=Domains.WITH_TEST)


@settings(deadline=None)
@given(st.text(max_size=60))
def test_whatever_is_typed_is_read_or_refused(typed: str) -> None:
    try:
        found = read_email(typed)
    except AddressFault:
        return
    assert found.value.isascii()
    assert found.value == found.value.lower()
    assert read_email(found.value).value == found.value


@pytest.mark.parametrize(
    "typed",
    ["8 (916) 123-45-67", "+7 916 123 45 67", "9161234567", "7 916 123-45-67", "+79161234567"],
)
def test_a_russian_mobile_number_has_one_key(typed: str) -> None:
    assert read_phone(typed).value == "+79161234567"


def test_a_foreign_number_keeps_its_country() -> None:
    assert read_phone("+44 20 7946 0018").value == "+442079460018"
    assert read_phone("020 7946 0018", region="GB").display == "+44 20 7946 0018"


@pytest.mark.parametrize(
    "typed",
    ["", "12", "позвоните", "+7 916 123", "8916123456789", "+79161234567\r\nX: y", "\0" * 9],
)
def test_what_is_no_number_is_refused_with_a_sentence(typed: str) -> None:
    with pytest.raises(AddressFault) as refused:
        read_phone(typed)
    assert refused.value.say.endswith(".")


@settings(deadline=None)
@given(st.text(max_size=40))
def test_whatever_is_typed_as_a_number_is_read_or_refused(typed: str) -> None:
    try:
        found = read_phone(typed)
    except AddressFault:
        return
    assert found.value.startswith("+")
    assert read_phone(found.value) == found or "ext" in found.display or "доб" in found.display


@pytest.mark.parametrize(
    ("domain", "provider"),
    [
        ("gmail.com", "gmail"),
        ("GMAIL.com", "gmail"),
        ("bk.ru", "mailru"),
        ("ya.ru", "yandex"),
        ("live.ru", "microsoft"),
        ("clinic.example", "other"),
        ("notgmail.com", "other"),
    ],
)
def test_a_domain_tells_its_provider(domain: str, provider: str) -> None:
    assert provider_of(domain) == provider


@pytest.mark.parametrize(
    ("email", "shown"),
    [("anna@mail.ru", "a***@mail.ru"), ("a@mail.ru", "a***@mail.ru"), ("", "@")],
)
def test_a_stranger_sees_one_letter_of_an_address(email: str, shown: str) -> None:
    assert mask(email) == shown
