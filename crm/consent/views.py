"""Pages of this feature."""

from flask import Blueprint

bp = Blueprint("consent", __name__)
