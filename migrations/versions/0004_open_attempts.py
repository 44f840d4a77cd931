"""Where the open attempts of an account begin, so that none that ended before is looked at to count them.

And names of figures in the order of their bytes, whatever the database's collation is: they are asked for by
what they begin with, which needs that order and its index.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    _collate('COLLATE "C"')  # builds an index: before anything that a claim asks for is locked
    op.add_column("accounts", sa.Column("open_from", sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    _collate('COLLATE "default"')
    op.drop_column("accounts", "open_from")


def _collate(collation: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE figures ALTER COLUMN name TYPE varchar(24) {collation}")
