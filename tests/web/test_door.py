import pytest
from flask.testing import FlaskClient

from crm.web import nav
from crm.web.access import allow
from tests.web.gallery import ROOT

PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def test_a_stranger_is_sent_to_the_sign_in_and_back_again(client: FlaskClient) -> None:
    answer = client.get("/contacts?q=ковалёва&after=7", headers=PAGE)

    assert answer.status_code == 302
    assert answer.location.startswith("/login?next=%2Fcontacts%3Fq%3D")
    assert answer.location.endswith("%26after%3D7")


@pytest.mark.parametrize(
    "headers", [{"HX-Request": "true"}, {"Accept": "application/json"}], ids=["htmx", "json"]
)
def test_a_stranger_whom_a_redirect_would_not_help_gets_401(
    client: FlaskClient, headers: dict[str, str]
) -> None:
    assert client.get("/contacts", headers=headers).status_code == 401


def test_a_stranger_who_posts_is_told_to_sign_in_before_the_token_is_looked_at(
    client: FlaskClient,
) -> None:
    answer = client.post("/act", headers=PAGE)

    assert answer.status_code == 401
    assert 'href="/login"' in answer.text


@pytest.mark.parametrize(
    ("role", "status"), [("marketer", 200), ("receptionist", 200), ("dpo", 200), ("admin", 403)]
)
def test_only_the_roles_named_on_a_view_pass_and_admin_is_a_role_like_others(
    client: FlaskClient, role: str, status: int
) -> None:
    assert client.get("/contacts", headers={"X-Who": role}).status_code == status


@pytest.mark.parametrize("role", ["admin", "marketer", "receptionist", "dpo"])
def test_a_view_on_which_nobody_named_a_role_is_closed_to_everybody(
    client: FlaskClient, role: str
) -> None:
    answer = client.get("/forgotten", headers={"X-Who": role})

    assert answer.status_code == 403
    assert "nobody said" not in answer.text


def test_public_pages_ask_for_nothing_and_set_no_cookie(client: FlaskClient) -> None:
    answer = client.get("/p/x", headers=PAGE)

    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers


def test_an_unknown_address_says_the_same_to_strangers_and_to_staff(client: FlaskClient) -> None:
    assert client.get("/nowhere").status_code == 404
    assert client.get("/nowhere", headers={"X-Who": "admin"}).status_code == 404


def test_a_view_may_not_be_opened_to_no_role() -> None:
    with pytest.raises(ValueError, match="at least one role"):
        allow()


def test_the_menu_shows_what_the_role_may_open(client: FlaskClient) -> None:
    def entries(role: str) -> bool:
        return 'href="/contacts"' in client.get("/", headers={"X-Who": role}).text

    assert entries("receptionist")
    assert not entries("admin")


def test_one_entry_of_the_menu_is_current(client: FlaskClient) -> None:
    for path in ("/", "/contacts", "/empty", "/campaigns/index"):
        page = client.get(path, headers={"X-Who": "marketer"}).text
        menu = page.split('class="cl-me"')[0]
        assert menu.count('aria-current="page"') == 1, path


def test_what_waits_is_counted_in_the_menu(client: FlaskClient) -> None:
    page = client.get("/empty", headers={"X-Who": "marketer"}).text

    assert '<span class="badge bg-red-lt">2</span>' in page


def test_every_drawing_of_the_menu_is_in_the_sprite() -> None:
    listed = set((ROOT / "assets" / "icons.txt").read_text().split())

    assert {entry.icon for section in nav.MENU for entry in section.entries} <= listed
