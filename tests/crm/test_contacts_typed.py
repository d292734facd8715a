import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.contacts.typed import TypedFault, health_words, read_name, read_note


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("  Анна\u00a0 Мария ", "Анна Мария"),
        ("О’Нил", "О’Нил"),
        ("Нестеренко-Белова", "Нестеренко-Белова"),
        ("Мамед оглы (Алиев)", "Мамед оглы (Алиев)"),
        ("", ""),
        ("и\u0306од", "йод"),
    ],
)
def test_names_come_out_tidy(typed: str, read: str) -> None:
    assert read_name(typed) == read


@pytest.mark.parametrize(
    "typed",
    [
        "<b>Анна</b>",
        "Анна\r\nBcc: a@b.example",
        "=?utf-8?q?x?=",
        "Анна\x00",
        "Анна\u202e",
        "А" * 81,
        "42",
        "--",
        "\ufffdнна",
    ],
)
def test_what_stands_in_no_name_is_refused_with_a_sentence(typed: str) -> None:
    with pytest.raises(TypedFault) as fault:
        read_name(typed)
    assert fault.value.say.endswith(".")


@given(st.text(max_size=200))
def test_whatever_is_typed_is_read_or_refused(typed: str) -> None:
    for reader in (read_name, read_note):
        try:
            assert "\x00" not in reader(typed)
        except TypedFault:
            continue


@pytest.mark.parametrize(
    "note",
    ["у сына диабет", "Диагноз уточнить", "аллергия на пыль", "has diabetes", "беременность"],
)
def test_health_words_are_noticed(note: str) -> None:
    assert health_words(note)


@pytest.mark.parametrize(
    "note", ["", "Звонить после шести", "Работает в банке", "Просит писать на вы", "Рыбаков"]
)
def test_ordinary_notes_pass(note: str) -> None:
    assert health_words(note) == []
