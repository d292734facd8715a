"""What the law on advertising and medical secrecy has to say about the words of a letter.

A first reader, not a lawyer: it knows stems, not meanings. An error stops a launch unless the
person in charge of personal data overrides it with a reason; a warning is shown.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from crm.errors import later
from crm.letters.blocks import Block, Button, Document, Heading, Image, Text
from crm.letters.merge import Kind
from crm.letters.richtext import plain


class Severity(StrEnum):
    """Whether a finding stops a launch."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One place that the law may object to; ``gettext(say, found=found)`` is the sentence."""

    path: str
    """As in ``Fault``: ``subject``, ``preheader``, ``blocks.3.html``."""
    severity: Severity
    say: str
    found: str
    """The words that were found, as written by staff."""
    law: str
    """Where it is written, such as ``38-FZ 24(1)(8)``; empty where it is only good sense."""


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    severity: Severity
    say: str
    law: str


_DISEASES: Final = (
    r"(?:гастрит|диабет|артроз|артрит|гипертони|бронхит|астм|остеохондроз|варикоз|геморро|язв"
    r"|аллерги|мигрен|псориаз|экзем|простатит|цистит|грыж|кариес|инфаркт|инсульт|онколог|рак(?:а|у|ом|е)?\b)"
)
_SPECIALITIES: Final = (
    r"(?:врач|доктор|терапевт|хирург|стоматолог|педиатр|психиатр"
    r"|(?!техн|эк)[а-я]{3,}олог)(?:а|у|ом|е|и|ия|ии|ию)?"
)


def _rule(pattern: str, severity: Severity, say: str, law: str) -> _Rule:
    return _Rule(re.compile(pattern), severity, say, law)


_PROMOTIONAL: Final = (
    _rule(
        r"\bгаранти\w*|\bguarant\w+|\b100\s?(?:%|процент\w*)|\bнавсегда\b"
        r"|\bбез побочн\w+|\bбезопасн(?:о|ый|ая|ое|ые)\b|\bno side effects\b",
        Severity.ERROR,
        later("“%(found)s”: advertising may not promise that a treatment works or is safe."),
        "38-FZ 24(1)(8)",
    ),
    _rule(
        r"\bизлеч\w+|\bвылеч\w+|\bисцел\w+|\bcur(?:e|es|ed)\b",
        Severity.ERROR,
        later("“%(found)s”: advertising may not speak of cases of cure."),
        "38-FZ 24(1)(2)",
    ),
    _rule(
        r"\bблагодарност\w*|\bотзыв\w* (?:\w+ ){0,2}пациент\w*|\bпациент\w* благодар\w*"
        r"|\btestimonial\w*",
        Severity.ERROR,
        later("“%(found)s”: advertising may not use the thanks of patients."),
        "38-FZ 24(1)(3)",
    ),
    _rule(
        rf"\b(?:ваш|ваша|ваше|ваши|вашей|вашего|вашим|вашу) {_DISEASES}\w*"
        rf"|\bу вас {_DISEASES}\w*|\bвы (?:страдаете|больны|болеете)\b",
        Severity.ERROR,
        later("“%(found)s”: advertising may not suppose that the reader is ill."),
        "38-FZ 24(1)(5)",
    ),
    _rule(
        r"\bлучш(?:ий|ая|ее|ие|их|им)\b|\bсам(?:ый|ая|ое|ые) \w+|№\s?1\b",
        Severity.WARNING,
        later("“%(found)s”: a comparison must name its measure and be provable."),
        "38-FZ 5(2)",
    ),
)
_SERVICE: Final = (
    _rule(
        r"\bскид[ко]\w*|\bакци(?:я|и|ю|ей|ям|ях)\b|\bбонус\w*|\bподар[ок]\w*|\bпромокод\w*"
        r"|\bвыгодн\w+|\bраспродаж\w*|\bспецпредложен\w*|\bприглашаем\b"
        r"|\bdiscount\w*|\bspecial offer\w*|\bpromo\w*|\bsale\b",
        Severity.ERROR,
        later("“%(found)s”: a service letter may not advertise."),
        "38-FZ 3(1)",
    ),
)
_SERVICE_OUTSIDE: Final = (
    _rule(
        rf"\b{_SPECIALITIES}\b|\bдиагно\w+|\bанализ\w*|\b(?:мрт|узи|кт|экг|вич)\b|\bоперац\w+"
        rf"|\bлечени\w+|\bберемен\w+|\b{_DISEASES}\w*"
        r"|\b(?:doctor|diagnos\w+|surgery|test results?)\b",
        Severity.ERROR,
        later("“%(found)s”: what can be read without opening a letter may not tell about health."),
        "323-FZ 13",
    ),
)
_NO_PICTURE = later("Choose a picture or remove this block.")
_INVISIBLE: Final = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")


def lint(document: Document, subject: str, kind: Kind) -> list[Finding]:
    """Return what should be looked at before a launch, in reading order."""
    outside = _PROMOTIONAL if kind is Kind.PROMOTIONAL else (*_SERVICE_OUTSIDE, *_SERVICE)
    inside = _PROMOTIONAL if kind is Kind.PROMOTIONAL else _SERVICE
    findings = [*_read("subject", subject, outside)]
    findings += _read("preheader", document.preheader, outside)
    for at, block in enumerate(document.blocks):
        for name, words in _words(block):
            findings += _read(f"blocks.{at}.{name}", words, inside)
        if isinstance(block, Image) and not block.src:
            findings.append(Finding(f"blocks.{at}.src", Severity.ERROR, _NO_PICTURE, "", ""))
    return findings


def _words(block: Block) -> Iterator[tuple[str, str]]:
    match block:
        case Heading() | Button():
            yield "text", block.text
        case Text():
            yield "html", plain(block.html)
        case Image():
            yield "alt", block.alt


def _read(path: str, words: str, rules: tuple[_Rule, ...]) -> Iterator[Finding]:
    text = " ".join(_INVISIBLE.sub("", words).split())
    folded = text.lower().replace("ё", "е")
    aligned = text if len(folded) == len(text) else folded
    for rule in rules:
        for hit in rule.pattern.finditer(folded):
            found = aligned[hit.start() : hit.end()]
            yield Finding(path, rule.severity, rule.say, found, rule.law)
