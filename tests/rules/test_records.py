"""What a mailbox provider makes of SPF, DMARC and DKIM records."""

import base64
from collections.abc import Mapping, Sequence
from ipaddress import ip_address

import pytest

from crm.mail.records import Ask, Mark, Unreadable, dmarc, key, spf

Zone = Mapping[str, Sequence[str]]
DOMAIN = "clinic.example"


def dns(zone: Zone) -> Ask:
    """``zone`` by "name type"; what is not there does not exist."""
    return lambda name, kind: zone.get(f"{name} {kind}", [])


def with_spf(text: str, **more: str) -> dict[str, list[str]]:
    return {f"{DOMAIN} TXT": ["other=thing", text]} | {
        name.replace("_", "."): [value] for name, value in more.items()
    }


@pytest.mark.parametrize(
    ("text", "mark", "told"),
    [
        ("v=spf1 ip4:192.0.2.1 -all", Mark.OK, "0 of 10 lookups, ends in -all"),
        ("V=SPF1 ip4:192.0.2.0/24 ip6:2001:db8::/32 ~ALL", Mark.OK, "ends in ~all"),
        ("v=spf1 a mx -all", Mark.OK, "2 of 10 lookups"),
        ("v=spf1 +all", Mark.FAULT, "everybody"),
        ("v=spf1 ip4:0.0.0.0/0 -all", Mark.FAULT, "everybody"),
        ("v=spf1 a ?all", Mark.HINT, "?all"),
        ("v=spf1 a", Mark.HINT, "nothing about other senders"),
        ("v=spf1 a ptr -all", Mark.HINT, "ptr"),
        ("v=spf1 ip4:192.0.2 -all", Mark.FAULT, "no address"),
        ("v=spf1 ip4:2001:db8::1 -all", Mark.FAULT, "no address"),
        ("v=spf1 include -all", Mark.FAULT, "“include”"),
        ("v=spf1 allow:relay.example -all", Mark.FAULT, "“allow:relay.example”"),
        ("v=spf1 a:one.example a:two.example a:three.example -all", Mark.HINT, "3 of its names"),
        ("v=spf1 include:nobody.example -all", Mark.FAULT, "nobody.example has no SPF record"),
        ("v=spf1 include:clinic.example -all", Mark.FAULT, "more than 10 lookups"),
    ],
)
def test_an_spf_record_is_judged_by_its_words(text: str, mark: Mark, told: str) -> None:
    zone = with_spf(text) | {f"{DOMAIN} A": ["192.0.2.1"], f"{DOMAIN} MX": [DOMAIN]}
    found = spf.finding(DOMAIN, dns(zone))
    assert (found.mark, told in found.found) == (mark, True), found
    assert bool(found.do) is (mark is not Mark.OK)


def test_no_spf_record_and_two_are_faults() -> None:
    assert spf.finding(DOMAIN, dns({})).mark is Mark.FAULT
    two: Zone = {f"{DOMAIN} TXT": ["v=spf1 -all", "v=spf1 ~all", "v=spf10 all"]}
    found = spf.finding(DOMAIN, dns(two))
    assert (found.mark, found.found) == (Mark.FAULT, f"{DOMAIN} has 2 SPF records instead of one")


def test_lookups_are_counted_through_everything_included() -> None:
    zone = with_spf("v=spf1 include:a.example redirect=b.example")
    zone |= {
        "a.example TXT": ["v=spf1 a:h.example mx exists:%{i}.example ?all"],
        "b.example TXT": ["v=spf1 include:c.example -all"],
        "c.example TXT": ["v=spf1 ip4:198.51.100.7 -all"],
        "h.example A": ["203.0.113.9"],
        "a.example MX": ["h.example"],
    }
    found = spf.survey(DOMAIN, dns(zone))
    assert (found.lookups, found.void, found.ends_in) == (6, 0, "-")
    assert not found.is_whole
    assert found.passes(ip_address("198.51.100.7"))
    assert found.passes(ip_address("203.0.113.9"))
    assert not found.passes(ip_address("203.0.113.10"))


@pytest.mark.parametrize(
    ("text", "address", "passes"),
    [
        ("v=spf1 ip4:192.0.2.0/24 -all", "192.0.2.255", True),
        ("v=spf1 -ip4:192.0.2.7 -all", "192.0.2.7", False),
        ("v=spf1 a/24 -all", "192.0.2.200", True),
        ("v=spf1 a//64 -all", "2001:db8::99", True),
        ("v=spf1 ~include:a.example -all", "198.51.100.7", False),
        ("v=spf1 include:open.example -all", "198.51.100.7", True),
    ],
)
def test_addresses_pass_as_the_terms_say(text: str, address: str, passes: bool) -> None:
    zone = with_spf(text) | {
        f"{DOMAIN} A": ["192.0.2.1"],
        f"{DOMAIN} AAAA": ["2001:db8::1"],
        "a.example TXT": ["v=spf1 ip4:198.51.100.7 -all"],
        "open.example TXT": ["v=spf1 +all"],
    }
    assert spf.survey(DOMAIN, dns(zone)).passes(ip_address(address)) is passes


@pytest.mark.parametrize(
    ("text", "mark", "told"),
    [
        ("v=DMARC1; p=reject; rua=mailto:d@clinic.example", Mark.OK, "policy reject"),
        ("v=DMARC1;p=Quarantine;rua=mailto:d@clinic.example;", Mark.OK, "policy quarantine"),
        ("v=DMARC1; p=none; rua=mailto:d@clinic.example", Mark.HINT, "let through"),
        ("v=DMARC1; rua=mailto:d@clinic.example", Mark.HINT, "policy none"),
        ("v=DMARC1; p=reject; t=y; rua=mailto:d@clinic.example", Mark.HINT, "let through"),
        ("v=DMARC1; p=reject", Mark.HINT, "nobody gets reports"),
        ("v=DMARC1; p=reject; pct=50; rua=mailto:d@clinic.example", Mark.HINT, "away with pct"),
        ("v=DMARC1; p=reject; rf=afrf; ri=86400; rua=mailto:x@y.example", Mark.HINT, "rf, ri"),
        ("v=DMARC1; p=strict", Mark.FAULT, "p=strict is no policy"),
        ("v=DMARC1; p", Mark.FAULT, "cannot be read"),
        ("v=DMARC1; p=none; p=reject", Mark.FAULT, "cannot be read"),
        ("v=DMARC2; p=none", Mark.FAULT, "no DMARC record"),
    ],
)
def test_a_dmarc_record_is_judged_by_its_tags(text: str, mark: Mark, told: str) -> None:
    found = dmarc.finding(DOMAIN, dns({f"_dmarc.{DOMAIN} TXT": [text]}))
    assert (found.mark, told in found.found) == (mark, True), found


def test_several_dmarc_records_count_for_none() -> None:
    found = dmarc.finding(DOMAIN, dns({f"_dmarc.{DOMAIN} TXT": ["v=DMARC1; p=none"] * 2}))
    assert (found.mark, "several" in found.found) == (Mark.FAULT, True)


@pytest.mark.parametrize(
    ("domain", "records", "organisation", "policy"),
    [
        ("news.clinic.example", {}, "news.clinic.example", "none"),
        ("news.clinic.example", {"clinic.example": "p=reject"}, "clinic.example", "reject"),
        (
            "news.clinic.example",
            {"clinic.example": "p=none; sp=reject"},
            "clinic.example",
            "reject",
        ),
        (
            "news.clinic.example",
            {"clinic.example": "p=reject", "news.clinic.example": "p=none"},
            "clinic.example",
            "none",
        ),
        (
            "a.news.clinic.example",
            {"clinic.example": "p=reject", "news.clinic.example": "p=quarantine; psd=n"},
            "news.clinic.example",
            "quarantine",
        ),
        ("news.clinic.example", {"example": "p=reject; psd=y"}, "clinic.example", "reject"),
        ("example", {"example": "p=reject; psd=y"}, "example", "reject"),
    ],
)
def test_the_tree_walk_finds_the_organisation_without_a_list_of_suffixes(
    domain: str, records: dict[str, str], organisation: str, policy: str
) -> None:
    zone = {f"_dmarc.{name} TXT": [f"v=DMARC1; {text}"] for name, text in records.items()}
    found = dmarc.walk(domain, dns(zone))
    assert (found.organisation, found.asks_for) == (organisation, policy)


def test_the_walk_of_a_long_name_asks_eight_times() -> None:
    asked = dmarc.steps("a.b.c.d.e.f.g.h.i.clinic.example")
    assert asked[0] == "a.b.c.d.e.f.g.h.i.clinic.example"
    assert asked[1] == "e.f.g.h.i.clinic.example"
    assert (len(asked), asked[-1]) == (8, "example")


def test_domains_of_one_organisation_are_aligned_unless_that_is_strict() -> None:
    ask = dns({f"_dmarc.{DOMAIN} TXT": ["v=DMARC1; p=none"]})
    author, path = dmarc.walk(DOMAIN, ask), dmarc.walk(f"bounce.{DOMAIN}", ask)
    stranger = dmarc.walk("relay.example", ask)
    assert dmarc.is_aligned(author, path, strict=False)
    assert not dmarc.is_aligned(author, path, strict=True)
    assert not dmarc.is_aligned(author, stranger, strict=False)


OURS = f"v=DKIM1; k=ed25519; p={base64.b64encode(b'o' * 32).decode()}"
OTHER = f"v=DKIM1; k=ed25519; p={base64.b64encode(b'x' * 32).decode()}"


@pytest.mark.parametrize(
    ("published", "mark", "told"),
    [
        ([OURS], Mark.OK, "matches"),
        ([OURS.replace("v=DKIM1; ", "").replace("p=", "p= ")], Mark.OK, "matches"),
        ([OURS + "; t=s:y"], Mark.HINT, "ignore"),
        ([], Mark.FAULT, "not in DNS"),
        ([OURS, OTHER], Mark.FAULT, "2 records"),
        ([OTHER], Mark.FAULT, "another key"),
        (["v=DKIM1; p="], Mark.FAULT, "revokes"),
        (["v=DKIM1; k=rsa"], Mark.FAULT, "no DKIM key"),
        (["v=DKIM1; p=!"], Mark.FAULT, "base64"),
        (["no record at all"], Mark.FAULT, "cannot be read"),
    ],
)
def test_a_key_in_dns_is_compared_with_ours(published: list[str], mark: Mark, told: str) -> None:
    found = key.finding(OURS, published)
    assert (found.mark, told in found.found) == (mark, True), found


def test_a_key_is_read_whatever_blanks_stand_in_it() -> None:
    assert key.public_key("p=AAAA AAAA") == bytes(6)
    with pytest.raises(Unreadable):
        key.public_key("v=DKIM2; p=AAAA")
