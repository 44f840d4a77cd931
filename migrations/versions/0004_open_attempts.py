"""Where the open attempts of an account begin, so that none that ended before is looked at to count them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("accounts", sa.Column("open_from", sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("accounts", "open_from")
