import os
import stat
from pathlib import Path

import pytest

from crm.mail.dkim_keys import KeyFault, State, load_signers, prepare, record, stored, use

DOMAIN = "clinic.example"


def states(directory: Path) -> dict[str, State]:
    return {one.signer.selector: one.state for one in stored(directory, DOMAIN)}


def put_into_use(directory: Path, selector: str) -> None:
    [one] = [one for one in stored(directory, DOMAIN) if one.signer.selector == selector]
    use(directory, one)


def test_a_key_is_readable_by_nobody_else(tmp_path: Path) -> None:
    prepare(tmp_path / "dkim", DOMAIN, "s2026a", ed25519=True)
    folder = tmp_path / "dkim" / DOMAIN
    assert [path.name for path in folder.iterdir()] == ["s2026a.pem.new"]
    assert stat.S_IMODE((folder / "s2026a.pem.new").stat().st_mode) == 0o600
    assert (
        stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    )


def test_nothing_signs_with_a_key_before_it_is_in_use(tmp_path: Path) -> None:
    made = prepare(tmp_path, DOMAIN, "s2026a", ed25519=True)
    assert load_signers(tmp_path, DOMAIN) == []
    put_into_use(tmp_path, "s2026a")
    [loaded] = load_signers(tmp_path, DOMAIN)
    assert record(loaded) == record(made)
    assert (loaded.domain, loaded.selector) == (DOMAIN, "s2026a")
    assert load_signers(tmp_path, "other.example") == []
    assert load_signers(tmp_path / "absent", DOMAIN) == []


def test_a_new_key_retires_the_one_of_its_algorithm_only(tmp_path: Path) -> None:
    prepare(tmp_path, DOMAIN, "s2026a")
    for selector in ("e1", "e2"):
        prepare(tmp_path, DOMAIN, selector, ed25519=True)
    for selector in ("s2026a", "e1", "e2"):
        put_into_use(tmp_path, selector)
    assert states(tmp_path) == {
        "e1": State.RETIRED,
        "e2": State.IN_USE,
        "s2026a": State.IN_USE,
    }
    put_into_use(tmp_path, "e1")
    assert [one.selector for one in load_signers(tmp_path, DOMAIN)] == ["e1", "s2026a"]


def test_a_key_that_changes_is_read_anew(tmp_path: Path) -> None:
    prepare(tmp_path, DOMAIN, "s1", ed25519=True)
    put_into_use(tmp_path, "s1")
    path = tmp_path / DOMAIN / "s1.pem"
    [before] = load_signers(tmp_path, DOMAIN)
    assert load_signers(tmp_path, DOMAIN)[0] is before
    path.write_bytes(b"no key")
    os.utime(path, ns=(1, 1))
    with pytest.raises(KeyFault, match=r"s1\.pem"):
        load_signers(tmp_path, DOMAIN)


def test_a_selector_is_taken_once(tmp_path: Path) -> None:
    prepare(tmp_path, DOMAIN, "s1", ed25519=True)
    with pytest.raises(KeyFault, match="already"):
        prepare(tmp_path, DOMAIN, "s1")


@pytest.mark.parametrize("selector", ["", "S1", "a.b", "../s1", "-a", "a-", "a" * 64, "с1"])
def test_a_selector_is_one_label_in_small_letters(tmp_path: Path, selector: str) -> None:
    with pytest.raises(KeyFault):
        prepare(tmp_path, DOMAIN, selector)


def test_other_files_beside_the_keys_are_left_alone(tmp_path: Path) -> None:
    prepare(tmp_path, DOMAIN, "s1", ed25519=True)
    (tmp_path / DOMAIN / "s1.pem.bak").write_bytes(b"no key")
    (tmp_path / DOMAIN / "README").write_bytes(b"no key")
    assert states(tmp_path) == {"s1": State.PREPARED}
