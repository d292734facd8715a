"""Windows of intents, counters of leases, and what a mailing may be told."""

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""
