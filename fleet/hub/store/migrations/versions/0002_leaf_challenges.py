"""Challenges of leaves: who asked for what, and what became of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "leaf_challenges",
        sa.Column("height", sa.BigInteger(), nullable=False),
        sa.Column("tx_index", sa.Integer(), nullable=False),
        sa.Column("reward_epoch", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("challenger", sa.LargeBinary(length=20), nullable=False),
        sa.Column("asked_ms", sa.BigInteger(), nullable=False, comment="the block's time"),
        sa.Column("deadline_ms", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="seen, answering, shown, lost or dismissed"),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("answered_ms", sa.BigInteger(), nullable=True, comment="the chain's time at the last answer"),
        sa.PrimaryKeyConstraint("height", "tx_index", name=op.f("pk_leaf_challenges")),
        comment="transactions that ask for a leaf of this hub's batches, each by its place in the chain",
    )
    op.create_index(op.f("ix_leaf_challenges_state"), "leaf_challenges", ["state"], unique=False)
