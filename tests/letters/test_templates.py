import pytest

from crm.letters.compile import compile_letter
from crm.letters.footer import Language
from crm.letters.lint import lint
from crm.letters.merge import Kind, greeting
from crm.letters.reading import read_document
from crm.letters.templates import (
    Draft,
    appointment_cancelled,
    appointment_confirmed,
    appointment_proposed,
    as_test,
    confirm_address,
)
from tests.letters.samples import BRAND, DOCUMENT, SUBJECT, VALUES, part, printed, subject_of

LANGUAGES: tuple[Language, ...] = ("ru", "en")
DRAFTS = [
    write(language)
    for language in LANGUAGES
    for write in (
        confirm_address,
        appointment_proposed,
        appointment_confirmed,
        appointment_cancelled,
    )
]
WHEN = "24 ноября, 10:30"
PAGE = "https://crm.clinic.example/a/abc?x=1&y=2"


@pytest.mark.parametrize("draft", DRAFTS)
def test_no_letter_of_ours_advertises_or_tells_about_health(draft: Draft) -> None:
    document = read_document(draft.document, Kind.SERVICE)
    assert lint(document, draft.subject, Kind.SERVICE) == []


@pytest.mark.parametrize("draft", DRAFTS)
def test_each_asks_for_known_values_only_and_links_to_one_page(draft: Draft) -> None:
    letter = compile_letter(draft.document, draft.subject, brand=BRAND, kind=Kind.SERVICE)
    assert letter.fields <= {"greeting", "when", "place", "page_url"}
    assert {"greeting", "page_url"} <= letter.fields


def test_a_letter_to_one_person_can_be_bound_when_it_is_made() -> None:
    draft = appointment_confirmed("ru")
    letter = compile_letter(draft.document, draft.subject, brand=BRAND, kind=Kind.SERVICE)
    bound = letter.bind(
        {"when": WHEN, "place": "«Дом» & сад", "page_url": PAGE, "greeting": greeting("Анна")}
    )
    assert bound.fields == frozenset()
    assert len(bound.html) == 1
    raw = printed(bound)
    assert subject_of(raw) == "Запись: 24 ноября, 10:30"
    assert f"Ждём вас: {WHEN}. Адрес: «Дом» & сад." in part(raw, "plain")
    assert "«Дом» &amp; сад" in part(raw, "html")
    assert 'href="https://crm.clinic.example/a/abc?x=1&amp;y=2"' in part(raw, "html")


def test_a_test_letter_says_so_first() -> None:
    letter = compile_letter(DOCUMENT, SUBJECT, brand=BRAND, kind=Kind.PROMOTIONAL)
    raw = printed(as_test(letter, "ru"))
    assert subject_of(raw) == "[Проба] Анна, приглашаем на осмотр"
    for subtype in ("plain", "html"):
        words = part(raw, subtype)
        assert words.index("Это пробное письмо.") < words.index(VALUES["greeting"])
        assert words.count("Это пробное письмо.") == 1
