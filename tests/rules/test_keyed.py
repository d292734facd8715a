import hmac

from hypothesis import given
from hypothesis import strategies as st

from crm import keyed


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_a_digest_is_what_hmac_makes_of_it(key: bytes, text: bytes) -> None:
    assert keyed.digest(key, text) == hmac.digest(key, text, "sha256")
    assert keyed.digest(key, text + b"!") == hmac.digest(key, text + b"!", "sha256")
