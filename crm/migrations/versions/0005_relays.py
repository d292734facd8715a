"""Who owns each relay, and in which country it stands."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "relay_declarations",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("relay", sa.String(length=262), nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("bond", sa.String(length=32), nullable=False),
        sa.Column("contract", sa.String(length=200), nullable=False),
        sa.Column("contract_on", sa.Date(), nullable=True),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.Column("declared_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("declared_by", sa.Integer(), nullable=False),
        sa.CheckConstraint("country ~ '^[A-Z]{2}$'", name=op.f("ck_relay_declarations_country")),
        sa.CheckConstraint(
            "bond <> 'processor' OR (contract <> '' AND contract_on IS NOT NULL)",
            name=op.f("ck_relay_declarations_contract"),
        ),
        sa.ForeignKeyConstraint(
            ["declared_by"], ["staff.id"], name=op.f("fk_relay_declarations_declared_by_staff")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_relay_declarations")),
    )
    op.create_index(op.f("ix_relay_declarations_relay_id"), "relay_declarations", ["relay", "id"])
    op.execute(
        "CREATE TRIGGER untouchable BEFORE UPDATE OR DELETE OR TRUNCATE ON relay_declarations"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
