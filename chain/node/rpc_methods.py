"""What each RPC method answers from block store, mempool and application, as CometBFT v0.38 names and means it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chain.application.abci import RequestInfo, RequestQuery, ResponseCheckTx
from chain.application.app import APP_VERSION, Application
from chain.errors import Refused
from chain.node.block_store import BlockStore
from chain.node.mempool import Mempool
from chain.node.rpc import Route
from chain.node.rpc_params import Kind, Parameter
from chain.node.rpc_shapes import (
    base64_text,
    block_meta_to_json,
    block_to_json,
    check_to_json,
    hexadecimal,
    info_to_json,
    query_to_json,
    result_to_json,
    results_to_json,
    tx_proof_to_json,
)
from chain.wire.cometbft import Block, BlockID, SignedHeader, Validator, ValidatorSet, format_time
from chain.wire.rpc_json import (
    block_id_to_json,
    header_to_json,
    signed_header_to_json,
    validator_set_from_json,
    validator_to_json,
)

Json = dict[str, Any]

# Whose RPC this is; clients look at it to know which shapes to expect.
COMET_VERSION = "0.38.26"
DEFAULT_PAGE, MAX_PAGE, MAX_BLOCK_METAS = 30, 100, 20

HEIGHT = Parameter("height", Kind.INTEGER)
HASH = Parameter("hash", Kind.BYTES, required=True)
TX = Parameter("tx", Kind.BYTES, required=True)
LIMIT = Parameter("limit", Kind.INTEGER)


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """What `/status` says about this node; `public` is its first validator's consensus key (None: it has none)."""

    moniker: str
    chain_id: str
    node_id: str
    rpc_address: str
    engine: str
    public: bytes | None


class RpcMethods:
    """The methods of one node. Everything runs on the node's event loop, so nothing is read half-written."""

    def __init__(
        self,
        *,
        application: Application,
        blocks: BlockStore,
        mempool: Mempool,
        genesis: Mapping[str, Any],
        identity: NodeIdentity,
    ) -> None:
        self._application = application
        self._blocks = blocks
        self._mempool = mempool
        self._genesis = genesis
        self._identity = identity

    def routes(self) -> dict[str, Route]:
        """Every method by name."""
        pages = (Parameter("page", Kind.INTEGER), Parameter("per_page", Kind.INTEGER))
        heights = (Parameter("minHeight", Kind.INTEGER), Parameter("maxHeight", Kind.INTEGER))
        query = (Parameter("path", Kind.TEXT), Parameter("data", Kind.HEX), HEIGHT, Parameter("prove", Kind.BOOLEAN))
        return {
            "health": Route(dict),
            "status": Route(self.status),
            "net_info": Route(self.net_info),
            "genesis": Route(self.genesis),
            "consensus_params": Route(self.consensus_params, (HEIGHT,)),
            "blockchain": Route(self.blockchain, heights),
            "block": Route(self.block, (HEIGHT,)),
            "block_by_hash": Route(self.block_by_hash, (HASH,)),
            "header": Route(self.header, (HEIGHT,)),
            "header_by_hash": Route(self.header_by_hash, (HASH,)),
            "block_results": Route(self.block_results, (HEIGHT,)),
            "commit": Route(self.commit, (HEIGHT,)),
            "validators": Route(self.validators, (HEIGHT, *pages)),
            "tx": Route(self.tx, (HASH, Parameter("prove", Kind.BOOLEAN))),
            "unconfirmed_txs": Route(self.unconfirmed_txs, (LIMIT,)),
            "num_unconfirmed_txs": Route(self.num_unconfirmed_txs),
            "broadcast_tx_sync": Route(self.broadcast_tx_sync, (TX,)),
            "broadcast_tx_async": Route(self.broadcast_tx_async, (TX,)),
            "abci_info": Route(self.abci_info),
            "abci_query": Route(self.abci_query, query),
        }

    def status(self) -> Json:
        me = self._identity
        protocol = {"p2p": "8", "block": "11", "app": str(APP_VERSION)}
        newest, oldest = self._sync_of(self._blocks.height), self._sync_of(self._blocks.base)
        return {
            "node_info": {
                "protocol_version": protocol,
                "id": me.node_id,
                "listen_addr": "",
                "network": me.chain_id,
                "version": COMET_VERSION,
                "channels": "",
                "moniker": me.moniker,
                "other": {"tx_index": "on", "rpc_address": me.rpc_address, "engine": me.engine},
            },
            "sync_info": {
                **{f"latest_{name}": value for name, value in newest.items()},
                **{f"earliest_{name}": value for name, value in oldest.items()},
                "catching_up": False,
            },
            "validator_info": self._validator_info(me.public),
        }

    def net_info(self) -> Json:
        return {"listening": False, "listeners": [], "n_peers": "0", "peers": []}

    def genesis(self) -> Json:
        return {"genesis": self._genesis}

    def consensus_params(self, height: int | None) -> Json:
        known = self._height(height, highest=self._blocks.height + 1, default=self._blocks.height + 1)
        return {"block_height": str(known), "consensus_params": self._genesis["consensus_params"]}

    def blockchain(self, minHeight: int | None, maxHeight: int | None) -> Json:  # noqa: N803
        """Block metas from maxHeight downwards, at most 20."""
        top = min(maxHeight or self._blocks.height, self._blocks.height)
        bottom = max(minHeight or self._blocks.base, self._blocks.base, top - MAX_BLOCK_METAS + 1)
        metas = []
        for height in range(top, max(bottom, 1) - 1, -1):
            block, block_id = self._at(height)
            metas.append(block_meta_to_json(block, block_id, len(self._blocks.block_bytes(height) or b"")))
        return {"last_height": str(self._blocks.height), "block_metas": metas}

    def block(self, height: int | None) -> Json:
        block, block_id = self._at(self._height(height))
        return {"block_id": block_id_to_json(block_id), "block": block_to_json(block)}

    def block_by_hash(self, hash: bytes) -> Json:  # noqa: A002
        height = self._blocks.height_of(hash)
        return self.block(height) if height else {"block_id": block_id_to_json(BlockID()), "block": None}

    def header(self, height: int | None) -> Json:
        return {"header": header_to_json(self._at(self._height(height))[0].header)}

    def header_by_hash(self, hash: bytes) -> Json:  # noqa: A002
        height = self._blocks.height_of(hash)
        return self.header(height) if height else {"header": None}

    def block_results(self, height: int | None) -> Json:
        known = self._height(height)
        results = self._blocks.results(known)
        if results is None:
            raise Refused("height_unknown", f"no results of height {known} here")
        return results_to_json(known, results)

    def commit(self, height: int | None) -> Json:
        """A commit is canonical once the next block carries it; this engine's never change in between."""
        known = self._height(height)
        commit = self._blocks.commit(known)
        if commit is None:
            raise Refused("height_unknown", f"no commit of height {known} here")
        signed = SignedHeader(self._at(known)[0].header, commit)
        return {"signed_header": signed_header_to_json(signed), "canonical": known < self._blocks.height}

    def validators(self, height: int | None, page: int | None, per_page: int | None) -> Json:
        """Who signs `height`, by default that after the newest block, which is known already."""
        next_height = self._blocks.height + 1
        known = self._height(height, highest=next_height, default=next_height)
        validators = self._validators_at(known)
        size = min(max(1, per_page or DEFAULT_PAGE), MAX_PAGE)
        pages = max(1, -(-len(validators) // size))
        number = 1 if page is None else page
        if not 1 <= number <= pages:
            raise Refused("malformed", f"page should be within [1, {pages}] range, given {number}")
        shown = validators.validators[(number - 1) * size : number * size]
        return {
            "block_height": str(known),
            "validators": [validator_to_json(each) for each in shown],
            "count": str(len(shown)),
            "total": str(len(validators)),
        }

    def tx(self, hash: bytes, prove: bool | None) -> Json:  # noqa: A002
        location = self._blocks.tx(hash)
        if location is None:
            raise Refused("tx_not_found", f"tx ({hexadecimal(hash)}) not found")
        block, _ = self._at(location.height)
        results = self._blocks.results(location.height)
        if results is None:
            raise Refused("height_unknown", f"no results of height {location.height} here")
        answer = {
            "hash": hexadecimal(hash),
            "height": str(location.height),
            "index": location.index,
            "tx_result": result_to_json(results.tx_results[location.index]),
            "tx": base64_text(block.txs[location.index]),
        }
        return {**answer, "proof": tx_proof_to_json(block.txs, location.index)} if prove else answer

    def unconfirmed_txs(self, limit: int | None) -> Json:
        shown = self._mempool.waiting(min(max(1, limit or DEFAULT_PAGE), MAX_PAGE))
        return {**self._waiting(len(shown)), "txs": [base64_text(tx) for tx in shown]}

    def num_unconfirmed_txs(self) -> Json:
        return {**self._waiting(len(self._mempool)), "txs": None}

    def broadcast_tx_sync(self, tx: bytes) -> Json:
        """Answers after CheckTx."""
        return check_to_json(self._mempool.add(tx), tx)

    def broadcast_tx_async(self, tx: bytes) -> Json:
        """Answers before CheckTx, whose result nobody hears."""
        asyncio.get_running_loop().call_soon(self._add_silently, tx)
        return check_to_json(ResponseCheckTx(), tx)

    def abci_info(self) -> Json:
        return info_to_json(self._application.info(RequestInfo()))

    def abci_query(self, path: str | None, data: bytes | None, height: int | None, prove: bool | None) -> Json:
        request = RequestQuery(path or "", data or b"", height or 0, bool(prove))
        return query_to_json(self._application.query(request))

    def _add_silently(self, tx: bytes) -> None:
        with contextlib.suppress(Refused):
            self._mempool.add(tx)

    def _waiting(self, shown: int) -> Json:
        return {
            "n_txs": str(shown),
            "total": str(len(self._mempool)),
            "total_bytes": str(self._mempool.total_bytes),
        }

    def _height(self, height: int | None, *, highest: int | None = None, default: int | None = None) -> int:
        """The height asked for, or the newest; raises Refused `height_unknown` for one that is not here."""
        newest = self._blocks.height if highest is None else highest
        asked = (newest if default is None else default) if height is None else height
        if asked <= 0:
            raise Refused("height_unknown", f"height must be greater than zero, but got {asked}")
        if asked > newest:
            raise Refused(
                "height_unknown", f"height {asked} must be less than or equal to the current blockchain height {newest}"
            )
        return asked

    def _at(self, height: int) -> tuple[Block, BlockID]:
        block, block_id = self._blocks.block(height), self._blocks.block_id(height)
        if block is None or block_id is None:
            raise Refused("height_unknown", f"height {height} is not available, lowest height is {self._blocks.base}")
        return block, block_id

    def _validators_at(self, height: int) -> ValidatorSet:
        """Before the first block, those of the genesis document."""
        known = self._blocks.validators(height)
        if known is None and height != 1:
            raise Refused("height_unknown", f"no validators of height {height} here")
        return known if known is not None else validator_set_from_json(_genesis_validators(self._genesis))

    def _sync_of(self, height: int) -> Json:
        block = self._blocks.block(height) if height else None
        block_id = self._blocks.block_id(height) if height else None
        return {
            "block_hash": hexadecimal(block_id.hash) if block_id else "",
            "app_hash": hexadecimal(block.header.app_hash) if block else "",
            "block_height": str(height),
            "block_time": format_time(block.header.time_ns if block else 0),
        }

    def _validator_info(self, public: bytes | None) -> Json:
        if public is None:
            return {"address": "", "pub_key": None, "voting_power": "0"}
        me = Validator(public, 0)
        seated = self._validators_at(self._blocks.height + 1).by_address(me.address)
        shown = validator_to_json(seated or me)
        return {name: shown[name] for name in ("address", "pub_key", "voting_power")}


def _genesis_validators(document: Mapping[str, Any]) -> list[Json]:
    """The genesis document calls `power` what RPC calls `voting_power`."""
    return [{"pub_key": each["pub_key"], "voting_power": each["power"]} for each in document["validators"]]
