import pytest

from crm.letters.merge import Kind, MergeFault, Slot, cut, greeting, mark_link, mark_text


def test_a_field_becomes_a_slot_with_its_fallback() -> None:
    marked = mark_text("{{ first_name | друг мой }}, {{greeting}}", Kind.PROMOTIONAL)
    assert cut(marked) == (Slot("first_name", "друг мой"), ", ", Slot("greeting"))


@pytest.mark.parametrize(
    ("typed", "position"),
    [
        ("Привет, {{ diagnosis }}", 9),
        ("{{ first_name }}", 1),
        ("{{ first_name | }}", 1),
        ("{{ first_name | друг", 1),
        ("{{ first_name", 1),
        ("{{", 1),
        ("а }}", 3),
        ("{% if x %}", 1),
        ("{# x #}", 1),
        ("{{ config.items() }}", 1),
        ("{{ first_name.__class__ }}", 1),
        ("{{ first_name | <b> }}", 1),
        ("{{{ first_name | друг }}}", 1),
        ("{{ page_url }}", 1),
        ("{{ unsubscribe_url }}", 1),
        ("{{ when }}", 1),
    ],
)
def test_whatever_else_looks_like_a_template_is_refused_with_its_place(
    typed: str, position: int
) -> None:
    with pytest.raises(MergeFault) as refused:
        mark_text(typed, Kind.PROMOTIONAL)
    assert refused.value.position == position


def test_a_service_letter_may_tell_when_and_where() -> None:
    assert cut(mark_text("{{ when }}", Kind.SERVICE)) == (Slot("when"),)


def test_a_link_field_is_the_whole_target_or_none() -> None:
    assert cut(mark_link(" {{ page_url }}", Kind.SERVICE) or "") == (Slot("page_url"),)
    assert mark_link("{{ page_url }}", Kind.PROMOTIONAL) is None
    assert mark_link("https://a.example/{{ page_url }}", Kind.SERVICE) is None
    assert mark_link("{{ first_name | x }}", Kind.SERVICE) is None


@pytest.mark.parametrize(
    ("names", "language", "words"),
    [
        (("Анна", "Сергеевна"), "ru", "Здравствуйте, Анна Сергеевна!"),
        (("Анна", ""), "ru", "Здравствуйте, Анна!"),
        (("", ""), "ru", "Здравствуйте!"),
        (("", ""), "en", "Hello!"),
        ((" Anna ", ""), "en", "Hello, Anna!"),
    ],
)
def test_a_greeting_needs_no_gender(names: tuple[str, str], language: str, words: str) -> None:
    assert greeting(*names, language=language) == words
