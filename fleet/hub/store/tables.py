"""Every table of the hub.

Times are milliseconds since 1970 (`…_ms`); amounts that may pass 2^63 are decimal text (SQLite's integers end there);
device ids are the whole 32 bytes, `topic_id` their first 32 hex digits. The ingest path writes `records` and its
neighbours with its own SQL; everything else goes through SQLAlchemy Core and `fleet.hub.actions`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# --- Who is who -----------------------------------------------------------------------------------

devices = Table(
    "devices",
    metadata,
    Column("device", LargeBinary(32), primary_key=True),
    Column("topic_id", Text, nullable=False, unique=True),
    Column("fleet", Text, nullable=False),
    Column("identity_key", LargeBinary, nullable=False, comment="COSE_Key, canonical CBOR"),
    Column("enrolled_ms", BigInteger, nullable=False),
    Column("enrolled_by", Text, nullable=False, comment="token or claim"),
    Column("online", Boolean, comment="null until its first state message"),
    Column("offline_reason", Text),
    Column("state_ms", BigInteger),
    Column("last_seen_ms", BigInteger),
    Column("reported", Text, comment="the last `reported` document, JSON"),
    Column("reported_ms", BigInteger),
    Column("owner", LargeBinary(20), comment="the account it is registered to on the chain"),
    Column("registered_height", BigInteger),
)

enrolment_tokens = Table(
    "enrolment_tokens",
    metadata,
    Column("secret_hash", LargeBinary(32), primary_key=True),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("used_ms", BigInteger),
    Column("used_by", LargeBinary(32), comment="device id"),
)

claims = Table(
    "claims",
    metadata,
    Column("ticket_hash", LargeBinary(32), primary_key=True),
    Column("code_hash", LargeBinary(32), nullable=False, unique=True),
    Column("device", LargeBinary(32), nullable=False, index=True),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("approved_ms", BigInteger),
    Column("used_ms", BigInteger),
)

certificates = Table(
    "certificates",
    metadata,
    Column("serial", Text, primary_key=True, comment="hex"),
    Column("device", LargeBinary(32), ForeignKey("devices.device"), nullable=False, index=True),
    Column("issued_ms", BigInteger, nullable=False),
    Column("not_after_ms", BigInteger, nullable=False),
    Column("reason", Text, nullable=False, comment="enrol or renew"),
)

sponsorships = Table(
    "sponsorships",
    metadata,
    Column("tx_hash", LargeBinary(32), primary_key=True),
    Column("owner", LargeBinary(20), nullable=False, index=True),
    Column("device", LargeBinary(32), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    comment="registrations whose fee this hub paid; the quota is per owner",
)

attestations = Table(
    "attestations",
    metadata,
    Column("device", LargeBinary(32), ForeignKey("devices.device"), primary_key=True),
    Column("at_ms", BigInteger, nullable=False, comment="of the last attempt"),
    Column("code", Text, comment="why the last attempt was refused; null: it was accepted"),
    Column("reason", Text),
    Column("not_after_ms", BigInteger, nullable=False, comment="how long the last accepted quote counts"),
    Column("endorsement", LargeBinary(34), index=True, comment="name of the endorsement key"),
    Column("manufacturer", Text, comment="null: nobody whom this hub knows"),
    Column("image", Text, comment="of the last accepted quote"),
    Column("secure_boot", Boolean),
    Column("pcr7", LargeBinary(32), comment="pinned by the first accepted quote"),
    Column("pcr_digest", LargeBinary(32), comment="as delegations name it"),
    Column("record_key", LargeBinary(16), comment="id of the record key that the last accepted quote vouches for"),
)

acceptances = Table(
    "acceptances",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("device", LargeBinary(32), ForeignKey("devices.device"), nullable=False, index=True),
    Column("received_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger, nullable=False, comment="by the device's clock"),
    Column("profile", Text, nullable=False, comment="empty: no model was named"),
    Column("level", Text, nullable=False),
    Column("is_passed", Boolean, nullable=False),
    Column("passed", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("skipped", Integer, nullable=False),
    Column("raw", LargeBinary, nullable=False, comment="COSE_Sign1 over acc1"),
)

decommissions = Table(
    "decommissions",
    metadata,
    Column("device", LargeBinary(32), ForeignKey("devices.device"), primary_key=True),
    Column("nonce", LargeBinary(16), nullable=False),
    Column("asked_ms", BigInteger, nullable=False),
    Column("before_ms", BigInteger, comment="when the statement before the wipe came"),
    Column("before_raw", LargeBinary, comment="the whole COSE_Sign1"),
    Column("after_ms", BigInteger, comment="when the statement of the next boot came"),
    Column("after_raw", LargeBinary, comment="the whole COSE_Sign1"),
)

# --- What the devices prove -----------------------------------------------------------------------

delegations = Table(
    "delegations",
    metadata,
    Column("kid", LargeBinary(16), nullable=False, comment="SHA-256(record_public)[:16]"),
    Column("device", LargeBinary(32), nullable=False),
    Column("record_public", LargeBinary(32), nullable=False),
    Column("boot", LargeBinary(16), nullable=False),
    Column("not_before_ms", BigInteger, nullable=False),
    Column("not_after_ms", BigInteger, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    PrimaryKeyConstraint("device", "kid"),
)

record_chains = Table(
    "record_chains",
    metadata,
    Column("device", LargeBinary(32), nullable=False),
    Column("chain", LargeBinary(16), nullable=False),
    Column("next_seq", BigInteger, nullable=False),
    Column("head_hash", LargeBinary(32), nullable=False, comment="SHA-256 of the last payload; zero before seq 0"),
    Column("started_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("device", "chain"),
)

records = Table(
    "records",
    metadata,
    Column("device", LargeBinary(32), nullable=False),
    Column("chain", LargeBinary(16), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("reward_epoch", BigInteger, nullable=False),
    Column("payload_hash", LargeBinary(32), nullable=False),
    Column("raw", LargeBinary, nullable=False, comment="the whole COSE_Sign1"),
    PrimaryKeyConstraint("device", "chain", "seq"),
    Index(None, "reward_epoch", "device"),
)

contradictions = Table(
    "contradictions",
    metadata,
    Column("device", LargeBinary(32), nullable=False),
    Column("chain", LargeBinary(16), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
    Column("first_raw", LargeBinary, nullable=False),
    Column("second_raw", LargeBinary, nullable=False),
    PrimaryKeyConstraint("device", "chain", "seq"),
)

refusal_counts = Table(
    "refusal_counts",
    metadata,
    Column("code", Text, nullable=False),
    Column("topic_id", Text, nullable=False, comment="empty when nobody is named"),
    Column("count", BigInteger, nullable=False),
    PrimaryKeyConstraint("code", "topic_id"),
)

refusal_log = Table(
    "refusal_log",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("code", Text, nullable=False),
    Column("topic_id", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("detail", Text, nullable=False),
    comment="the newest refusals only: see REFUSAL_LOG_ROWS",
)

REFUSAL_LOG_ROWS = 1_000

# --- Proof of GPU compute -------------------------------------------------------------------------

pog_rounds = Table(
    "pog_rounds",
    metadata,
    Column("challenge_height", BigInteger, primary_key=True),
    Column("beacon", LargeBinary(32), nullable=False),
    Column("profile", Text, nullable=False),
    Column("announced_ms", BigInteger, nullable=False),
    Column("window_ms", BigInteger, nullable=False),
    Column("state", Text, nullable=False, comment="open, committed, opened, closed or failed"),
    Column("root", LargeBinary(32)),
    Column("count", Integer),
    Column("commit_tx", LargeBinary(32)),
    Column("commit_height", BigInteger),
    Column("open_beacon", LargeBinary(32)),
)

pog_commitments = Table(
    "pog_commitments",
    metadata,
    Column("challenge_height", BigInteger, nullable=False),
    Column("device", LargeBinary(32), nullable=False),
    Column("gpu", Text, nullable=False),
    Column("profile", Text, nullable=False),
    Column("n", BigInteger, nullable=False),
    Column("root", LargeBinary(32), nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    PrimaryKeyConstraint("challenge_height", "device", "gpu"),
)

pog_results = Table(
    "pog_results",
    metadata,
    Column("challenge_height", BigInteger, nullable=False),
    Column("device", LargeBinary(32), nullable=False),
    Column("gpu", Text, nullable=False),
    Column("reward_epoch", BigInteger, nullable=False),
    Column("profile", Text, nullable=False),
    Column("ok", Boolean, nullable=False),
    Column("code", Text, comment="registry code when not ok"),
    Column("rows_checked", Integer, nullable=False),
    Column("elapsed_ms", BigInteger),
    Column("operations_per_s", BigInteger, comment="2*n*K*w / elapsed"),
    Column("checked_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("challenge_height", "device", "gpu"),
    Index(None, "reward_epoch"),
)

# --- What goes to the chain and comes back --------------------------------------------------------

batches = Table(
    "batches",
    metadata,
    Column("reward_epoch", BigInteger, primary_key=True),
    Column("root", LargeBinary(32), nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sum", Text, nullable=False, comment="decimal"),
    Column("created_ms", BigInteger, nullable=False),
    Column("tx_hash", LargeBinary(32)),
    Column("height", BigInteger, comment="of the block that includes it"),
)

batch_leaves = Table(
    "batch_leaves",
    metadata,
    Column("reward_epoch", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("device", LargeBinary(32), nullable=False),
    Column("chain", LargeBinary(16), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("leaf_sum", Text, nullable=False, comment="decimal"),
    PrimaryKeyConstraint("reward_epoch", "position"),
    UniqueConstraint("device", "chain", "seq"),
)

leaf_challenges = Table(
    "leaf_challenges",
    metadata,
    Column("height", BigInteger, nullable=False),
    Column("tx_index", Integer, nullable=False),
    Column("reward_epoch", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("challenger", LargeBinary(20), nullable=False),
    Column("asked_ms", BigInteger, nullable=False, comment="the block's time"),
    Column("deadline_ms", BigInteger, nullable=False),
    Column("state", Text, nullable=False, index=True, comment="seen, answering, shown, lost or dismissed"),
    Column("attempts", Integer, nullable=False),
    Column("answered_ms", BigInteger, comment="the chain's time at the last answer"),
    PrimaryKeyConstraint("height", "tx_index"),
    comment="transactions that ask for a leaf of this hub's batches, each by its place in the chain",
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False, comment="proof_batch or pog_commit"),
    Column("subject", Text, nullable=False, unique=True, comment="what it is for, so that nothing is sent twice"),
    Column("nonce", BigInteger),
    Column("raw", LargeBinary, comment="the signed transaction"),
    Column("tx_hash", LargeBinary(32), unique=True),
    Column("state", Text, nullable=False, comment="pending, sent, included or failed"),
    Column("attempts", Integer, nullable=False, default=0),
    Column("created_ms", BigInteger, nullable=False),
    Column("sent_ms", BigInteger),
    Column("height", BigInteger),
    Column("code", Text),
)

rewards = Table(
    "rewards",
    metadata,
    Column("reward_epoch", BigInteger, nullable=False),
    Column("owner", LargeBinary(20), nullable=False),
    Column("amount", Text, nullable=False, comment="10^-18 ANKR, decimal"),
    Column("height", BigInteger, nullable=False),
    PrimaryKeyConstraint("reward_epoch", "owner"),
)

# --- What happened --------------------------------------------------------------------------------

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("topic_id", Text, index=True),
    Column("body", Text, nullable=False, comment="the typed event, JSON"),
)

facts = Table(
    "facts",
    metadata,
    Column("name", Text, primary_key=True, comment="such as `follower/height`"),
    Column("value", Text, nullable=False),
)
