"""What may be a password, and where a sign-in may lead. Pure."""

import unicodedata
from typing import Final

from crm.errors import later

SHORTEST: Final = 12
LONGEST: Final = 200
"""Characters. A phrase fits; a book would only keep the hash busy."""

TOO_SHORT: Final = later("A password has at least 12 characters. A few words in a row do well.")
TOO_LONG: Final = later("A password has 200 characters at most.")
IS_THE_ADDRESS: Final = later("The password may not be the e-mail address.")


def as_typed_anywhere(password: str) -> str:
    """Return the password in one form, whichever keyboard composed its letters."""
    return unicodedata.normalize("NFKC", password)


def password_fault(password: str, *, email: str) -> str | None:
    """Return the sentence that says why this cannot be the password, or None if it can.

    Length is all that is asked: rules of composition make passwords that are written on notes.

    >>> password_fault("short", email="a@clinic.example") == TOO_SHORT
    True
    >>> password_fault("four words in a row", email="a@clinic.example")
    """
    password = as_typed_anywhere(password)
    if len(password) < SHORTEST:
        return TOO_SHORT
    if len(password) > LONGEST:
        return TOO_LONG
    return IS_THE_ADDRESS if password.casefold() == email.casefold() else None


def own_path(path: str) -> str | None:
    r"""Return ``path`` if a browser that is sent there stays on this site, else None.

    Browsers drop tabs and line breaks and read ``\`` as ``/``, so none of them may be there.

    >>> own_path("/contacts?q=1"), own_path("//evil.example"), own_path("/\\evil.example")
    ('/contacts?q=1', None, None)
    """
    stays = path.startswith("/") and not path.startswith("//")
    is_clean = path.isprintable() and "\\" not in path and " " not in path
    return path if stays and is_clean else None
