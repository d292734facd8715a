"""Pages of this feature; each module hangs its views on the one blueprint."""

from crm.campaigns.views import again, certifying, checking, composing, following, listing
from crm.campaigns.views.blueprint import bp

__all__ = ["again", "bp", "certifying", "checking", "composing", "following", "listing"]
