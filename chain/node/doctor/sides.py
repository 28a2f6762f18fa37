"""The two kinds of state that can be compared: of a node that answers, and of a home whose node does not run."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path

from chain.application.store import StateStore
from chain.application.versioned import VersionedState
from chain.crypto.sparse_proof import SparseProof
from chain.errors import Refused
from chain.light.rpc import RpcClient
from chain.node.doctor.difference import Side
from chain.node.home import load, rpc_url
from chain.node.lock import holder, locked
from chain.node.settings import Settings

# CometBFT answers for the newest height only once the next header exists.
HEADER_BEHIND = 1


class HomeSide:
    """The state in a home. It knows the names of its keys."""

    def __init__(self, path: Path, state: VersionedState, store: StateStore) -> None:
        self.name = str(path)
        self._state = state
        self._store = store

    def heights(self) -> tuple[int, int]:
        return self._state.oldest, self._state.height

    def prove(self, bucket: int, height: int) -> SparseProof:
        return self._state.prove_bucket(bucket, height)

    def key_of(self, hashed: bytes, height: int) -> bytes | None:
        """Looks at the newest keys, and then at those that later blocks removed."""
        names = (key for key, _ in self._store.pairs())
        gone = (key for diff in self._state.diffs_after(height) for key in diff)
        return next((key for each in (names, gone) for key in each if sha256(key).digest() == hashed), None)

    def value_of(self, key: bytes, height: int) -> bytes | None:
        return self._state.read(key, height)


class RpcSide:
    """The state of a node that answers; it is asked for proofs, which must fit together, and for no names."""

    def __init__(self, client: RpcClient) -> None:
        self.name = client.url.rstrip("/")
        self._client = client

    def heights(self) -> tuple[int, int]:
        """The oldest by bisection: a node does not say how much it keeps."""
        newest = self._client.status().height - HEADER_BEHIND
        oldest = bisect_left(range(1, newest), True, key=self._knows) + 1
        return oldest, newest

    def prove(self, bucket: int, height: int) -> SparseProof:
        answer = self._client.abci_query("/bucket", bucket.to_bytes(3, "big"), height)
        if answer.code or answer.value is None:
            raise Refused("height_unknown", f"{self.name} proves nothing at height {height}: {answer.log}")
        return SparseProof.decode(answer.value)

    def key_of(self, hashed: bytes, height: int) -> bytes | None:
        return None

    def value_of(self, key: bytes, height: int) -> bytes | None:
        return self._client.abci_query("/state", key, height, prove=False).value

    def _knows(self, height: int) -> bool:
        return self._client.abci_query("/bucket", bytes(3), height).code == 0


@contextmanager
def side(where: str) -> Iterator[Side]:
    """A URL is asked, and the node of a home if it runs; a home whose node does not run is held and read.

    Raises Faulty `home_invalid` for a home that is none, `state_corrupt` for one that is damaged.
    """
    is_url = where.startswith(("http://", "https://"))
    if is_url or holder(Path(where)) is not None:
        with closing(RpcClient(where if is_url else rpc_url(load(Path(where))))) as client:
            yield RpcSide(client)
        return
    home = load(Path(where))
    with locked(home.path), closing(StateStore(home.data / "state")) as store:
        yield HomeSide(home.path, opened(store, home.settings), store)


def opened(store: StateStore, settings: Settings) -> VersionedState:
    """Computes the whole tree anew; raises Faulty `state_corrupt` when it is not what was stored."""
    return VersionedState(store, kept_heights=settings.storage.history_heights)
