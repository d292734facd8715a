"""Pages of this feature."""

from flask import Blueprint

bp = Blueprint("recipients", __name__)
