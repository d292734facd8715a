"""Where letters go and what is said about them: addresses of relays, texts of verdicts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.mail.smtp import Relay
from crm.mail.smtp.reply import Garbled, Reply, ReplyReader
from crm.mail.smtp.verdict import Kind, Stage, judged, presentable


@pytest.mark.parametrize(
    ("url", "relay"),
    [
        ("smtp://relay.test", Relay("relay.test", 25)),
        ("smtp://relay.test:2525/", Relay("relay.test", 2525)),
        ("smtp://relay.test?starttls=never", Relay("relay.test", 25, starttls=False)),
        ("smtp://localhost:1025", Relay("localhost", 1025, starttls=False)),
        ("smtp://127.0.0.3", Relay("127.0.0.3", 25, starttls=False)),
        ("smtp://[::1]:26", Relay("::1", 26, starttls=False)),
        ("smtp://localhost?starttls=required", Relay("localhost", 25)),
        ("smtps://relay.test", Relay("relay.test", 465, implicit_tls=True, starttls=False)),
        (
            "smtps://a%40b.test:p%3A%2F%20@relay.test:4465",
            Relay("relay.test", 4465, True, False, "a@b.test", "p:/ "),
        ),
        ("smtp://u:p@relay.test", Relay("relay.test", 587, username="u", password="p")),
        ("smtp://почта.рф", Relay("xn--80a1acny.xn--p1ai", 25)),
    ],
)
def test_a_relay_is_read_from_its_url(url: str, relay: Relay) -> None:
    assert Relay.from_url(url) == relay


@pytest.mark.parametrize(
    ("url", "connections"),
    [
        ("smtp://127.0.0.1", 64),
        ("smtp://relay.test", 20),
        ("smtp://relay.test?connections=8&starttls=never", 8),
    ],
)
def test_a_stranger_is_asked_for_few_connections(url: str, connections: int) -> None:
    assert Relay.from_url(url).connections == connections


@pytest.mark.parametrize("number", ["1", "201", "", "x", "-3", "٣", "2&connections=3"])
def test_a_senseless_number_of_connections_is_refused(number: str) -> None:
    with pytest.raises(ValueError, match="connections=2 to connections=200"):
        Relay.from_url(f"smtp://relay.test?connections={number}")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "relay.test",
        "http://u:hunter22@relay.test",
        "smtp://",
        "smtp://u:hunter22@",
        "smtp://u:hunter22@relay.test:port",
        "smtp://u:hunter22@relay.test:0",
        "smtp://u:hunter22@relay.test:99999",
        "smtp://u:hunter22/x@relay.test",
        "smtp://u:hunter22#x@relay.test",
        "smtp://u:hunter22?x@relay.test",
        "smtp://u:[hunter22@relay.test",
        "smtp://u:hunter22@relay.test/path",
        "smtp://u:hunter22@relay.test?starttls=maybe",
        "smtp://u:hunter22@relay.test?tls=yes",
        "smtp://u:hunter22@relay.test\r\nx",
        "smtp://u:hunter22%00@relay.test",
        "smtp://:hunter22@relay.test",
        "smtp://u@relay.test",
        "smtp://u:hunter22@" + "a" * 70 + ".test",
        "smtp://u:hunter22@.relay.test",
    ],
)
def test_a_wrong_url_is_told_in_a_sentence_without_the_password(url: str) -> None:
    with pytest.raises(ValueError, match=r"^SMTP_URL .*\.$") as caught:
        Relay.from_url(url)
    assert "hunter22" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_relay_does_not_show_its_sign_in() -> None:
    shown = repr(Relay.from_url("smtp://somebody:hunter22@relay.test"))
    assert "hunter22" not in shown
    assert "somebody" not in shown


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "<Anna.K@patient.test>: Recipient address rejected: User unknown",
            "<***>: Recipient address rejected: User unknown",
        ),
        ("No mailbox for anna.k, sorry", "No mailbox for ***, sorry"),
        ("see https://help.test/?who=anna%40patient.test&x=1 now", "see *** now"),
        ("anna@patient.test,ivan@patient.test;", "***,***;"),
        ("annA＠patient.test", "***"),
        ("a\x00b\x1b[31mc\u202ed\n\te\u2028f", "a b [31mc d e f"),
        ("", ""),
    ],
)
def test_no_address_and_no_control_character_is_shown(said: str, shown: str) -> None:
    assert presentable(said, ["anna.k"]) == shown


@given(
    st.text(max_size=1200),
    st.emails(),
    st.text(max_size=1200),
    st.sampled_from([" ", "<", ">", ":", "\r\n", "\0", "(", '"']),
)
def test_an_address_is_masked_wherever_it_stands(
    before: str, address: str, after: str, gap: str
) -> None:
    shown = presentable(before + gap + address + gap + after)
    assert "@" not in shown
    assert len(shown) <= 200
    assert shown.isprintable()


WORDS = st.sampled_from(["Ok:", "queued", "as", "4F3xYz", "anna", "(anna)", "annas", "", "#1;"])


@given(st.lists(WORDS, max_size=9), st.sampled_from([(), ("anna",), ("an", ""), ("Queued",)]))
def test_what_is_innocent_at_first_sight_is_innocent(
    words: list[str], private: tuple[str, ...]
) -> None:
    text = " ".join(words)
    looked_at = presentable(f"{text} <@>", private)
    assert presentable(text, private) == looked_at.removesuffix("<***>").strip()


def test_a_long_answer_costs_little_and_is_cut() -> None:
    assert presentable("a" * 60_000) == ""
    assert len(presentable("word " * 10_000)) == 199


@pytest.mark.parametrize(
    ("line", "enhanced", "text"),
    [
        (b"5.1.1 No such user", "5.1.1", "No such user"),
        (b"5.1.1", "5.1.1", ""),
        (b"4.1.1 A class that contradicts the code", None, "A class that contradicts the code"),
        (b"5.1.1.1 is a version", None, "5.1.1.1 is a version"),
        ("Нет такого ящика".encode(), None, "Нет такого ящика"),
    ],
)
def test_the_enhanced_code_is_told_apart_from_the_text(
    line: bytes, enhanced: str | None, text: str
) -> None:
    verdict = judged(Reply(550, (line,)), stage=Stage.RCPT)
    assert (verdict.kind, verdict.enhanced, verdict.text) == (Kind.REJECTED, enhanced, text)


@given(st.binary(max_size=300), st.lists(st.integers(1, 40), max_size=20))
def test_replies_do_not_depend_on_where_they_are_cut(data: bytes, cuts: list[int]) -> None:
    data = b"250-one\r\n250 two\r\n354 go\n" + data

    def read(pieces: list[bytes]) -> list[Reply | None]:
        reader, heard = ReplyReader(), list[Reply | None]()
        try:
            for piece in pieces:
                reader.feed(piece)
                while reply := reader.take():
                    heard.append(reply)
        except Garbled:
            heard.append(None)
        return heard

    pieces, rest = [], data
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    assert read([*pieces, rest]) == read([data])
    assert read([data])[:2] == [Reply(250, (b"one", b"two")), Reply(354, (b"go",))]


@pytest.mark.parametrize(
    "data",
    [b"250 " + b"a" * 4093, b"250 " + b"a" * 4093 + b"\r\n", b"250-aaaaaaaaaaaa\r\n" * 4100],
    ids=["a line without end", "a long line", "a long reply"],
)
def test_a_server_cannot_fill_the_memory(data: bytes) -> None:
    reader = ReplyReader()
    reader.feed(data)
    with pytest.raises(Garbled):
        reader.take()
