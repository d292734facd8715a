import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.letters.blocks import DocumentFault
from crm.letters.compile import compile_letter
from crm.letters.compiled import CompiledLetter
from crm.letters.merge import Kind, Slot
from crm.letters.reading import read_document, read_subject
from tests.letters.samples import BRAND, DOCUMENT, SUBJECT, letter_of

WARNING = {"type": "medical_warning"}


def document_of(*blocks: object, **more: object) -> dict[str, object]:
    return {"version": 1, "preheader": "", "blocks": list(blocks), **more}


def faults_of(document: object, kind: Kind = Kind.PROMOTIONAL) -> list[str]:
    with pytest.raises(DocumentFault) as refused:
        read_document(document, kind)
    assert all(fault.say.endswith(".") or "{{" in fault.say for fault in refused.value.faults)
    return [fault.path for fault in refused.value.faults]


def markup_of(letter: CompiledLetter) -> str:
    return "".join("SLOT" if isinstance(piece, Slot) else piece for piece in letter.html)


@pytest.mark.parametrize(
    ("block", "path"),
    [
        ({"type": "heading", "text": ""}, "blocks.0.text"),
        ({"type": "heading", "text": "a", "level": 4}, "blocks.0.level"),
        ({"type": "heading", "text": "a", "level": "1"}, "blocks.0.level"),
        ({"type": "heading", "text": "a" * 301}, "blocks.0.text"),
        ({"type": "heading", "text": "a\x00b"}, "blocks.0.text"),
        ({"type": "heading", "text": "⟦unsubscribe_url|⟧"}, "blocks.0.text"),
        ({"type": "heading", "text": "{{ diagnosis }}"}, "blocks.0.text"),
        ({"type": "heading", "text": ["a"]}, "blocks.0.text"),
        ({"type": "text", "html": "<p> </p>"}, "blocks.0.html"),
        ({"type": "text", "html": "a" * 8001}, "blocks.0.html"),
        ({"type": "text", "html": "{{ config }}"}, "blocks.0.html"),
        ({"type": "text", "html": "{<i></i>{ x | y"}, None),
        ({"type": "text", "html": "{<u></u>{ x"}, "blocks.0.html"),
        ({"type": "text", "html": "&#123;&#123; config }}"}, "blocks.0.html"),
        ({"type": "text", "html": "a\ud800"}, "blocks.0.html"),
        ({"type": "button", "text": "a", "href": "http://a.example"}, "blocks.0.href"),
        ({"type": "button", "text": "a", "href": "javascript:alert(1)"}, "blocks.0.href"),
        ({"type": "button", "text": "a", "href": "https://a@b.example/"}, "blocks.0.href"),
        ({"type": "button", "text": "a", "href": "https://a.example/ b"}, "blocks.0.href"),
        ({"type": "button", "text": "a", "href": "https://[::1"}, "blocks.0.href"),
        ({"type": "button", "text": "a", "href": "https://a.example:x/"}, "blocks.0.href"),
        ({"type": "button", "text": "a", "href": "{{ unsubscribe_url }}"}, "blocks.0.href"),
        ({"type": "button", "text": "a"}, "blocks.0.href"),
        ({"type": "button", "text": "a" * 61, "href": "https://a.example"}, "blocks.0.text"),
        ({"type": "image", "src": "https://a.example/a.png", "alt": "a"}, "blocks.0.src"),
        ({"type": "image", "src": "/media/../x.png", "alt": "a"}, "blocks.0.src"),
        ({"type": "image", "src": "/media/0123456789abcdef.svg", "alt": "a"}, "blocks.0.src"),
        ({"type": "image", "src": "/media/0123456789abcdef.png"}, "blocks.0.alt"),
        ({"type": "divider", "style": "x"}, "blocks.0.style"),
        ({"type": "mj-raw", "html": "<script>"}, "blocks.0"),
        ({"type": ["heading"]}, "blocks.0"),
        ("heading", "blocks.0"),
        (None, "blocks.0"),
    ],
)
def test_each_fault_is_told_with_its_place(block: object, path: str | None) -> None:
    if path is None:
        read_document(document_of(block), Kind.PROMOTIONAL)
    else:
        assert faults_of(document_of(block)) == [path]


def test_one_look_names_every_fault() -> None:
    document = document_of({"type": "heading"}, {"type": "x"}, preheader="a" * 151)
    assert faults_of(document) == ["preheader", "blocks.0.text", "blocks.1"]


@pytest.mark.parametrize("raw", [None, [], "x", {}, {"version": 2, "blocks": []}, {"version": 1}])
def test_what_is_no_document_is_refused(raw: object) -> None:
    assert faults_of(raw) == ["blocks"]


def test_sixty_blocks_are_possible_and_one_more_is_not() -> None:
    heading = {"type": "heading", "text": "Осмотр"}
    assert faults_of(document_of(*[heading] * 61)) == ["blocks"]
    letter = letter_of(*[heading] * 59)
    assert markup_of(letter).count("<h1") == 59


def test_a_letter_that_gmail_would_cut_is_refused() -> None:
    long = {"type": "text", "html": "<p>" + "щ" * 7900 + "</p>"}
    with pytest.raises(DocumentFault) as refused:
        letter_of(*[long] * 7)
    assert [(fault.path, fault.values) for fault in refused.value.faults] == [
        ("blocks", {"limit": 100})
    ]


@pytest.mark.parametrize(
    "subject", ["", "  ", "a" * 201, "a\nb", "=?utf-8?q?a?=", "{{ x }}", None, 7]
)
def test_a_subject_is_one_honest_line(subject: object) -> None:
    with pytest.raises(DocumentFault) as refused:
        read_subject(subject, Kind.PROMOTIONAL)
    assert {fault.path for fault in refused.value.faults} == {"subject"}


def test_advertising_without_the_medical_warning_is_refused() -> None:
    heading = {"type": "heading", "text": "Осмотр"}
    with pytest.raises(DocumentFault) as refused:
        compile_letter(document_of(heading), "", brand=BRAND, kind=Kind.PROMOTIONAL)
    assert [fault.path for fault in refused.value.faults] == ["subject", "blocks"]
    compile_letter(document_of(heading), "Запись", brand=BRAND, kind=Kind.SERVICE)


def test_a_letter_of_nothing_but_the_warning_is_refused() -> None:
    with pytest.raises(DocumentFault):
        letter_of()


def test_the_stored_document_is_the_cleaned_one_and_reads_back() -> None:
    dirty = {"type": "text", "html": '<p onclick="x()">a<script>1</script> &amp; b<br>c</p>'}
    document = read_document(document_of(dirty, WARNING), Kind.PROMOTIONAL)
    stored = json.loads(json.dumps(document.to_json()))
    assert stored["blocks"][0] == {"type": "text", "html": "<p>a &amp; b<br/>c</p>"}
    assert read_document(stored, Kind.PROMOTIONAL) == document


def test_a_compiled_letter_survives_the_database() -> None:
    letter = compile_letter(DOCUMENT, SUBJECT, brand=BRAND, kind=Kind.PROMOTIONAL)
    assert CompiledLetter.from_json(json.loads(json.dumps(letter.to_json()))) == letter
    assert letter.fields == {"first_name", "greeting", "consent_on", "unsubscribe_url"}


def test_outlook_conditionals_survive_and_nothing_is_fetched_from_elsewhere() -> None:
    markup = markup_of(compile_letter(DOCUMENT, SUBJECT, brand=BRAND, kind=Kind.PROMOTIONAL))
    assert "<!--[if mso | IE]>" in markup
    assert "fonts.googleapis" not in markup
    assert re.findall(r'src="([^"]*)"', markup) == [
        "https://crm.clinic.example/media/0123456789abcdef.png"
    ]
    assert 'lang="ru"' in markup


def test_an_attribute_comes_out_as_it_was_typed() -> None:
    alt = 'Кот "Мур\\ка" & и\u0306 \u00ad<b> 👩🏽‍⚕️'
    letter = letter_of(
        {"type": "heading", "text": "Осмотр"},
        {"type": "image", "src": "/media/0123456789abcdef.png", "alt": alt},
    )
    images = _Tags("img").read(markup_of(letter))
    assert [image["alt"] for image in images] == [alt]


def test_letters_of_other_alphabets_in_a_link_are_encoded() -> None:
    letter = letter_of(
        {"type": "heading", "text": "Осмотр"},
        {"type": "button", "text": "Дальше", "href": "https://клиника.рф/осмотр?день=1&b=2"},
    )
    links = [link["href"] for link in _Tags("a").read(markup_of(letter))]
    assert links[0] == (
        "https://xn--80apagcdp.xn--p1ai/"
        "%D0%BE%D1%81%D0%BC%D0%BE%D1%82%D1%80?%D0%B4%D0%B5%D0%BD%D1%8C=1&b=2"
    )


@pytest.mark.parametrize(
    "href", ["mailto:desk@clinic.example?subject=a%20b", "tel:+74951234567", "https://a.example"]
)
def test_links_may_be_https_mail_and_telephone(href: str) -> None:
    html = f'<p><a href="{href}" target="_blank" style="x">слово</a></p>'
    letter = letter_of(
        {"type": "text", "html": html}, {"type": "button", "text": "Дальше", "href": href}
    )
    links = [link["href"] for link in _Tags("a").read(markup_of(letter))]
    assert links == [href, href, "SLOT"]


def test_the_footer_is_large_enough_to_read() -> None:
    markup = markup_of(compile_letter(DOCUMENT, SUBJECT, brand=BRAND, kind=Kind.PROMOTIONAL))
    footer = markup[markup.index("ООО «Север»") - 200 :]
    assert "font-size:14px" in footer
    assert "color:#4a5563" in footer


HOSTILE_WORDS = [
    "<script>alert(1)</script>",
    '<img src="https://evil.example/x.png" onerror=alert(1)>',
    '<a href="javascript:alert(1)" onclick=x>a</a>',
    '<a href="//evil.example">a</a>',
    '"><svg/onload=alert(1)>',
    "</mj-text><mj-raw><script>1</script></mj-raw><mj-text>",
    '<mj-include path="/etc/passwd"/>',
    "<!--[if mso]><script>1</script><![endif]-->",
    "]]><![CDATA[<script>",
    "<style>@import url(https://evil.example)</style>",
    '<p style="background:url(https://evil.example)">a</p>',
    "&lt;script&gt;",
    "&#60;script&#62;",
    "\\u{22}onmouseover=x",
    "{{ greeting }}",
    "⟦unsubscribe_url|⟧",
    '<link rel=stylesheet href="https://evil.example">',
    '<base href="https://evil.example">',
]
HOSTILE = st.sampled_from(HOSTILE_WORDS)
WORDS = st.one_of(st.text(max_size=40), HOSTILE, st.lists(HOSTILE, max_size=4).map("".join))
HREFS = st.one_of(
    WORDS,
    WORDS.map(lambda words: f"https://a.example/{words}"),
    st.sampled_from(["https://a.example/", "data:text/html,x", "vbscript:x", " javascript:x"]),
)
BLOCKS = st.one_of(
    st.fixed_dictionaries({"type": st.just("heading"), "text": WORDS}),
    st.fixed_dictionaries({"type": st.just("text"), "html": WORDS}),
    st.fixed_dictionaries({"type": st.just("button"), "text": WORDS, "href": HREFS}),
    st.fixed_dictionaries(
        {
            "type": st.just("image"),
            "src": st.one_of(HREFS, st.just("/media/0123456789abcdef.png")),
            "alt": WORDS,
        }
    ),
    st.fixed_dictionaries({"type": st.sampled_from(["mj-raw", "mj-include"]), "html": WORDS}),
)


class _Tags(HTMLParser):
    """Collects the attributes of every tag, or of one kind of tag."""

    def __init__(self, only: str | None = None) -> None:
        super().__init__(convert_charrefs=True)
        self._only = only
        self.found: list[dict[str, str | None]] = []
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        if self._only in (None, tag):
            self.found.append(dict(attrs))

    def read(self, markup: str) -> list[dict[str, str | None]]:
        self.feed(markup)
        self.close()
        return self.found


PLAIN_TAGS = _Tags()
PLAIN_TAGS.read(
    markup_of(
        letter_of(
            DOCUMENT["blocks"][1],
            *({"type": "heading", "text": "а", "level": level} for level in (1, 2, 3)),
            *DOCUMENT["blocks"][2:5],
            {"type": "text", "html": "<ol><li><b>а</b><i>б</i><em>в</em><br></li></ol>"},
        )
    )
)


def assert_harmless(markup: str) -> None:
    tags = _Tags()
    for attributes in tags.read(markup):
        assert not [name for name in attributes if name.startswith("on")]
        target = attributes.get("href")
        assert target is None or target.startswith(("https://a.example", "mailto:", "tel:", "SLOT"))
        source = attributes.get("src")
        assert source is None or source.startswith("https://crm.clinic.example/media/")
        assert "url(" not in (attributes.get("style") or "")
    assert tags.names <= PLAIN_TAGS.names


@pytest.mark.parametrize("words", HOSTILE_WORDS)
@pytest.mark.parametrize(
    "block",
    [
        {"type": "heading", "text": "%s"},
        {"type": "text", "html": "<p>слово %s</p>"},
        {"type": "text", "html": "слово <ul><li>%s"},
        {"type": "button", "text": "%s", "href": "https://a.example"},
        {"type": "button", "text": "слово", "href": "%s"},
        {"type": "button", "text": "слово", "href": "https://a.example/%s"},
        {"type": "image", "src": "/media/0123456789abcdef.png", "alt": "%s"},
        {"type": "image", "src": "%s", "alt": "слово"},
    ],
)
def test_hostile_words_do_no_harm_in_any_place(block: dict[str, str], words: str) -> None:
    filled = {name: value.replace("%s", words) for name, value in block.items()}
    try:
        letter = letter_of({"type": "heading", "text": "Осмотр"}, filled)
    except DocumentFault:
        return
    assert_harmless(markup_of(letter))


@settings(max_examples=150, deadline=None)
@given(st.lists(BLOCKS, min_size=1, max_size=2), WORDS)
def test_no_document_yields_a_script_a_handler_or_a_foreign_address(
    blocks: list[dict[str, Any]], preheader: str
) -> None:
    document = document_of({"type": "heading", "text": "а"}, *blocks, WARNING, preheader=preheader)
    try:
        letter = compile_letter(document, "Осмотр", brand=BRAND, kind=Kind.PROMOTIONAL)
    except DocumentFault:
        return
    assert_harmless(markup_of(letter))
