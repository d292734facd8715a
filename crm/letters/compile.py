"""From a document to a compiled letter: blocks to MJML to HTML, the same blocks to text."""

import html
from functools import singledispatch
from typing import Final

from mjml import mjml2html

from crm.errors import later
from crm.letters.blocks import (
    LARGEST_HTML,
    Block,
    Button,
    Divider,
    Document,
    DocumentFault,
    Fault,
    Heading,
    Image,
    MedicalWarning,
    Text,
)
from crm.letters.compiled import CompiledLetter
from crm.letters.footer import MEDICAL_WARNING, Brand, way_out, why
from crm.letters.merge import Kind, cut, mark, mark_link, mark_text
from crm.letters.reading import read_document, read_subject
from crm.letters.richtext import attribute, mark_rich, plain

_FONT: Final = "'Golos Text', 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_ACCENT: Final = "#0b6e69"
_QUIET: Final = "#4a5563"
_HEADING_PX: Final = {1: 26, 2: 20, 3: 17}

_NO_WARNING = later("Add the block with the medical warning: the law requires it in advertising.")
_NOTHING_BUT_WARNING = later("Write something: the letter has no text of its own.")
_TOO_LARGE = later("The letter is too large: at most %(limit)s KB.")


def compile_letter(
    document: object, subject: object, *, brand: Brand, kind: Kind
) -> CompiledLetter:
    """Return the letter ready for its press. About a millisecond; do it once per mailing.

    Args:
        document: decoded JSON as the editor sends it, or ``Document.to_json()``.
        subject: one line, fields as typed.
        brand: whose letter it is; the legal footer is made from it.
        kind: promotional letters get the footer with the way out, service letters have neither.

    Raises:
        DocumentFault: with every place that needs correcting.

    """
    checked = _checked(document, subject, kind)
    title = read_subject(subject, kind)
    markup = _html(checked, brand, kind)
    if len(markup.encode()) > LARGEST_HTML:
        raise DocumentFault([Fault("blocks", _TOO_LARGE, {"limit": LARGEST_HTML // 1000})])
    return CompiledLetter(
        kind=kind,
        subject=cut(mark_text(title, kind)),
        text=cut(_plain_text(checked, brand, kind)),
        html=cut(markup),
    )


def _checked(document: object, subject: object, kind: Kind) -> Document:
    faults: list[Fault] = []
    try:
        read_subject(subject, kind)
    except DocumentFault as fault:
        faults += fault.faults
    try:
        checked = read_document(document, kind)
    except DocumentFault as fault:
        raise DocumentFault([*faults, *fault.faults]) from fault
    if not any(isinstance(block, Heading | Text) for block in checked.blocks):
        faults.append(Fault("blocks", _NOTHING_BUT_WARNING))
    if kind is Kind.PROMOTIONAL and MedicalWarning() not in checked.blocks:
        faults.append(Fault("blocks", _NO_WARNING))
    if faults:
        raise DocumentFault(faults)
    return checked


def _html(document: Document, brand: Brand, kind: Kind) -> str:
    body = _section("".join(_mjml(block, brand, kind) for block in document.blocks))
    preview = html.escape(mark_text(document.preheader, kind))
    source = (
        f'<mjml lang="{brand.language}" dir="ltr"><mj-head>'
        f"<mj-title>{attribute(brand.name)}</mj-title><mj-preview>{preview}</mj-preview>"
        f'<mj-attributes><mj-all font-family="{_FONT}"/>'
        '<mj-text font-size="16px" line-height="1.55" color="#22313a" padding="8px 24px"/>'
        '<mj-button font-size="16px" padding="12px 24px"/></mj-attributes>'
        f"<mj-style>a{{color:{_ACCENT}}}</mj-style></mj-head>"
        '<mj-body background-color="#f4f6f8" width="600px">'
        '<mj-section padding="20px 0 8px"><mj-column>'
        f'<mj-text font-weight="700" font-size="18px" color="{_ACCENT}">'
        f"{html.escape(brand.name)}</mj-text></mj-column></mj-section>"
        f"{body}{_html_footer(brand, kind)}</mj-body></mjml>"
    )
    return mjml2html(source, fonts={}, disable_comments=True)


def _section(inner: str) -> str:
    """Return one section for all blocks: one for each would take 1.5 KB a block."""
    return (
        '<mj-section background-color="#ffffff" padding="4px 0">'
        f"<mj-column>{inner}</mj-column></mj-section>"
    )


def _html_footer(brand: Brand, kind: Kind) -> str:
    lines = [f"{html.escape(brand.operator)}, {html.escape(brand.address)}"]
    if kind is Kind.PROMOTIONAL:
        link = f'<a href="{mark("unsubscribe_url")}" style="color:{_ACCENT}">{way_out(brand)}</a>'
        lines += [html.escape(why(brand)), link]
    return (
        '<mj-section padding="12px 0 32px"><mj-column>'
        f'<mj-text font-size="14px" line-height="1.6" color="{_QUIET}">{"<br/>".join(lines)}'
        "</mj-text></mj-column></mj-section>"
    )


@singledispatch
def _mjml(block: Block, _brand: Brand, _kind: Kind) -> str:
    raise TypeError(block)


@_mjml.register
def _(block: Heading, _brand: Brand, kind: Kind) -> str:
    size = f"{_HEADING_PX[block.level]}px"
    return (
        f'<mj-text font-size="{size}" font-weight="700" line-height="1.25" color="#12312f">'
        f'<h{block.level} style="margin:0;font-size:{size};line-height:1.25">'
        f"{html.escape(mark_text(block.text, kind))}</h{block.level}></mj-text>"
    )


@_mjml.register
def _(block: Text, _brand: Brand, kind: Kind) -> str:
    return f"<mj-text>{mark_rich(block.html, kind)}</mj-text>"


@_mjml.register
def _(block: Button, _brand: Brand, kind: Kind) -> str:
    href = mark_link(block.href, kind) or attribute(block.href)
    return (
        f'<mj-button href="{href}" background-color="{_ACCENT}" color="#ffffff" '
        'border-radius="8px" font-weight="600" inner-padding="13px 26px">'
        f"{html.escape(mark_text(block.text, kind))}</mj-button>"
    )


@_mjml.register
def _(block: Image, brand: Brand, _kind: Kind) -> str:
    if not block.src:
        return ""
    src = attribute(brand.public_url + block.src)
    return f'<mj-image src="{src}" alt="{attribute(block.alt)}" padding="0 0 12px"/>'


@_mjml.register
def _(_block: Divider, _brand: Brand, _kind: Kind) -> str:
    return '<mj-divider border-width="1px" border-color="#dfe4ea" padding="12px 24px"/>'


@_mjml.register
def _(_block: MedicalWarning, brand: Brand, _kind: Kind) -> str:
    return (
        '<mj-text font-size="18px" font-weight="700" line-height="1.5" color="#22313a" '
        f'align="center" padding="20px 24px">{MEDICAL_WARNING[brand.language]}</mj-text>'
    )


def _plain_text(document: Document, brand: Brand, kind: Kind) -> str:
    parts = [brand.name, *(_words(block, brand, kind) for block in document.blocks)]
    lines = ["--", f"{brand.operator}, {brand.address}"]
    if kind is Kind.PROMOTIONAL:
        lines += [why(brand), f"{way_out(brand)}: {mark('unsubscribe_url')}"]
    return "\n\n".join(part for part in [*parts, "\n".join(lines)] if part) + "\n"


def _words(block: Block, brand: Brand, kind: Kind) -> str:
    match block:
        case Heading():
            return mark_text(block.text, kind)
        case Text():
            return plain(mark_rich(block.html, kind))
        case Button():
            target = mark_link(block.href, kind) or block.href
            return f"{mark_text(block.text, kind)}: {target}"
        case Image():
            return f"[{block.alt}]" if block.src else ""
        case Divider():
            return "* * *"
        case MedicalWarning():
            return MEDICAL_WARNING[brand.language]
