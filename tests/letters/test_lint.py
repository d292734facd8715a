import pytest

from crm.letters.lint import Finding, Severity, lint
from crm.letters.merge import Kind
from crm.letters.reading import read_document


def findings_of(
    words: str, *, kind: Kind = Kind.PROMOTIONAL, subject: str = "Запись", preheader: str = ""
) -> list[Finding]:
    blocks = [{"type": "text", "html": f"<p>{words}</p>"}]
    document = read_document({"version": 1, "preheader": preheader, "blocks": blocks}, kind)
    return lint(document, subject, kind)


@pytest.mark.parametrize(
    ("words", "found", "law"),
    [
        ("Гарантируем излечение", "Гарантируем", "38-FZ 24(1)(8)"),
        ("эффект в 100 % случаев", "100 %", "38-FZ 24(1)(8)"),
        ("Без побочных эффектов", "Без побочных", "38-FZ 24(1)(8)"),
        ("метод <b>на</b>всегда", "навсегда", "38-FZ 24(1)(8)"),
        ("Мы вылечили тысячи", "вылечили", "38-FZ 24(1)(2)"),
        ("Она исцелё\u00adнная", "исцелённая", "38-FZ 24(1)(2)"),
        ("Отзывы наших пациентов", "Отзывы наших пациентов", "38-FZ 24(1)(3)"),
        ("Ваш гастрит не пройдёт", "Ваш гастрит", "38-FZ 24(1)(5)"),
        ("Вы страдаете от боли", "Вы страдаете", "38-FZ 24(1)(5)"),
    ],
)
def test_promises_cures_thanks_and_diagnoses_are_errors(words: str, found: str, law: str) -> None:
    first = findings_of(words)[0]
    assert (first.path, first.severity, first.found, first.law) == (
        "blocks.0.html",
        Severity.ERROR,
        found,
        law,
    )
    assert "%(found)s" in first.say


def test_a_comparison_is_a_warning() -> None:
    assert [finding.severity for finding in findings_of("Лучшие цены")] == [Severity.WARNING]


@pytest.mark.parametrize(
    "words", ["Осмотр занимает полчаса. Запись открыта до конца ноября.", "Скидка 10 % до пятницы"]
)
def test_plain_advertising_passes(words: str) -> None:
    assert findings_of(words, subject="Скидка на осмотр") == []


@pytest.mark.parametrize(
    "words", ["Скидка 10 %", "скидок", "новая акция", "приглашаем", "a discount"]
)
def test_a_service_letter_that_advertises_is_an_error(words: str) -> None:
    found = findings_of(words, kind=Kind.SERVICE)
    assert [(one.path, one.severity, one.law) for one in found] == [
        ("blocks.0.html", Severity.ERROR, "38-FZ 3(1)")
    ]
    assert findings_of("Ждём вас", kind=Kind.SERVICE, subject=words)[0].path == "subject"


@pytest.mark.parametrize(
    "words", ["Запись к кардиологу", "Врач ждёт вас", "Анализы готовы", "МРТ завтра", "Your doctor"]
)
def test_what_shows_outside_a_service_letter_does_not_tell_about_health(words: str) -> None:
    for outside in ({"subject": words}, {"preheader": words}):
        found = findings_of("Ждём вас", kind=Kind.SERVICE, **outside)
        assert [(one.path, one.severity, one.law) for one in found] == [
            (*outside, Severity.ERROR, "323-FZ 13")
        ]


@pytest.mark.parametrize("subject", ["Запись: 24 ноября, 10:30", "Подтвердите адрес", "Каталог"])
def test_a_neutral_subject_passes(subject: str) -> None:
    assert findings_of("Ждём вас", kind=Kind.SERVICE, subject=subject) == []


def test_a_picture_that_was_not_chosen_stops_a_launch() -> None:
    raw = {"version": 1, "preheader": "", "blocks": [{"type": "image", "src": "", "alt": "Сад"}]}
    document = read_document(raw, Kind.PROMOTIONAL)
    assert [one.path for one in lint(document, "Сад", Kind.PROMOTIONAL)] == ["blocks.0.src"]
