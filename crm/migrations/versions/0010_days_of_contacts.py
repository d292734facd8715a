"""A day with a promotional letter is the contact's as well as the address's."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("promotional_days", sa.Column("contact_id", sa.Integer(), nullable=True))
    op.execute("""
        UPDATE promotional_days p SET contact_id = first.contact_id
        FROM (
            SELECT DISTINCT ON (d.contact_id, p."on") p.address_id, p."on", d.contact_id
            FROM promotional_days p JOIN deliveries d ON d.id = p.delivery_id
            WHERE d.contact_id IS NOT NULL ORDER BY d.contact_id, p."on", p.delivery_id
        ) AS first
        WHERE p.address_id = first.address_id AND p."on" = first."on"
    """)
    op.create_unique_constraint(
        op.f("uq_promotional_days_contact_id_on"), "promotional_days", ["contact_id", "on"]
    )
