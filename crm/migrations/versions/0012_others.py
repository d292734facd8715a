"""All domains of no big provider get manners of their own: no limit, until somebody sets one."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint(op.f("ck_provider_manners_connections"), "provider_manners")
    op.create_check_constraint(
        op.f("ck_provider_manners_connections"), "provider_manners", "connections BETWEEN 0 AND 100"
    )
    op.execute(
        "INSERT INTO provider_manners (name, per_hour, target_per_hour, connections, warm_up)"
        " VALUES ('other', 200, 0, 0, false) ON CONFLICT DO NOTHING"
    )
