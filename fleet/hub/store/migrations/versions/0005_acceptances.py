"""Signed reports of hardware tests."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "acceptances",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("device", sa.LargeBinary(length=32), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_ms", sa.BigInteger(), nullable=False, comment="by the device's clock"),
        sa.Column("profile", sa.Text(), nullable=False, comment="empty: no model was named"),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("is_passed", sa.Boolean(), nullable=False),
        sa.Column("passed", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False, comment="COSE_Sign1 over acc1"),
        sa.ForeignKeyConstraint(["device"], ["devices.device"], name=op.f("fk_acceptances_device")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_acceptances")),
    )
    op.create_index(op.f("ix_acceptances_device"), "acceptances", ["device"], unique=False)
