"""The little formatting that staff may use, cleaned by an allow-list, and its plain-text twin."""

import html
import re
from html.parser import HTMLParser
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

import nh3

from crm.letters.merge import Kind, mark_link, mark_text

TAGS: Final = frozenset({"p", "br", "b", "strong", "i", "em", "a", "ul", "ol", "li"})

_SAFE: Final = "/%:@!$&'()*+,;=~-._?"
_TEL: Final = re.compile(r"tel:\+?[0-9()-]{3,30}")
_MAILTO: Final = re.compile(r"mailto:[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,200}(?:\?[\w%=&.-]*)?")
_HOST: Final = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")
_FIELD_HREF: Final = re.compile(r'href="(\{\{[^"]*\}\})"')
_LONGEST_LINK: Final = 1000


def read_link(typed: str) -> str | None:
    """Return an absolute https, mailto or tel link in ASCII, or None if it is no such link.

    Blanks in it are refused and not repaired; letters of other alphabets are encoded.
    """
    text = typed.strip(" ")
    if len(text) > _LONGEST_LINK or not text.isprintable() or re.search(r'[\s<>"\\^`{|}⟦⟧]', text):
        return None
    if _TEL.fullmatch(text) or (_MAILTO.fullmatch(text) and text.isascii()):
        return text
    try:
        return _https(text)
    except ValueError:
        return None


def _https(text: str) -> str | None:
    parts = urlsplit(text)
    if parts.scheme != "https" or "@" in parts.netloc or parts.hostname is None:
        return None
    host = parts.hostname.encode("idna").decode("ascii")
    if not _HOST.fullmatch(host):
        return None
    netloc = host if parts.port is None else f"{host}:{parts.port}"
    path, query, fragment = (
        quote(part, safe=_SAFE) for part in (parts.path, parts.query, parts.fragment)
    )
    return urlunsplit(("https", netloc, path, query, fragment))


def clean(typed: str, kind: Kind) -> str:
    """Return ``typed`` with nothing but allowed tags and links; what was pasted along is dropped.

    A link of another kind loses its target and keeps its words. Well-formed XML.
    """

    def keep(tag: str, attribute: str, value: str) -> str | None:
        if (tag, attribute) != ("a", "href"):
            return None
        return value.strip() if mark_link(value, kind) else read_link(value)

    cleaned = nh3.clean(
        typed,
        tags=set(TAGS),
        attributes={"a": {"href"}},
        url_schemes={"https", "mailto", "tel"},
        link_rel=None,
        strip_comments=True,
        attribute_filter=keep,
    )
    return cleaned.replace("<br>", "<br/>").replace("&nbsp;", "\u00a0")


def mark_rich(cleaned: str, kind: Kind) -> str:
    """Return cleaned rich text with its fields as marks.

    Raises:
        MergeFault: see ``mark_text``.

    """
    linked = _FIELD_HREF.sub(lambda found: f'href="{mark_link(found[1], kind)}"', cleaned)
    return mark_text(linked, kind)


def plain(rich: str) -> str:
    """Return rich text as plain lines: paragraphs, ``— items`` and ``words: address``."""
    reader = _Reader()
    reader.feed(rich)
    reader.close()
    text = re.sub(r"[ \t]*\n[ \t]*", "\n", "".join(reader.out))
    return re.sub(r"\n{3,}", "\n\n", text).strip()


class _Reader(HTMLParser):
    """Collects the words of cleaned rich text with the breaks that its tags stand for."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.out: list[str] = []
        self._numbers: list[int | None] = []
        self._links: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"ul", "ol"}:
            self._numbers.append(0 if tag == "ol" else None)
            self.out.append("\n")
        elif tag == "li":
            self.out.append("\n" + self._bullet())
        elif tag == "a":
            self._links.append((dict(attrs).get("href") or "", len(self.out)))
        elif tag in {"p", "br"}:
            self.out.append("\n" if tag == "br" else "\n\n")

    def _bullet(self) -> str:
        number = self._numbers.pop() if self._numbers else None
        self._numbers.append(None if number is None else number + 1)
        return "— " if number is None else f"{number + 1}. "

    def handle_endtag(self, tag: str) -> None:
        if tag in {"ul", "ol"}:
            if self._numbers:
                self._numbers.pop()
            self.out.append("\n\n")
        elif tag == "a" and self._links:
            href, start = self._links.pop()
            words = "".join(self.out[start:]).strip()
            bare = href.removeprefix("mailto:").removeprefix("tel:")
            if bare and bare != words:
                self.out.append(f" ({bare})" if words else bare)
        elif tag == "p":
            self.out.append("\n\n")

    def handle_data(self, data: str) -> None:
        self.out.append(re.sub(r"[\r\n\t]+", " ", data))


def attribute(text: str) -> str:
    r"""Return ``text`` for an MJML attribute or title: ASCII, the rest as character references.

    The MJML renderer prints attributes as Rust debug strings: a backslash would come out doubled
    and a combining letter as ``\u{306}``.
    """
    escaped = html.escape(text, quote=True).replace("\\", "&#92;")
    return escaped.encode("ascii", "xmlcharrefreplace").decode("ascii")
