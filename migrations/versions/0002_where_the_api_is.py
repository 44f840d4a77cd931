"""Where the API is found, for workers that have to tell."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("processes", sa.Column("url", sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    op.drop_column("processes", "url")
