"""Query: state with proofs at a recent height, beacons, parameters.

A proof of height h verifies against header h + 1. With height 0 the answer is from the newest height whose successor
header exists, which is the one before the last committed.
"""

from __future__ import annotations

from chain.application.abci import ProofOp, RequestQuery, ResponseQuery
from chain.application.beacons import Beacons
from chain.application.results import CODESPACE
from chain.application.versioned import VersionedState
from chain.crypto.sparse import BUCKETS
from chain.errors import REGISTRY, Malformed, Refused
from chain.wire.state import PARAMETERS_KEY

PROOF_TYPE = "dccn/sparse"
MAX_KEY_BYTES = 256


def answer_query(request: RequestQuery, state: VersionedState, beacons: Beacons) -> ResponseQuery:
    """The answer, or a code of the registry with what was wrong; never raises for a bad question."""
    try:
        height = request.height or _newest(state, prove=request.prove)
        match request.path:
            case "/state":
                return _state(request.data, height, state, prove=request.prove)
            case "/parameters":
                return _state(PARAMETERS_KEY, height, state, prove=request.prove)
            case "/bucket":
                return _bucket(request.data, height, state)
            case "/beacon":
                return _beacon(request, beacons, height)
        paths = "/state, /bucket, /beacon, /parameters"
        raise Malformed("malformed", f"no query path {request.path[:40]!r}; there are {paths}")
    except Refused as error:
        return ResponseQuery(
            code=REGISTRY[error.code].number, log=str(error), codespace=CODESPACE, height=request.height
        )


def _newest(state: VersionedState, *, prove: bool) -> int:
    """The height before the last committed one. Height 0 stands for "newest", so genesis itself is never proven."""
    if prove and state.height < 2:
        raise Refused("height_unknown", f"nothing can be proven at height {state.height}; ask after block 2")
    return max(0, state.height - 1)


def _state(key: bytes, height: int, state: VersionedState, *, prove: bool) -> ResponseQuery:
    if not 0 < len(key) <= MAX_KEY_BYTES:
        raise Malformed("malformed", f"a key of the state has 1 to {MAX_KEY_BYTES} bytes, not {len(key)}")
    value = state.read(key, height)
    ops = (ProofOp(PROOF_TYPE, key, state.prove(key, height).encode()),) if prove else ()
    info = "" if value is not None else "absent"
    return ResponseQuery(key=key, value=value or b"", proof_ops=ops, height=height, info=info)


def _bucket(data: bytes, height: int, state: VersionedState) -> ResponseQuery:
    """Data is a bucket's number in 3 bytes; the value is its proof, for whoever looks where two states differ."""
    index = int.from_bytes(data, "big")
    if len(data) != 3 or index >= BUCKETS:
        raise Malformed("malformed", f"a bucket is a number below {BUCKETS} in 3 bytes, not {data[:8].hex()}")
    return ResponseQuery(key=data, value=state.prove_bucket(index, height).encode(), height=height)


def _beacon(request: RequestQuery, beacons: Beacons, newest: int) -> ResponseQuery:
    """Data is the height in decimal, or empty for the newest. Its proof is transaction 0 under data_hash."""
    text = request.data.decode("ascii", "replace")
    if text and not (text.isascii() and text.isdigit() and len(text) < 20):
        raise Malformed("malformed", f"a height in decimal is expected, not {text[:40]!r}")
    height = int(text) if text else newest
    return ResponseQuery(key=str(height).encode(), value=beacons.at(height), height=height)
