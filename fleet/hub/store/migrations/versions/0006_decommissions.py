"""How devices end: what was asked of them, and what they signed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "decommissions",
        sa.Column("device", sa.LargeBinary(length=32), nullable=False),
        sa.Column("nonce", sa.LargeBinary(length=16), nullable=False),
        sa.Column("asked_ms", sa.BigInteger(), nullable=False),
        sa.Column("before_ms", sa.BigInteger(), nullable=True, comment="when the statement before the wipe came"),
        sa.Column("before_raw", sa.LargeBinary(), nullable=True, comment="the whole COSE_Sign1"),
        sa.Column("after_ms", sa.BigInteger(), nullable=True, comment="when the statement of the next boot came"),
        sa.Column("after_raw", sa.LargeBinary(), nullable=True, comment="the whole COSE_Sign1"),
        sa.ForeignKeyConstraint(["device"], ["devices.device"], name=op.f("fk_decommissions_device")),
        sa.PrimaryKeyConstraint("device", name=op.f("pk_decommissions")),
    )
