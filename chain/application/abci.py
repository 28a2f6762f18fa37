"""ABCI 2.0 as data: the requests and responses of CometBFT v0.38's package `tendermint.abci`.

Names and fields are the specification's. Times are integers of nanoseconds since the Unix epoch; hashes, keys and
addresses are raw bytes. Vote extensions are not offered, so their messages are not here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

CODE_OK = 0


class CheckTxType(IntEnum):
    """Why CheckTx is asked: the transaction is new, or it waited in the mempool while a block was committed."""

    NEW = 0
    RECHECK = 1


class ProposalStatus(IntEnum):
    """The answer of ProcessProposal."""

    UNKNOWN = 0
    ACCEPT = 1
    REJECT = 2


class BlockIDFlag(IntEnum):
    """What a validator's place in a commit holds."""

    ABSENT = 1
    COMMIT = 2
    NIL = 3


class OfferResult(IntEnum):
    """What an application says to a snapshot that is offered."""

    UNKNOWN = 0
    ACCEPT = 1
    ABORT = 2
    REJECT = 3
    REJECT_FORMAT = 4
    REJECT_SENDER = 5


class ChunkResult(IntEnum):
    """What an application says to a chunk of a snapshot."""

    UNKNOWN = 0
    ACCEPT = 1
    ABORT = 2
    RETRY = 3
    RETRY_SNAPSHOT = 4
    REJECT_SNAPSHOT = 5


@dataclass(frozen=True, slots=True)
class EventAttribute:
    key: str
    value: str
    index: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    type: str
    attributes: tuple[EventAttribute, ...] = ()


@dataclass(frozen=True, slots=True)
class ValidatorUpdate:
    """`public` is a raw Ed25519 key; power 0 removes it."""

    public: bytes
    power: int


@dataclass(frozen=True, slots=True)
class VoteInfo:
    """One validator's part in a commit: its 20-byte address, its power, and what it voted."""

    validator_address: bytes
    validator_power: int
    block_id_flag: BlockIDFlag


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """The votes for the previous block, in the order of its validator set; empty at the initial height."""

    round: int = 0
    votes: tuple[VoteInfo, ...] = ()


@dataclass(frozen=True, slots=True)
class Misbehavior:
    """Evidence against a validator; `type` is 1 for a double vote, 2 for a light-client attack."""

    type: int
    validator_address: bytes
    validator_power: int
    height: int
    time_ns: int
    total_voting_power: int


@dataclass(frozen=True, slots=True)
class ExecTxResult:
    code: int = CODE_OK
    data: bytes = b""
    log: str = ""
    info: str = ""
    gas_wanted: int = 0
    gas_used: int = 0
    events: tuple[Event, ...] = ()
    codespace: str = ""


@dataclass(frozen=True, slots=True)
class ProofOp:
    """One step from a value to the app hash; ours has type `dccn/sparse` and is the only one."""

    type: str
    key: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class RequestInfo:
    version: str = ""
    block_version: int = 11
    p2p_version: int = 8
    abci_version: str = "2.0.0"


@dataclass(frozen=True, slots=True)
class ResponseInfo:
    data: str
    version: str
    app_version: int
    last_block_height: int
    last_block_app_hash: bytes


@dataclass(frozen=True, slots=True)
class RequestInitChain:
    """`app_state_bytes` is the JSON of the genesis document's `app_state`."""

    time_ns: int
    chain_id: str
    validators: tuple[ValidatorUpdate, ...]
    app_state_bytes: bytes
    initial_height: int = 1


@dataclass(frozen=True, slots=True)
class ResponseInitChain:
    """Empty `validators` means those of the request."""

    app_hash: bytes
    validators: tuple[ValidatorUpdate, ...] = ()


@dataclass(frozen=True, slots=True)
class RequestCheckTx:
    tx: bytes
    type: CheckTxType = CheckTxType.NEW


@dataclass(frozen=True, slots=True)
class ResponseCheckTx:
    code: int = CODE_OK
    data: bytes = b""
    log: str = ""
    info: str = ""
    gas_wanted: int = 0
    gas_used: int = 0
    events: tuple[Event, ...] = ()
    codespace: str = ""


@dataclass(frozen=True, slots=True)
class RequestPrepareProposal:
    """`max_tx_bytes` bounds the answer's transactions with their protobuf framing; `local_last_commit` is ours."""

    max_tx_bytes: int
    txs: tuple[bytes, ...]
    local_last_commit: CommitInfo
    height: int
    time_ns: int
    proposer_address: bytes
    misbehavior: tuple[Misbehavior, ...] = ()
    next_validators_hash: bytes = b""


@dataclass(frozen=True, slots=True)
class ResponsePrepareProposal:
    txs: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class RequestProcessProposal:
    txs: tuple[bytes, ...]
    proposed_last_commit: CommitInfo
    hash: bytes
    height: int
    time_ns: int
    proposer_address: bytes
    misbehavior: tuple[Misbehavior, ...] = ()
    next_validators_hash: bytes = b""


@dataclass(frozen=True, slots=True)
class ResponseProcessProposal:
    status: ProposalStatus

    @property
    def accepted(self) -> bool:
        return self.status is ProposalStatus.ACCEPT


@dataclass(frozen=True, slots=True)
class RequestFinalizeBlock:
    txs: tuple[bytes, ...]
    decided_last_commit: CommitInfo
    hash: bytes
    height: int
    time_ns: int
    proposer_address: bytes
    misbehavior: tuple[Misbehavior, ...] = ()
    next_validators_hash: bytes = b""


@dataclass(frozen=True, slots=True)
class ResponseFinalizeBlock:
    app_hash: bytes
    tx_results: tuple[ExecTxResult, ...]
    events: tuple[Event, ...] = ()
    validator_updates: tuple[ValidatorUpdate, ...] = ()


@dataclass(frozen=True, slots=True)
class RequestCommit:
    pass


@dataclass(frozen=True, slots=True)
class ResponseCommit:
    """Blocks below `retain_height` may be pruned; 0 keeps all."""

    retain_height: int = 0


@dataclass(frozen=True, slots=True)
class RequestQuery:
    """Height 0 asks for the newest height whose successor header exists, so that the proof can be checked."""

    path: str
    data: bytes = b""
    height: int = 0
    prove: bool = False


@dataclass(frozen=True, slots=True)
class ResponseQuery:
    code: int = CODE_OK
    log: str = ""
    info: str = ""
    index: int = 0
    key: bytes = b""
    value: bytes = b""
    proof_ops: tuple[ProofOp, ...] = field(default=())
    height: int = 0
    codespace: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot that nodes tell each other about; `metadata` is the manifest, `hash` its SHA-256."""

    height: int
    format: int
    chunks: int
    hash: bytes
    metadata: bytes


@dataclass(frozen=True, slots=True)
class RequestListSnapshots:
    pass


@dataclass(frozen=True, slots=True)
class ResponseListSnapshots:
    snapshots: tuple[Snapshot, ...] = ()


@dataclass(frozen=True, slots=True)
class RequestOfferSnapshot:
    """`app_hash` is that after the snapshot's height, as the engine's light client proved it."""

    snapshot: Snapshot
    app_hash: bytes


@dataclass(frozen=True, slots=True)
class ResponseOfferSnapshot:
    result: OfferResult


@dataclass(frozen=True, slots=True)
class RequestLoadSnapshotChunk:
    height: int
    format: int
    chunk: int


@dataclass(frozen=True, slots=True)
class ResponseLoadSnapshotChunk:
    """Empty where there is no such chunk."""

    chunk: bytes = b""


@dataclass(frozen=True, slots=True)
class RequestApplySnapshotChunk:
    """`sender` is the peer that the chunk came from."""

    index: int
    chunk: bytes
    sender: str = ""


@dataclass(frozen=True, slots=True)
class ResponseApplySnapshotChunk:
    """Chunks to fetch again, and peers to ask no more."""

    result: ChunkResult
    refetch_chunks: tuple[int, ...] = ()
    reject_senders: tuple[str, ...] = ()
