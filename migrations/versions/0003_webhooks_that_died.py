"""Deliveries that were given up, by when: the first page counts those of a day, however many died before."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_DEAD = sa.text("state = 'dead'")


def upgrade() -> None:
    for name, columns in (
        ("ix_deliveries_died", ["tenant_id", "state", "finished_at"]),
        ("ix_deliveries_died_of_all", ["state", "finished_at"]),
    ):
        op.create_index(name, "deliveries", columns, postgresql_where=_DEAD, sqlite_where=_DEAD)


def downgrade() -> None:
    for name in ("ix_deliveries_died", "ix_deliveries_died_of_all"):
        op.drop_index(name, table_name="deliveries")
