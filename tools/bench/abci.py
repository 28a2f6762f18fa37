"""What one transfer costs the application on its way into a block, call by call, against its signature alone."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

from nacl.bindings import crypto_sign_open

from chain.application.abci import (
    CommitInfo,
    RequestCheckTx,
    RequestCommit,
    RequestFinalizeBlock,
    RequestInitChain,
    RequestPrepareProposal,
    RequestProcessProposal,
)
from chain.application.app import Application
from chain.application.store import StateStore
from chain.crypto import vrf
from chain.crypto.address import address, validator_address
from chain.ledger.genesis import build_demo_app_state
from chain.wire.amounts import ANKR
from tools.bench.measure import Row
from tools.bench.network.load import transfers
from tools.bench.transfers import CHAIN_ID, SECOND_NS, account

TRANSFERS = 2_000
BLOCK_BYTES = 10_000_000


def rows() -> Iterator[Row]:
    operator, owner, secret = account("operator"), account("owner"), bytes(32)
    senders = [account(f"sender {number}") for number in range(TRANSFERS)]
    txs = tuple(islice(transfers(senders, CHAIN_ID), TRANSFERS))
    grants = [(address(sender.public), 100 * ANKR) for sender in senders]
    operators = [("seed", owner.public, operator.public.x, vrf.public_key(secret))]
    app_state = build_demo_app_state(address(owner.public), operators, grants=grants)
    proposer, nobody = validator_address(operator.public.x), CommitInfo(0, ())
    signature = senders[0].sign(bytes(160)) + bytes(160)
    with tempfile.TemporaryDirectory() as folder, closing(StateStore(Path(folder))) as store:
        app = Application(store, vrf_keys={proposer: secret})
        app.init_chain(RequestInitChain(0, CHAIN_ID, (), json.dumps(app_state).encode()))
        limit = each(lambda: [crypto_sign_open(signature, senders[0].public.x) for _ in txs])
        check = each(lambda: [app.check_tx(RequestCheckTx(tx)) for tx in txs])
        recheck = each(lambda: [app.check_tx(RequestCheckTx(tx)) for tx in txs])
        proposal = RequestPrepareProposal(BLOCK_BYTES, txs, nobody, 1, SECOND_NS, proposer)
        block = (app.prepare_proposal(proposal).txs, nobody, bytes(32), 1, SECOND_NS, proposer)
        prepare = each(lambda: app.prepare_proposal(proposal))
        process = each(lambda: app.process_proposal(RequestProcessProposal(*block)))
        finalize = each(lambda: app.finalize_block(RequestFinalizeBlock(*block)))
        commit = each(lambda: app.commit(RequestCommit()))
    for name, taken in (("CheckTx", check), ("CheckTx again", recheck), ("FinalizeBlock", finalize)):
        yield Row(f"{name}, per transfer", taken, "us CPU", "its bare signature us", limit)
    whole = check + recheck + prepare + process + finalize + commit
    yield Row("all calls for a transfer", whole, "us CPU", "its bare signature us", limit)


def each(work: Callable[[], object]) -> float:
    """Microseconds of process CPU for each transfer."""
    begun = time.process_time()
    work()
    return (time.process_time() - begun) / TRANSFERS * 1e6
