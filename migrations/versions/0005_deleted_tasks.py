"""The tasks of deleted jobs, which are forgotten after a week, apart from the audit, which stays."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_NAME = "ix_audit_deleted_tasks"
_OF_TASKS = sa.text("action = 'delete task'")


def upgrade() -> None:
    bind = op.get_bind()
    is_in_use = bind.dialect.name == "postgresql" and bind.scalar(sa.text("SELECT 1 FROM audit LIMIT 1"))
    if not is_in_use:
        _build(is_beside_writers=False)
        return
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")  # it waits for the writers of now, and nobody waits for it
        _build(is_beside_writers=True)
        op.execute("RESET lock_timeout")


def _build(*, is_beside_writers: bool) -> None:
    """What a build that was broken off has left does not count."""
    op.drop_index(_NAME, "audit", if_exists=True, postgresql_concurrently=is_beside_writers)
    op.create_index(
        _NAME,
        "audit",
        ["id"],
        postgresql_where=_OF_TASKS,
        sqlite_where=_OF_TASKS,
        postgresql_concurrently=is_beside_writers,
    )


def downgrade() -> None:
    op.drop_index(_NAME, table_name="audit")
