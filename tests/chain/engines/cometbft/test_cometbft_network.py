"""Real CometBFT processes on this machine: blocks, proposers, rest, deaths, and a light client that trusts none."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest

from chain.application import proposers
from chain.ledger.parameters import Parameters
from chain.light.client import LightClient
from chain.light.inclusion import verified_beacon, verified_state, verified_tx
from chain.node.home import NETWORK_POWER
from chain.wire.state import Account, account_key
from chain.wire.transactions import ANKR
from tests.chain.engines.cometbft.network import CHAIN_ID, Network, NodeProcess, wait_for

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(600)]

IDLE_S = 60


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with Network(tmp_path_factory.mktemp("four")) as network:
        yield network


def reach(network: Network, height: int, timeout_s: float = 120) -> None:
    """All nodes of the network at this height or above."""
    wait_for(lambda: network.height() >= height, timeout_s)


def light_client(node: NodeProcess, height: int = 1) -> LightClient:
    trusted = node.rpc.signed_header(height).header.hash()
    return LightClient(node.rpc, CHAIN_ID, height, trusted)


def test_one_node_makes_blocks_and_stops_in_order(tmp_path: Path) -> None:
    with Network(tmp_path, size=1) as network:
        (node,) = network.nodes
        tx = network.payment()
        assert node.rpc.broadcast_tx_sync(tx).code == 0
        found = wait_for(lambda: node.rpc.tx(sha256(tx).digest()))
        assert found.code == 0
        process, engine = node.process, node.engine_pid()
        assert process is not None
        process.terminate()
        assert process.wait(20) == 0
        assert not Path(f"/proc/{engine}").exists()
        network.start(node)
        reach(network, found.height + 3)


def test_a_light_client_follows_four_nodes_and_proves_state_transactions_and_beacons(four: Network) -> None:
    to = bytes(range(20))
    tx = four.payment(to)
    assert four.nodes[0].rpc.broadcast_tx_sync(tx).code == 0
    height = wait_for(lambda: four.nodes[0].rpc.tx(sha256(tx).digest())).height
    reach(four, height + 3)
    for node in four.nodes:
        client = light_client(node)
        newest = client.update()
        assert newest.height >= height + 2
        proven = verified_tx(client, sha256(tx).digest())
        assert proven is not None and (proven.height, proven.code) == (height, 0)
        value, at = verified_state(client, account_key(to))
        assert at >= height and value is not None and Account.decode(value).balance_atto == ANKR
        assert verified_state(client, account_key(address_of_nobody()))[0] is None
        assert len(verified_beacon(client, height)) == 32
        # Every header in between, not only by skipping.
        assert [client.header(each).height for each in range(height, height + 3)] == [height, height + 1, height + 2]


def address_of_nobody() -> bytes:
    return bytes([255]) * 20


def test_proposers_are_those_that_the_beacons_draw(four: Network, capsys: pytest.CaptureFixture[str]) -> None:
    """Every round 0 is the mirrored rotation's, whose priorities are CometBFT's own to the unit."""
    reach(four, 60)
    node = four.nodes[0]
    client = light_client(node)
    genesis = node.rpc.validators(1)
    rotation = proposers.first_rotation({each.public: each.power for each in genesis})
    seen: list[bytes] = []
    late = 0
    for height in range(1, 59):
        signed = node.rpc.signed_header(height)
        seen.append(signed.header.proposer_address)
        beacon = verified_beacon(client, height)
        _, rotation = proposers.lead(rotation, {}, beacon, height, NETWORK_POWER)
        ahead = node.rpc.signed_header(height + 2)
        if height + 2 > 60:
            break
        answer = node.rpc.call("validators", height=str(height + 2))["validators"]
        ours = {each.address.hex().upper(): (each.power, each.priority) for each in rotation.standings}
        theirs = {each["address"]: (int(each["voting_power"]), int(each["proposer_priority"])) for each in answer}
        if ahead.commit.round == 0:
            assert ahead.header.proposer_address == rotation.proposer, f"height {height + 2}"
            assert ours == theirs, f"height {height + 2}"
        else:
            late += 1
    cycles = [tuple(seen[at : at + 4]) for at in range(0, len(seen) - 3, 4)]
    names = {address: f"v{place}" for place, address in enumerate(sorted(set(seen)))}
    counts = Counter(names[address] for address in seen)
    with capsys.disabled():
        print(f"\nproposers of {len(seen)} blocks: {dict(sorted(counts.items()))}, {len(set(cycles))} orders in "
              f"{len(cycles)} cycles, {late} blocks after round 0")  # fmt: skip
    if not late:
        assert all(len(set(cycle)) == 4 for cycle in cycles)
    assert len(set(cycles)) > 3
    assert len(counts) == 4


def test_an_idle_network_makes_at_most_five_blocks_a_minute(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Network(tmp_path, parameters=Parameters(validator_power=NETWORK_POWER)) as network:
        reach(network, 3)
        before, begun = network.height(), time.monotonic()
        time.sleep(IDLE_S)
        made, took = network.height() - before, time.monotonic() - begun
        with capsys.disabled():
            print(f"\nidle: {made} blocks in {took:.0f} s")
        assert 2 <= made <= 5
        # It wakes for a transaction at once.
        tx, sent = network.payment(), time.monotonic()
        assert network.nodes[0].rpc.broadcast_tx_sync(tx).code == 0
        wait_for(lambda: network.nodes[2].rpc.tx(sha256(tx).digest()))
        assert time.monotonic() - sent < 10


@pytest.mark.parametrize("victim", ["node", "application", "engine"])
def test_a_node_that_loses_a_part_to_kill_9_catches_up_and_nobody_diverges(four: Network, victim: str) -> None:
    node = four.nodes[3]
    assert node.process is not None
    engine = node.engine_pid()
    sent: list[bytes] = []
    send(four, sent)
    if victim == "engine":
        os.kill(engine, signal.SIGKILL)
    else:
        # The application's death takes the engine with it, by the kernel; "node" kills both at once.
        if victim == "node":
            os.kill(engine, signal.SIGKILL)
        node.process.kill()
        node.process.wait()
        wait_for(lambda: not Path(f"/proc/{engine}").exists(), 10)
        node.process = None
        reach(four, four.height() + 5)
        four.start(node)
    send(four, sent)
    target = max(each.rpc.status().height for each in four.nodes[:3]) + 5
    wait_for(lambda: node.rpc.status().height >= target, 120)
    assert node.engine_pid() != engine
    assert node.process is not None and node.process.poll() is None
    for height in range(2, target):
        assert len(four.app_hashes(height)) == 1, f"height {height}"
    for tx in sent:
        found = {wait_for(lambda each=each, tx=tx: each.rpc.tx(sha256(tx).digest())).height for each in four.nodes}
        assert len(found) == 1


def test_all_nodes_killed_at_once_go_on_where_they_were(four: Network) -> None:
    sent: list[bytes] = []
    send(four, sent)
    wait_for(lambda: four.nodes[0].rpc.tx(sha256(sent[-1]).digest()))
    before = four.height()
    for node in four.nodes:
        assert node.process is not None
        node.process.kill()
    for node in four.nodes:
        assert node.process is not None
        node.process.wait()
        four.start(node)
    reach(four, before + 5)
    for height in range(before - 2, before + 5):
        assert len(four.app_hashes(height)) == 1
    for tx in sent:
        assert all(node.rpc.tx(sha256(tx).digest()) is not None for node in four.nodes)


def test_half_a_network_decides_nothing_and_the_whole_goes_on(four: Network) -> None:
    frozen = [node.engine_pid() for node in four.nodes[2:]]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        # One more block may be on its way; after that two of four have no two thirds.
        stuck = wait_for(lambda: _still(four.nodes[0], for_s=4.0))
        tx = four.payment()
        assert four.nodes[0].rpc.broadcast_tx_sync(tx).code == 0
        assert _still(four.nodes[1], for_s=3.0) in (stuck, stuck + 1)
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    reach(four, stuck + 5)
    wait_for(lambda: all(node.rpc.tx(sha256(tx).digest()) is not None for node in four.nodes))
    for height in range(stuck - 1, stuck + 5):
        assert len(four.app_hashes(height)) == 1


def _still(node: NodeProcess, for_s: float) -> int:
    """The node's height if it is the same for this long, else 0."""
    before = node.rpc.status().height
    time.sleep(for_s)
    return before if node.rpc.status().height == before else 0


# The ledger's own elections need hours of proven work; this one takes a seat at height 12 and gives it back at 24.
ELECTION = """
import base64, json, sys
from dataclasses import replace
from chain.application import app
validators = json.load(open(sys.argv[1] + "/config/genesis.json"))["validators"]
public = base64.b64decode(validators[0]["pub_key"]["value"])
true = app.machine.execute_block
def execute_block(state, block):
    output = true(state, block)
    if block.height not in (12, 24):
        return output
    return replace(output, validator_updates=((public, 0 if block.height == 12 else 10**9),))
app.machine.execute_block = execute_block
"""


def test_a_key_that_loses_its_seat_and_wins_it_again_begins_new_cycles_of_all(tmp_path: Path) -> None:
    with Network(tmp_path, fault=ELECTION) as network:
        reach(network, 50, 200)
        node = network.nodes[1]
        client = light_client(node)
        sets = [node.rpc.validators(height) for height in range(1, 51)]
        assert [len(each) for each in sets] == [4] * 13 + [3] * 12 + [4] * 25
        assert {each.power for each in sets[13]} == {each.power for each in sets[25]} == {1}
        assert {each.power >= NETWORK_POWER for each in (*sets[12], *sets[14], *sets[26])} == {True}
        # All shares are equal all the time, but for a few units in 10^9.
        assert all(max(v.power for v in each) - min(v.power for v in each) <= 16 for each in sets)
        signed = [node.rpc.signed_header(height) for height in range(1, 51)]
        if all(each.commit.round == 0 for each in signed):
            proposing = [each.header.proposer_address for each in signed]
            # Heights 15 and 27 are the first of the new cycles, of three and of four.
            cycles = [proposing[at : at + 3] for at in (14, 17, 20)] + [
                proposing[at : at + 4] for at in (26, 30, 34, 38)
            ]
            assert [len(set(cycle)) for cycle in cycles] == [3, 3, 3, 4, 4, 4, 4]
        assert client.update().height >= 50
        assert [client.header(height).height for height in range(10, 30)] == list(range(10, 30))


FAILURE = """
from chain.application import app
true = app.machine.execute_block
def execute_block(state, block):
    if block.height == 5:
        raise ArithmeticError("the ledger does not add up")
    return true(state, block)
app.machine.execute_block = execute_block
"""


def test_an_exception_in_the_ledger_halts_the_node_loudly(tmp_path: Path) -> None:
    with Network(tmp_path, size=1, fault=FAILURE) as network:
        (node,) = network.nodes
        engine = node.engine_pid()
        assert node.process is not None and node.process.wait(60) == 1
        log = (node.home / "node.log").read_text()
        assert "the application failed in RequestFinalizeBlock" in log
        assert "halted: internal: the node had to stop: ArithmeticError: the ledger does not add up" in log
        assert not Path(f"/proc/{engine}").exists()


def send(network: Network, sent: list[bytes]) -> None:
    """Three payments of one sender, by one node: another one may not have heard of the nonces before them yet."""
    for _ in range(3):
        sent.append(network.payment())
        assert network.nodes[0].rpc.broadcast_tx_sync(sent[-1]).code == 0


def test_headers_are_linked_and_times_ascend(four: Network) -> None:
    reach(four, 10)
    headers = [four.nodes[2].rpc.signed_header(height).header for height in range(1, 11)]
    for left, right in pairwise(headers):
        assert right.last_block_id.hash == left.hash() and left.time_ns < right.time_ns
        assert right.validators_hash == left.next_validators_hash
