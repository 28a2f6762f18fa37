"""What a client believes before it asks: a header that its user names, or the one that it remembers."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from chain.errors import Malformed, Refused
from chain.light.client import LightClient
from chain.light.rpc import RpcClient
from chain.light.store import FileTrustStore, MemoryTrustStore

_TEXT = re.compile(r"(\d{1,18}):([0-9a-fA-F]{64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Trust:
    """A header that somebody vouches for: height and hash, from a source other than the node that is asked."""

    height: int
    hash: bytes

    @classmethod
    def parse(cls, text: str) -> Trust:
        """From HEIGHT:HASH; raises `usage`."""
        match = _TEXT.fullmatch(text)
        if match is None or int(match[1]) < 1:
            raise Malformed("usage", f"a trusted header is HEIGHT:HASH with 64 hex digits, not {text[:100]!r}")
        return cls(int(match[1]), bytes.fromhex(match[2]))


@dataclass(frozen=True, slots=True)
class Trusted:
    """A light client and in words what it stands on; `own_word` says that the node vouched for itself."""

    client: LightClient
    note: str
    own_word: bool


def light_client(rpc: RpcClient, trust: Trust | None, memory: Path | None) -> Trusted:
    """A light client that starts from `trust`, else from what `memory` (a folder) remembers of this chain, else from
    the newest header that the node shows; what it verifies is remembered, so that a node that lies later is found out.

    Raises Unavailable `unreachable`, Refused `light_invalid`, `light_expired`.
    """
    chain_id = rpc.status().chain_id
    path = None if memory is None else memory / f"{_file_name(chain_id)}.json"
    if trust is not None:
        client = LightClient(rpc, chain_id, trust.height, trust.hash)
        client.update()  # only what verifies is remembered
        if path is not None:
            remembered = _remember(path, replacing=True)
            for state in client.store.states()[-1:]:
                remembered.put(state)
        return Trusted(client, f"height {trust.height}, hash {trust.hash.hex()}, named by you", False)
    store: MemoryTrustStore = MemoryTrustStore() if path is None else _remember(path)
    known = store.states()
    if known:
        newest = known[-1].header
        client = LightClient(rpc, chain_id, newest.height, newest.hash(), store=store)
        return Trusted(client, f"height {newest.height}, hash {newest.hash().hex()}, verified here before", False)
    header = rpc.signed_header().header
    if header.chain_id != chain_id:
        raise Refused("light_invalid", f"the node calls its chain {chain_id!r} and its header {header.chain_id!r}")
    client = LightClient(rpc, chain_id, header.height, header.hash(), store=store)
    return Trusted(client, f"height {header.height}, hash {header.hash().hex()}, on the node's own word", True)


def _remember(path: Path, *, replacing: bool = False) -> FileTrustStore:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if replacing:
        path.unlink(missing_ok=True)
    return FileTrustStore(path, every_heights=1)


def _file_name(chain_id: str) -> str:
    """A chain may call itself anything, so its name never becomes a path."""
    readable = re.sub(r"[^a-z0-9-]", "", chain_id.lower())[:40]
    return f"{readable}-{hashlib.sha256(chain_id.encode()).hexdigest()[:12]}"
