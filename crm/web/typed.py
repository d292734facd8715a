"""What a person typed into a form that could not be taken, to be given back for copying."""

from collections.abc import Mapping

MOST_FIELDS = 30
LONGEST = 20_000
SECRET = ("password", "token", "secret", "code")


def typed_values(form: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return names and values of what was typed, without secrets and our own hidden fields."""
    kept = [
        (name, value[:LONGEST])
        for name, value in form.items()
        if value.strip() and not name.startswith("_") and not _is_secret(name)
    ]
    return kept[:MOST_FIELDS]


def _is_secret(name: str) -> bool:
    return any(word in name.lower() for word in SECRET)
