"""Deliveries that were given up, by when: the first page counts those of a day, however many died before."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_DEAD = sa.text("state = 'dead'")
_INDEXES = {
    "ix_deliveries_died": ["tenant_id", "state", "finished_at"],
    "ix_deliveries_died_of_all": ["state", "finished_at"],
}


def upgrade() -> None:
    bind = op.get_bind()
    is_in_use = bind.dialect.name == "postgresql" and bind.scalar(sa.text("SELECT 1 FROM deliveries LIMIT 1"))
    if not is_in_use:
        _build(is_beside_writers=False)
        return
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")  # it waits for the writers of now, and nobody waits for it
        _build(is_beside_writers=True)
        op.execute("RESET lock_timeout")


def _build(*, is_beside_writers: bool) -> None:
    """What a build that was broken off has left does not count."""
    for name, columns in _INDEXES.items():
        op.drop_index(name, "deliveries", if_exists=True, postgresql_concurrently=is_beside_writers)
        op.create_index(
            name,
            "deliveries",
            columns,
            postgresql_where=_DEAD,
            sqlite_where=_DEAD,
            postgresql_concurrently=is_beside_writers,
        )


def downgrade() -> None:
    for name in _INDEXES:
        op.drop_index(name, table_name="deliveries")
