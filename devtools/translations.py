"""Every sentence in every language: `python -m devtools.translations [update]`.

Without an argument: exits 1 and says which sentences of the sources lack a sound translation.
With `update`: brings the catalogs up to date with the sources, for a translator to fill in.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po

from devtools.paths import ROOT, VENV

CATALOGS = {"ru": ROOT / "crm" / "translations" / "ru" / "LC_MESSAGES" / "messages.po"}
"""One for each language but English, which is what the sources are written in."""
KEYWORDS = [
    "_",
    "_l",
    "gettext",
    "ngettext:1,2",
    "pgettext:1c,2",
    "npgettext:1c,2,3",
    "lazy_gettext",
    "lazy_ngettext:1,2",
    "lazy_pgettext:1c,2",
    "later",
]
PLACEHOLDER = re.compile(r"%(?:\((\w+)\))?[#0\- +]*\d*(?:\.\d+)?([a-zA-Z%])")


def main(arguments: list[str]) -> int:
    """The exit status."""
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder) / "messages.pot"
        _extract(template)
        if arguments == ["update"]:
            _update(template)
            return 0
        wanted = _read(template)
    problems = [
        f"{locale}: {problem}"
        for locale, path in CATALOGS.items()
        for problem in missing(wanted, _read(path, locale=locale))
    ]
    print("\n".join(problems))
    return 1 if problems else 0


def missing(wanted: Catalog, catalog: Catalog) -> list[str]:
    """One line for each sentence whose translation is absent, fuzzy, partial or mistaken."""
    return [
        f"{message.id!r} {problem}"
        for message in wanted
        if message.id and (problem := _problem(message, catalog))
    ]


def _problem(wanted: Message, catalog: Catalog) -> str | None:
    found = catalog.get(_key(wanted), wanted.context)
    if found is None:
        return "is not in the catalog"
    if found.fuzzy:
        return "is fuzzy"
    forms = [found.string] if isinstance(found.string, str) else list(found.string or ())
    count = catalog.num_plurals if wanted.pluralizable else 1
    if len(forms) != count or not all(forms):
        return f"needs {count} translated forms"
    if any(_placeholders(form) != _placeholders(_fullest(wanted)) for form in forms):
        return "has other placeholders than its translation"
    return None


def _key(message: Message) -> str:
    return message.id if isinstance(message.id, str) else str(message.id[0])


def _fullest(message: Message) -> str:
    """The plural, which names the number also where English `one` does not."""
    return message.id if isinstance(message.id, str) else str(message.id[1])


def _placeholders(text: str) -> set[tuple[str, str]]:
    return {(name, kind) for name, kind in PLACEHOLDER.findall(text) if kind != "%" or name}


def _extract(template: Path) -> None:
    # Left to itself Babel skips folders that begin with "_", such as templates/_parts.
    keywords = [part for keyword in KEYWORDS for part in ("-k", keyword)]
    _pybabel(
        "extract", "--no-default-keywords", *keywords, "-F", "babel.cfg", "--no-location",
        "--ignore-dirs", ".* node_modules",
        "--omit-header", "--sort-output", "-o", str(template), ".",
    )  # fmt: skip


def _update(template: Path) -> None:
    for locale, path in CATALOGS.items():
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _pybabel("init", "-i", str(template), "-o", str(path), "-l", locale)
        _pybabel(
            "update", "-i", str(template), "-o", str(path), "-l", locale, "-D", "messages",
            "--no-fuzzy-matching", "--ignore-obsolete", "--ignore-pot-creation-date",
            "--width", "100",
        )  # fmt: skip


def _pybabel(*arguments: str) -> None:
    subprocess.run([VENV / "bin" / "pybabel", "--quiet", *arguments], cwd=ROOT, check=True)


def _read(path: Path, *, locale: str | None = None) -> Catalog:
    if not path.exists():
        return Catalog(locale=locale)
    with path.open("rb") as file:
        return read_po(file, locale=locale)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
