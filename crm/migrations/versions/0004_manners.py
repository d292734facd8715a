"""Paces by provider, warm-up, rests, and the frequency cap."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

PROVIDERS = (("gmail", 7200, 5), ("mailru", 3600, 3), ("yandex", 3600, 3), ("microsoft", 3600, 3))
"""Name, target an hour, connections: what an installation starts with."""


def upgrade() -> None:
    op.alter_column("paces", "name", type_=sa.String(270))
    op.add_column("paces", sa.Column("per_minute", sa.Double(), nullable=True))
    op.add_column("paces", sa.Column("rest_step", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("paces", sa.Column("rested_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("paces", sa.Column("rest_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("paces", sa.Column("because", sa.String(200), nullable=True))
    op.create_check_constraint(op.f("ck_paces_rest_step"), "paces", "rest_step BETWEEN 0 AND 3")
    op.create_index("ix_paces_rests", "paces", ["name"], postgresql_where=sa.text("rest_step > 0"))
    manners = op.create_table(
        "provider_manners",
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("per_hour", sa.Integer(), nullable=False),
        sa.Column("target_per_hour", sa.Integer(), nullable=False),
        sa.Column("connections", sa.Integer(), nullable=False),
        sa.Column("warm_up", sa.Boolean(), nullable=False),
        sa.Column("warmed_on", sa.Date(), nullable=True),
        sa.CheckConstraint("per_hour > 0", name=op.f("ck_provider_manners_per_hour")),
        sa.CheckConstraint("target_per_hour >= 0", name=op.f("ck_provider_manners_target")),
        sa.CheckConstraint(
            "connections BETWEEN 1 AND 100", name=op.f("ck_provider_manners_connections")
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_provider_manners")),
    )
    op.bulk_insert(
        manners,
        [
            {
                "name": name,
                "per_hour": 200,
                "target_per_hour": target,
                "connections": connections,
                "warm_up": True,
            }
            for name, target, connections in PROVIDERS
        ],
    )
    op.create_table(
        "refusal_counts",
        sa.Column("mailing_id", sa.BigInteger(), nullable=False),
        sa.Column("provider", sa.String(16), nullable=False),
        sa.Column("on", sa.Date(), nullable=False),
        sa.Column("refusal", sa.String(32), nullable=False),
        sa.Column("letters", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["mailing_id"], ["mailings.id"], name=op.f("fk_refusal_counts_mailing_id_mailings")
        ),
        sa.PrimaryKeyConstraint(
            "mailing_id", "provider", "on", "refusal", name=op.f("pk_refusal_counts")
        ),
    )
    op.create_index(op.f("ix_refusal_counts_on"), "refusal_counts", ["on"])
    op.create_table(
        "promotional_days",
        sa.Column("address_id", sa.BigInteger(), nullable=False),
        sa.Column("on", sa.Date(), nullable=False),
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["address_id"], ["addresses.id"], name=op.f("fk_promotional_days_address_id_addresses")
        ),
        sa.PrimaryKeyConstraint("address_id", "on", name=op.f("pk_promotional_days")),
    )
    op.drop_constraint(op.f("ck_clinic_pace"), "clinic")
    op.create_check_constraint(
        op.f("ck_clinic_pace"), "clinic", "letters_per_minute BETWEEN 0 AND 1000000"
    )
    op.add_column(
        "clinic", sa.Column("one_a_day", sa.Boolean(), nullable=False, server_default=sa.true())
    )
    op.add_column(
        "clinic", sa.Column("cap_per_month", sa.Integer(), nullable=False, server_default="8")
    )
    op.add_column("clinic", sa.Column("smart_host", sa.Boolean(), nullable=True))
    op.create_check_constraint(op.f("ck_clinic_cap"), "clinic", "cap_per_month BETWEEN 0 AND 31")
