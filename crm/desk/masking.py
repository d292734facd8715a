"""Contact details as each role may see them (SEC-02)."""

from crm.contacts.models import Address, Kind
from crm.contacts.search import Reach
from crm.mail.addresses import mask
from crm.web.identity import role_names

IN_FULL = frozenset({"receptionist", "dpo"})


def sees_in_full() -> bool:
    """Return whether whoever asks needs whole addresses for the work: calling, answering."""
    return not IN_FULL.isdisjoint(role_names())


def reach() -> Reach:
    """Return how much of an address must be typed to find it: a mask must not be felt through."""
    return Reach.FRAGMENT if sees_in_full() else Reach.WHOLE


def shown(address: Address) -> str:
    """Return the address as this reader may see it; a dash once it is destroyed."""
    if address.value is None:
        return "—"
    whole = address.display or address.value
    return whole if sees_in_full() else masked(address.kind, address.value)


def masked(kind: Kind, value: str) -> str:
    """Return enough to recognise it by, not enough to use it.

    >>> masked(Kind.PHONE, "+79161234567")
    '+7 ··· 67'
    """
    return mask(value) if kind is Kind.EMAIL else f"{value[:2]} ··· {value[-2:]}"
