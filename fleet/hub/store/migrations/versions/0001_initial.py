"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "batch_leaves",
        sa.Column("reward_epoch", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("device", sa.LargeBinary(length=32), nullable=False),
        sa.Column("chain", sa.LargeBinary(length=16), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("leaf_sum", sa.Text(), nullable=False, comment="decimal"),
        sa.PrimaryKeyConstraint("reward_epoch", "position", name=op.f("pk_batch_leaves")),
        sa.UniqueConstraint("device", "chain", "seq", name=op.f("uq_batch_leaves_device_chain_seq")),
    )
    op.create_table(
        "batches",
        sa.Column("reward_epoch", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sum", sa.Text(), nullable=False, comment="decimal"),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("tx_hash", sa.LargeBinary(length=32), nullable=True),
        sa.Column("height", sa.BigInteger(), nullable=True, comment="of the block that includes it"),
        sa.PrimaryKeyConstraint("reward_epoch", name=op.f("pk_batches")),
    )
    op.create_table(
        "claims",
        sa.Column("ticket_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("device", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("approved_ms", sa.BigInteger(), nullable=True),
        sa.Column("used_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("ticket_hash", name=op.f("pk_claims")),
        sa.UniqueConstraint("code_hash", name=op.f("uq_claims_code_hash")),
    )
    op.create_index(op.f("ix_claims_device"), "claims", ["device"], unique=False)
    op.create_table(
        "contradictions",
        sa.Column("device", sa.LargeBinary(length=32), nullable=False),
        sa.Column("chain", sa.LargeBinary(length=16), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.Column("first_raw", sa.LargeBinary(), nullable=False),
        sa.Column("second_raw", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("device", "chain", "seq", name=op.f("pk_contradictions")),
    )
    op.create_table(
        "delegations",
        sa.Column("kid", sa.LargeBinary(length=16), nullable=False, comment="SHA-256(record_public)[:16]"),
        sa.Column("device", sa.LargeBinary(length=32), nullable=False),
        sa.Column("record_public", sa.LargeBinary(length=32), nullable=False),
        sa.Column("boot", sa.LargeBinary(length=16), nullable=False),
        sa.Column("not_before_ms", sa.BigInteger(), nullable=False),
        sa.Column("not_after_ms", sa.BigInteger(), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("device", "kid", name=op.f("pk_delegations")),
    )
    op.create_table(
        "devices",
        sa.Column("device", sa.LargeBinary(length=32), nullable=False),
        sa.Column("topic_id", sa.Text(), nullable=False),
        sa.Column("fleet", sa.Text(), nullable=False),
        sa.Column("identity_key", sa.LargeBinary(), nullable=False, comment="COSE_Key, canonical CBOR"),
        sa.Column("enrolled_ms", sa.BigInteger(), nullable=False),
        sa.Column("enrolled_by", sa.Text(), nullable=False, comment="token or claim"),
        sa.Column("online", sa.Boolean(), nullable=True, comment="null until its first state message"),
        sa.Column("offline_reason", sa.Text(), nullable=True),
        sa.Column("state_ms", sa.BigInteger(), nullable=True),
        sa.Column("last_seen_ms", sa.BigInteger(), nullable=True),
        sa.Column("reported", sa.Text(), nullable=True, comment="the last `reported` document, JSON"),
        sa.Column("reported_ms", sa.BigInteger(), nullable=True),
        sa.Column(
            "owner", sa.LargeBinary(length=20), nullable=True, comment="the account it is registered to on the chain"
        ),
        sa.Column("registered_height", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("device", name=op.f("pk_devices")),
        sa.UniqueConstraint("topic_id", name=op.f("uq_devices_topic_id")),
    )
    op.create_table(
        "enrolment_tokens",
        sa.Column("secret_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=True),
        sa.Column("used_by", sa.LargeBinary(length=32), nullable=True, comment="device id"),
        sa.PrimaryKeyConstraint("secret_hash", name=op.f("pk_enrolment_tokens")),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("topic_id", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False, comment="the typed event, JSON"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_topic_id"), "events", ["topic_id"], unique=False)
    op.create_table(
        "facts",
        sa.Column("name", sa.Text(), nullable=False, comment="such as `follower/height`"),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_facts")),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="proof_batch or pog_commit"),
        sa.Column("subject", sa.Text(), nullable=False, comment="what it is for, so that nothing is sent twice"),
        sa.Column("nonce", sa.BigInteger(), nullable=True),
        sa.Column("raw", sa.LargeBinary(), nullable=True, comment="the signed transaction"),
        sa.Column("tx_hash", sa.LargeBinary(length=32), nullable=True),
        sa.Column("state", sa.Text(), nullable=False, comment="pending, sent, included or failed"),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("sent_ms", sa.BigInteger(), nullable=True),
        sa.Column("height", sa.BigInteger(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("subject", name=op.f("uq_outbox_subject")),
        sa.UniqueConstraint("tx_hash", name=op.f("uq_outbox_tx_hash")),
    )
    op.create_table(
        "pog_commitments",
        sa.Column("challenge_height", sa.BigInteger(), nullable=False),
        sa.Column("device", sa.LargeBinary(length=32), nullable=False),
        sa.Column("gpu", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("challenge_height", "device", "gpu", name=op.f("pk_pog_commitments")),
    )
    op.create_table(
        "pog_results",
        sa.Column("challenge_height", sa.BigInteger(), nullable=False),
        sa.Column("device", sa.LargeBinary(length=32), nullable=False),
        sa.Column("gpu", sa.Text(), nullable=False),
        sa.Column("reward_epoch", sa.BigInteger(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("ok", sa.Boolean(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True, comment="registry code when not ok"),
        sa.Column("rows_checked", sa.Integer(), nullable=False),
        sa.Column("elapsed_ms", sa.BigInteger(), nullable=True),
        sa.Column("operations_per_s", sa.BigInteger(), nullable=True, comment="2*n*K*w / elapsed"),
        sa.Column("checked_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("challenge_height", "device", "gpu", name=op.f("pk_pog_results")),
    )
    op.create_index(op.f("ix_pog_results_reward_epoch"), "pog_results", ["reward_epoch"], unique=False)
    op.create_table(
        "pog_rounds",
        sa.Column("challenge_height", sa.BigInteger(), nullable=False),
        sa.Column("beacon", sa.LargeBinary(length=32), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("announced_ms", sa.BigInteger(), nullable=False),
        sa.Column("window_ms", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="open, committed, opened, closed or failed"),
        sa.Column("root", sa.LargeBinary(length=32), nullable=True),
        sa.Column("count", sa.Integer(), nullable=True),
        sa.Column("commit_tx", sa.LargeBinary(length=32), nullable=True),
        sa.Column("commit_height", sa.BigInteger(), nullable=True),
        sa.Column("open_beacon", sa.LargeBinary(length=32), nullable=True),
        sa.PrimaryKeyConstraint("challenge_height", name=op.f("pk_pog_rounds")),
    )
    op.create_table(
        "record_chains",
        sa.Column("device", sa.LargeBinary(length=32), nullable=False),
        sa.Column("chain", sa.LargeBinary(length=16), nullable=False),
        sa.Column("next_seq", sa.BigInteger(), nullable=False),
        sa.Column(
            "head_hash",
            sa.LargeBinary(length=32),
            nullable=False,
            comment="SHA-256 of the last payload; zero before seq 0",
        ),
        sa.Column("started_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("device", "chain", name=op.f("pk_record_chains")),
    )
    op.create_table(
        "records",
        sa.Column("device", sa.LargeBinary(length=32), nullable=False),
        sa.Column("chain", sa.LargeBinary(length=16), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("reward_epoch", sa.BigInteger(), nullable=False),
        sa.Column("payload_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False, comment="the whole COSE_Sign1"),
        sa.PrimaryKeyConstraint("device", "chain", "seq", name=op.f("pk_records")),
    )
    op.create_index(op.f("ix_records_reward_epoch_device"), "records", ["reward_epoch", "device"], unique=False)
    op.create_table(
        "refusal_counts",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("topic_id", sa.Text(), nullable=False, comment="empty when nobody is named"),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("code", "topic_id", name=op.f("pk_refusal_counts")),
    )
    op.create_table(
        "refusal_log",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("topic_id", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refusal_log")),
        comment="the newest refusals only: see REFUSAL_LOG_ROWS",
    )
    op.create_table(
        "rewards",
        sa.Column("reward_epoch", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.LargeBinary(length=20), nullable=False),
        sa.Column("amount", sa.Text(), nullable=False, comment="10^-18 ANKR, decimal"),
        sa.Column("height", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("reward_epoch", "owner", name=op.f("pk_rewards")),
    )
    op.create_table(
        "sponsorships",
        sa.Column("tx_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("owner", sa.LargeBinary(length=20), nullable=False),
        sa.Column("device", sa.LargeBinary(length=32), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tx_hash", name=op.f("pk_sponsorships")),
        comment="registrations whose fee this hub paid; the quota is per owner",
    )
    op.create_index(op.f("ix_sponsorships_owner"), "sponsorships", ["owner"], unique=False)
    op.create_table(
        "certificates",
        sa.Column("serial", sa.Text(), nullable=False, comment="hex"),
        sa.Column("device", sa.LargeBinary(length=32), nullable=False),
        sa.Column("issued_ms", sa.BigInteger(), nullable=False),
        sa.Column("not_after_ms", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False, comment="enrol or renew"),
        sa.ForeignKeyConstraint(["device"], ["devices.device"], name=op.f("fk_certificates_device")),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_certificates")),
    )
    op.create_index(op.f("ix_certificates_device"), "certificates", ["device"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_certificates_device"), table_name="certificates")
    op.drop_table("certificates")
    op.drop_index(op.f("ix_sponsorships_owner"), table_name="sponsorships")
    op.drop_table("sponsorships")
    op.drop_table("rewards")
    op.drop_table("refusal_log")
    op.drop_table("refusal_counts")
    op.drop_index(op.f("ix_records_reward_epoch_device"), table_name="records")
    op.drop_table("records")
    op.drop_table("record_chains")
    op.drop_table("pog_rounds")
    op.drop_index(op.f("ix_pog_results_reward_epoch"), table_name="pog_results")
    op.drop_table("pog_results")
    op.drop_table("pog_commitments")
    op.drop_table("outbox")
    op.drop_table("facts")
    op.drop_index(op.f("ix_events_topic_id"), table_name="events")
    op.drop_table("events")
    op.drop_table("enrolment_tokens")
    op.drop_table("devices")
    op.drop_table("delegations")
    op.drop_table("contradictions")
    op.drop_index(op.f("ix_claims_device"), table_name="claims")
    op.drop_table("claims")
    op.drop_table("batches")
    op.drop_table("batch_leaves")
