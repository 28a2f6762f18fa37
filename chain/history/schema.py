"""The tables of the index, the same in SQLite and PostgreSQL: blocks, transactions, what happened, who is mentioned."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, Table, Text

SCHEMA_VERSION: Final = 2
"""2: every deal, device and payee of a transaction's bytes is mentioned, not transfers' and registrations' alone."""
BLOCK_POSITION: Final = -1
"""The position of what happened in a block outside of its transactions."""

_HEIGHT = BigInteger().with_variant(Integer(), "sqlite")  # SQLite's own row number is INTEGER by that very name

metadata = MetaData()

about = Table(
    "about",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False, comment="of `chain_id` and `format`"),
    sqlite_with_rowid=False,
)
blocks = Table(
    "blocks",
    metadata,
    Column("height", _HEIGHT, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
    Column("time_ns", BigInteger, nullable=False),
    Column("proposer", LargeBinary, nullable=False),
    Column("transactions", BigInteger, nullable=False),
)
transactions = Table(
    "transactions",
    metadata,
    Column("height", BigInteger, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("hash", LargeBinary, nullable=False),
    Column("type", BigInteger),
    Column("sender", LargeBinary),
    Column("nonce", BigInteger),
    Column("fee_atto", Text),
    Column("code", BigInteger, nullable=False),
    Column("log", Text, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Index("transactions_by_hash", "hash"),
    sqlite_with_rowid=False,
)
events = Table(
    "events",
    metadata,
    Column("height", BigInteger, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("type", Text, nullable=False),
    Column("attributes", Text, nullable=False, comment="JSON, a list of [key, value]"),
    sqlite_with_rowid=False,
)
mentions = Table(
    "mentions",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("value", LargeBinary, primary_key=True),
    Column("height", BigInteger, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("role", Text, primary_key=True),
    Column("proven", Boolean, nullable=False, comment="it stands in the transaction's own bytes"),
    sqlite_with_rowid=False,
)
