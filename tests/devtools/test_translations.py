import pytest
from babel.messages.catalog import Catalog

from devtools.translations import missing

ONE = "%(count)s letter"
MANY = "%(count)s letters"


def wanted() -> Catalog:
    catalog = Catalog()
    catalog.add("Hello, %(name)s")
    catalog.add(("One letter", MANY))
    return catalog


def russian(**changes: object) -> Catalog:
    catalog = Catalog(locale="ru")
    catalog.add("Hello, %(name)s", str(changes.get("hello", "Здравствуйте, %(name)s")))
    forms = changes.get("forms", ("%(count)s письмо", "%(count)s письма", "%(count)s писем"))
    assert isinstance(forms, tuple)
    catalog.add(("One letter", MANY), forms, flags=["fuzzy"] if changes.get("fuzzy") else [])
    return catalog


def test_a_full_catalog_lacks_nothing() -> None:
    assert missing(wanted(), russian()) == []


@pytest.mark.parametrize(
    ("catalog", "problem"),
    [
        (Catalog(locale="ru"), "is not in the catalog"),
        (russian(hello=""), "needs 1 translated forms"),
        (russian(hello="Здравствуйте, %(nmae)s"), "other placeholders"),
        (russian(forms=("%(count)s письмо", "%(count)s письма", "")), "needs 3 translated forms"),
        (russian(forms=("Одно письмо", "%(count)s письма", "%(count)s писем")), "other placehold"),
        (russian(fuzzy=True), "is fuzzy"),
    ],
)
def test_what_is_absent_partial_or_mistaken_is_named(catalog: Catalog, problem: str) -> None:
    assert any(problem in line for line in missing(wanted(), catalog))
