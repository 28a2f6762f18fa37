"""From a verified header down to one value, one transaction, one beacon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from chain.crypto import vrf
from chain.crypto.sparse_proof import SparseProof, verify_sparse
from chain.errors import Malformed, Refused, Unavailable
from chain.light.client import LightClient
from chain.light.rpc import BlockResults
from chain.wire.cometbft import Header, data_hash, last_results_hash, verify_data_proof
from chain.wire.transactions import decode_beacon_tx

STATE_PATH = "/state"
SPARSE_PROOF_TYPE = "dccn/sparse"

ProofOps = Sequence[tuple[str, bytes, bytes]]


@dataclass(frozen=True, slots=True)
class VerifiedTx:
    """A transaction that is in the block of `height`; `code` is what the node says became of it."""

    height: int
    index: int
    tx: bytes
    code: int
    log: str


def verify_state(app_hash: bytes, key: bytes, value: bytes | None, proof_ops: ProofOps) -> bool:
    """Whether the state under `app_hash` holds `value` at `key` (None: nothing). Malformed when it is no proof."""
    if len(proof_ops) != 1 or proof_ops[0][0] != SPARSE_PROOF_TYPE:
        raise Malformed("malformed", f"a state proof is one operation of type {SPARSE_PROOF_TYPE}")
    _, proven_key, data = proof_ops[0]
    return proven_key == key and verify_sparse(app_hash, key, value, SparseProof.decode(data))


def verified_state(client: LightClient, key: bytes, height: int = 0) -> tuple[bytes | None, int]:
    """(value, height): what the state held after that block, proven under the app hash of the next header.

    Height 0 is the newest that can be proven. Refused `proof_invalid` when the proof does not hold, Unavailable when
    the node cannot answer.
    """
    answer = client.rpc.abci_query(STATE_PATH, key, height)
    if answer.code:
        raise Unavailable("unreachable", f"the query of {key!r} failed with code {answer.code}: {answer.log}")
    if answer.height < 1 or (height and answer.height != height):
        raise Refused("proof_invalid", f"the answer is of height {answer.height}, asked was {height}")
    app_hash = client.header(answer.height + 1).app_hash
    if not verify_state(app_hash, key, answer.value, answer.proof_ops):
        raise Refused("proof_invalid", f"the value of {key!r} at height {answer.height} is not under the app hash")
    return answer.value, answer.height


def verified_tx(client: LightClient, tx_hash: bytes) -> VerifiedTx | None:
    """The transaction with this hash, proven to be in its block; None while no block holds it."""
    answer = client.rpc.tx(tx_hash)
    if answer is None:
        return None
    if sha256(answer.tx).digest() != tx_hash:
        raise Refused("proof_invalid", f"the node answers {tx_hash.hex()} with another transaction")
    root = client.header(answer.height).data_hash
    if not verify_data_proof(root, answer.tx, answer.index, answer.total, list(answer.path)):
        raise Refused("proof_invalid", f"transaction {tx_hash.hex()} is not in block {answer.height}")
    return VerifiedTx(answer.height, answer.index, answer.tx, answer.code, answer.log)


def verified_transaction(client: LightClient, tx_hash: bytes, height: int) -> bytes:
    """The bytes of a transaction that must be in the block of `height`; Unavailable while there is none."""
    found = verified_tx(client, tx_hash)
    if found is None:
        raise Unavailable("unreachable", f"no block holds transaction {tx_hash.hex()} yet")
    if found.height != height:
        raise Refused("proof_invalid", f"transaction {tx_hash.hex()} is in block {found.height}, not {height}")
    return found.tx


def verified_transactions(client: LightClient, height: int) -> tuple[bytes, ...]:
    """All transactions of a block, compared with its header's data_hash."""
    txs = client.rpc.block(height).txs
    if data_hash(txs) != client.header(height).data_hash:
        raise Refused("proof_invalid", f"the transactions of block {height} are not those of its header")
    return txs


def check_results(results: BlockResults, next_header: Header) -> BlockResults:
    """The same, if its codes, data and gas are those that the next header commits to; else Refused `proof_invalid`."""
    if last_results_hash(results.outcomes) != next_header.last_results_hash or results.height + 1 != next_header.height:
        raise Refused(
            "proof_invalid", f"the results of block {results.height} are not those of header {next_header.height}"
        )
    return results


def verified_beacon(client: LightClient, height: int) -> bytes:
    """beacon_h = SHA-256("slsbft/beacon" ‖ vrf_beta) of the block's first transaction, of height 1 or more.

    Two thirds of the validators have checked that VRF proof against the proposer's key before they signed the block.
    """
    txs = verified_transactions(client, height)
    if not txs:
        raise Refused("proof_invalid", f"block {height} has no beacon")
    beta = vrf.proof_to_hash(decode_beacon_tx(txs[0]))
    return sha256(b"slsbft/beacon" + beta).digest()
