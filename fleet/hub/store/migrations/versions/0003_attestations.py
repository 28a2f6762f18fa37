"""What the hub believes of each machine's TPM and boot."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "attestations",
        sa.Column("device", sa.LargeBinary(length=32), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False, comment="of the last attempt"),
        sa.Column("code", sa.Text(), nullable=True, comment="why the last attempt was refused; null: it was accepted"),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("not_after_ms", sa.BigInteger(), nullable=False, comment="how long the last accepted quote counts"),
        sa.Column("endorsement", sa.LargeBinary(length=34), nullable=True, comment="name of the endorsement key"),
        sa.Column("manufacturer", sa.Text(), nullable=True, comment="null: nobody whom this hub knows"),
        sa.Column("image", sa.Text(), nullable=True, comment="of the last accepted quote"),
        sa.Column("secure_boot", sa.Boolean(), nullable=True),
        sa.Column("pcr7", sa.LargeBinary(length=32), nullable=True, comment="pinned by the first accepted quote"),
        sa.Column("pcr_digest", sa.LargeBinary(length=32), nullable=True, comment="as delegations name it"),
        sa.Column(
            "record_key",
            sa.LargeBinary(length=16),
            nullable=True,
            comment="id of the record key that the last accepted quote vouches for",
        ),
        sa.ForeignKeyConstraint(["device"], ["devices.device"], name=op.f("fk_attestations_device")),
        sa.PrimaryKeyConstraint("device", name=op.f("pk_attestations")),
    )
    op.create_index(op.f("ix_attestations_endorsement"), "attestations", ["endorsement"], unique=False)
