"""What a domain asks of providers where a letter is not proven to be its own: DMARC.

Source: RFC 9989, whose tree walk takes the place of the public suffix list.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from crm.mail.records import Ask, Finding, Mark, Unreadable, tags

GONE = ("pct", "rf", "ri")
"""Tags of RFC 7489 that mean nothing any more."""
POLICIES = ("none", "quarantine", "reject")
MOST_LABELS = 7
"""Of a longer name, the walk leaves out the labels between itself and its last seven."""

_DMARC = re.compile(r"v\s*=\s*DMARC1\s*(;|$)")


@dataclass(frozen=True, slots=True)
class Walk:
    """What lies on the way from a domain up to the root."""

    domain: str
    records: dict[str, dict[str, str]]
    """Tags by the domain whose record it is, the nearest first."""
    doubled: tuple[str, ...] = ()
    """Domains with several records, of which none counts."""

    @property
    def organisation(self) -> str:
        """Return the organisational domain: two domains with the same one are aligned, relaxed."""
        for place, found in self.records.items():
            if found.get("psd") == "n":
                return place
            if found.get("psd") == "y" and place != self.domain:
                return ".".join(self.domain.split(".")[-place.count(".") - 2 :])
        return next(reversed(self.records), self.domain)

    @property
    def policy_domain(self) -> str | None:
        """Return whose record applies: its own, that of its organisation, or of what is above."""
        places = (self.domain, self.organisation, *reversed(self.records))
        return next((one for one in places if one in self.records), None)

    @property
    def policy(self) -> Mapping[str, str]:
        """Return the tags of the record that applies; nothing where there is none."""
        return self.records[self.policy_domain] if self.policy_domain else {}

    @property
    def asks_for(self) -> str:
        """Return the policy for this domain; what cannot be read, and a missing one, is none."""
        own = self.policy_domain == self.domain
        asked = self.policy.get("p") if own else self.policy.get("sp", self.policy.get("p"))
        return asked.lower() if asked and asked.lower() in POLICIES else "none"


def steps(domain: str) -> list[str]:
    """Return the domains that the walk asks, in its order.

    >>> steps("a.b.clinic.example")
    ['a.b.clinic.example', 'b.clinic.example', 'clinic.example', 'example']
    """
    labels = domain.split(".")
    parents = labels[1:] if len(labels) <= MOST_LABELS else labels[-MOST_LABELS:]
    return [domain, *(".".join(parents[start:]) for start in range(len(parents)))]


def walk(domain: str, ask: Ask) -> Walk:
    """Walk up from ``domain``. Raises: Unreadable where the domain's own record is."""
    records: dict[str, dict[str, str]] = {}
    doubled = []
    for place in steps(domain):
        texts = [text for text in ask(f"_dmarc.{place}", "TXT") if _DMARC.match(text)]
        if len(texts) > 1:
            doubled.append(place)
        elif texts:
            records[place] = tags(texts[0])
            if records[place].get("psd") in (("n",) if place == domain else ("n", "y")):
                break
    return Walk(domain, records, tuple(doubled))


def finding(domain: str, ask: Ask) -> Finding:
    """Return what a provider makes of the DMARC record of ``domain``."""
    try:
        found = walk(domain, ask)
    except Unreadable as fault:
        return Finding(Mark.FAULT, f"the DMARC record cannot be read: {fault}", "mend the record")
    if found.doubled:
        told = f"{found.doubled[0]} has several DMARC records, so none counts"
        return Finding(Mark.FAULT, told, "leave one")
    if not found.policy_domain:
        return Finding(
            Mark.FAULT,
            "there is no DMARC record",
            f'publish "v=DMARC1; p=none; rua=mailto:…" as TXT of _dmarc.{domain}',
        )
    return _judge(found)


def is_aligned(one: Walk, other: Walk, *, strict: bool) -> bool:
    """Return whether a proof for ``other``'s domain is one for ``one``'s."""
    return one.domain == other.domain or (not strict and one.organisation == other.organisation)


def _judge(found: Walk) -> Finding:
    policy = found.policy
    told = f"policy {found.asks_for}"
    if found.policy_domain != found.domain:
        told += f", by the record of {found.policy_domain}"
    if policy.get("p", "none").lower() not in POLICIES:
        return Finding(Mark.FAULT, f"p={policy['p'][:20]} is no policy", "write p=none or stricter")
    hints = dict(_hints(found))
    told = "; ".join([told, *hints])
    return Finding(Mark.HINT if hints else Mark.OK, told, "; ".join(hints.values()))


def _hints(found: Walk) -> Iterator[tuple[str, str]]:
    policy = found.policy
    if gone := [name for name in GONE if name in policy]:
        yield f"RFC 9989 has done away with {', '.join(gone)}", f"remove {', '.join(gone)}"
    if "rua" not in policy:
        yield "nobody gets reports", "add rua=mailto:…"
    if found.asks_for == "none" or policy.get("t", "").lower() == "y":
        do = "when the reports are clean, ask for p=quarantine, then for p=reject"
        yield "forgeries in your name are let through", do
