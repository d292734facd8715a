"""An application of nothing but furniture: every macro on a page, and routes to try the door."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

from flask import Blueprint, Flask, Response, abort, flash, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import LoginManager
from jinja2 import ChoiceLoader, FileSystemLoader

from crm import web
from crm.errors import CrmError, WrongState
from crm.web import headers, htmx, nav, paging
from crm.web.access import allow
from crm.web.identity import ROLES
from tests.web.exhibits import PEOPLE, PatientForm, Person

ROOT = Path(__file__).resolve().parents[2]
NOON = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


class TooLate(CrmError):  # noqa: N818 - like the others in crm.errors
    status: ClassVar[int] = 409
    say = "The mailing has already gone."


def build(*, people: dict[str, Person] | None = None) -> Flask:
    """Return the app; the header or cookie ``X-Who`` signs in one of ``people``."""
    app = Flask("gallery", static_folder=str(ROOT / "crm" / "static"))
    app.config.update(SECRET_KEY="a key for tests only, long enough", TESTING=True)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    here = Path(__file__).parent / "templates"
    app.jinja_loader = ChoiceLoader([FileSystemLoader(ROOT / "templates"), FileSystemLoader(here)])
    known = people or {role: Person(roles=[role]) for role in ROLES}
    manager = LoginManager(app)
    manager.request_loader(lambda asked: known.get(_who(asked)))
    web.init(app)
    for blueprint in _pages():
        app.register_blueprint(blueprint)
    nav.count(app, "appointments.queue", lambda: 2)
    app.context_processor(lambda: {"clinic": {"name": "Клиника «Север»"}})
    return app


def _who(asked: object) -> str:
    assert asked is request or asked
    return request.headers.get("X-Who") or request.cookies.get("X-Who", "")


def _pages() -> list[Blueprint]:
    desk = Blueprint("desk", __name__, url_prefix="/")
    desk.get("/")(allow(*ROLES)(today))
    desk.get("/contacts")(allow("marketer", "receptionist", "dpo")(contacts))
    desk.get("/empty")(allow(*ROLES)(empty))
    desk.post("/act")(allow("marketer")(act))
    desk.get("/late")(allow("marketer")(late))
    desk.get("/boom")(allow("marketer")(boom))
    desk.get("/forgotten")(forgotten)
    desk.get("/letter")(allow("marketer")(letter))
    desk.get("/tick")(allow("marketer")(tick))
    desk.get("/watch")(allow("marketer")(watch))
    desk.get("/watch/now")(allow("marketer")(watch_now))
    recipients = Blueprint("recipients", __name__)
    recipients.get("/p/x")(preferences)
    intake = Blueprint("intake", __name__)
    intake.get("/f/x")(show_form)
    intake.get("/broken")(text)
    security = Blueprint("security", __name__)
    security.route("/login", methods=["GET", "POST"])(login)
    security.post("/logout")(logout)
    staff = Blueprint("staff", __name__)
    staff.post("/appearance")(allow(*ROLES)(appearance))
    return [desk, recipients, intake, security, staff, *_stubs()]


def _stubs() -> list[Blueprint]:
    taken = {"desk", "staff", "intake"}
    made: dict[str, Blueprint] = {}
    for entry in (entry for section in nav.MENU for entry in section.entries):
        package, _, name = entry.endpoint.partition(".")
        if package in taken:
            continue
        blueprint = made.setdefault(package, Blueprint(package, __name__))
        blueprint.add_url_rule(f"/{package}/{name}", name, allow(*ROLES)(_stub(name)))
    return list(made.values())


def _stub(name: str) -> Callable[[], str]:
    def view() -> str:
        return render_template("plain.html", name=name)

    return view


def today() -> str:
    flash("Клиника сохранена", "success")
    flash("Письмо не ушло: сервер не ответил", "danger")
    form = PatientForm(data={"email": "a@b.example", "purpose": "marketing", "kind": "b"})
    form.validate()
    return render_template(
        "everything.html", form=form, now=NOON, recent=datetime.now(UTC) - timedelta(minutes=5)
    )


def contacts() -> str:
    place = paging.place()
    page = paging.cut([*PEOPLE * 13][: paging.LIMIT], place, key=lambda row: row.id)
    return render_template("people.html", page=page, now=NOON)


def empty() -> str:
    return render_template("nothing.html")


def act() -> ResponseReturnValue:
    htmx.toast("Готово: согласие отозвано")
    return "done" if htmx.is_htmx() else redirect("/")


def late() -> ResponseReturnValue:
    raise TooLate


def boom() -> ResponseReturnValue:
    raise ZeroDivisionError("kovaleva@mail.example")


def forgotten() -> str:
    return "nobody said who may see this"


def letter() -> str:
    headers.show_letter()
    return "<!doctype html><html lang=ru><title>x</title><p style='color:red'>Письмо"


def tick() -> Response:
    return Response("<p>65</p>", 286)


def watch() -> str:
    return render_template("watch.html", turn=0)


def watch_now() -> tuple[str, int]:
    turn = int(request.args["turn"]) + 1
    return render_template("watch_now.html", turn=turn), 286 if turn == 2 else 200


def preferences() -> str:
    return render_template("recipient.html")


def show_form() -> str:
    headers.embeddable_from(["https://sever.example"])
    form = PatientForm(meta={"csrf": False})
    form.validate()
    return render_template("visitor.html", form=form)


def text() -> ResponseReturnValue:
    match request.args.get("as"):
        case "409":
            raise WrongState
        case "500":
            raise ZeroDivisionError
        case _:
            return abort(int(request.args.get("as", "404")))


def login() -> str:
    return render_template("way_in.html")


def logout() -> ResponseReturnValue:
    return redirect("/login")


def appearance() -> ResponseReturnValue:
    return redirect(request.form.get("next", "/"))
