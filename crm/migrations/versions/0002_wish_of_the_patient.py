"""What a patient writes when asking for another time; a place as long as the clinic's address."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The default is for the version still running, which writes no such column.
    op.add_column(
        "appointments",
        sa.Column("wish", sa.String(length=300), nullable=False, server_default=""),
    )
    op.alter_column(
        "appointments", "place", type_=sa.String(length=300), existing_type=sa.String(length=200)
    )
