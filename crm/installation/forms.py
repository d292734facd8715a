"""What is typed to release an installation."""

from flask_babel import lazy_gettext as _
from wtforms import StringField

from crm.web.reading import Form, Read, line


class ReleaseForm(Form):
    """The reason stays with the installation."""

    because = StringField(
        _("Why this copy is the right one"),
        [Read(line(300))],
        description=_("Such as: restored the backup of 1 March, the old server is switched off."),
    )
