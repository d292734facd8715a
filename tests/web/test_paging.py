from flask import Flask

from crm.web import paging


def identity(number: int) -> int:
    return number


def test_the_first_page_leads_on_where_there_is_one_row_too_many() -> None:
    found = list(range(1, paging.LIMIT + 1))
    page = paging.cut(found, paging.Place(), key=identity)

    assert len(page.rows) == paging.PAGE_SIZE
    assert (page.before_id, page.after_id) == (None, paging.PAGE_SIZE)


def test_a_short_list_has_no_neighbours() -> None:
    page = paging.cut([1, 2, 3], paging.Place(), key=identity)

    assert (page.before_id, page.after_id) == (None, None)


def test_a_page_reached_forwards_leads_back() -> None:
    page = paging.cut([51, 52], paging.Place(after_id=50), key=identity)

    assert (page.before_id, page.after_id) == (51, None)


def test_a_page_reached_backwards_drops_the_row_too_many_at_its_top() -> None:
    found = list(range(10, 10 + paging.LIMIT))
    page = paging.cut(found, paging.Place(before_id=61), key=identity)

    assert page.rows[0] == 11
    assert (page.before_id, page.after_id) == (11, 60)


def test_backwards_to_the_very_top_leads_no_further() -> None:
    page = paging.cut([1, 2], paging.Place(before_id=3), key=identity)

    assert (page.before_id, page.after_id) == (None, 2)


def test_an_empty_page_has_no_neighbours() -> None:
    empty: list[int] = []
    page = paging.cut(empty, paging.Place(after_id=9), key=identity)

    assert (page.before_id, page.after_id) == (None, None)


def test_nonsense_in_the_address_means_the_beginning(app: Flask) -> None:
    for nonsense in ("x", "-1", "1;drop", "٣", "9" * 30, "", "1.5"):
        with app.test_request_context(f"/contacts?after={nonsense}"):
            assert paging.place() == paging.Place(), nonsense
    with app.test_request_context("/contacts?before=7"):
        assert paging.place() == paging.Place(before_id=7)


def test_the_address_keeps_the_filter_and_loses_the_old_place(app: Flask) -> None:
    with app.test_request_context("/contacts?q=иван&tag=a&tag=b&after=5&lang=en"):
        assert (
            paging.address(before=9, lang=None)
            == "/contacts?q=%D0%B8%D0%B2%D0%B0%D0%BD&tag=a&tag=b&before=9"
        )
