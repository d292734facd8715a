"""What is typed about accounts and passwords."""

from flask_babel import lazy_gettext as _
from wtforms import EmailField, PasswordField, SelectMultipleField, StringField
from wtforms.validators import InputRequired
from wtforms.widgets import CheckboxInput, ListWidget

from crm.mail.addresses import Domains, read_email
from crm.staff.models import RoleName
from crm.web.look import ROLE_NAMES
from crm.web.reading import Form, Read, line, options

LONGEST_NAME = 120
ROLE_HINT = _("A person may have several. Each page names the roles that it opens to.")
NO_ROLE = _("Choose at least one role.")
NO_PASSWORD = _("Type your password.")


def _email(typed: str) -> str:
    return read_email(typed, domains=Domains.WITH_TEST).value


class SignInForm(Form):
    """Anything may be typed here: what is wrong with it is nobody's business."""

    email = EmailField(_("E-mail"))
    password = PasswordField(_("Password"))


class AccountForm(Form):
    """The name and the roles of an account."""

    name = StringField(_("Name"), [Read(line(LONGEST_NAME))])
    roles = SelectMultipleField(
        _("Roles"),
        [InputRequired(NO_ROLE)],
        choices=options((role.value, ROLE_NAMES[role.value]) for role in RoleName),
        description=ROLE_HINT,
        option_widget=CheckboxInput(),
        widget=ListWidget(prefix_label=False),
    )

    @property
    def chosen(self) -> list[RoleName]:
        """Return the ticked roles; valid once ``validate`` has returned True."""
        return [RoleName(name) for name in self.roles.data or []]


class NewAccountForm(AccountForm):
    """A new account; the address it signs in with is never changed afterwards."""

    email = EmailField(_("E-mail"), [Read(_email)], description=_("To sign in with."))


class PasswordForm(Form):
    """A person's own new password; what it may be is for the rules to say."""

    current_password = PasswordField(_("Current password"), [InputRequired(NO_PASSWORD)])
    new_password = PasswordField(
        _("New password"),
        [InputRequired(_("Type a new password."))],
        description=_("At least 12 characters. A few words in a row do well."),
    )
