import pytest

from tests.letters.golden.write import FOLDER, letters


@pytest.mark.parametrize("name", sorted(letters()))
def test_a_letter_is_printed_byte_for_byte_as_before(name: str) -> None:
    assert letters()[name] == (FOLDER / name).read_bytes()


def test_no_golden_letter_is_forgotten() -> None:
    assert {path.name for path in FOLDER.glob("*.eml")} == set(letters())
