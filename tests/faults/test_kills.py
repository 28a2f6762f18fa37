"""kill -9 of every part, again and again, at random moments: nothing acknowledged is lost, nothing is counted twice."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from whole_audit import check_batches, check_chain, check_records, read_hub, read_spool
from whole_network import PARTS, WholeNetwork

SEED = int(os.environ.get("DCCN_FAULT_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
ROUNDS = 3
GAP_S = (0.1, 3.5)
"""From almost at once, while the last victim is still starting, to a whole reward epoch of undisturbed life."""

HARMLESS = {
    # The receipt, or the broker's own acknowledgement, died with its sender, so the very same bytes came again. They
    # are counted, since a thief's replay looks the same; the device gets its receipt again and loses nothing.
    "record_replay",
    # The round went on without this device while the hub, the broker or the agent was dead. It costs one challenge.
    "pog_late",
}


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_kills_at_random_moments_lose_nothing_and_count_nothing_twice(network: WholeNetwork, tmp_path: Path) -> None:
    print(f"replay with DCCN_FAULT_SEED={SEED}")
    network.wait_for(lambda event: event.get("event") == "record_accepted", 40, "a first record")
    killed = kill_all(network, random.Random(SEED))

    made_after = network.head_seq()
    accepted = network.wait_for(
        lambda event: event.get("event") == "record_accepted" and event["seq"] >= made_after, 60, "a record after all"
    )
    proven = network.wait_for(
        lambda event: event.get("event") == "inclusion_verified" and event["seq"] >= made_after, 60, "it is in a block"
    )
    network.wait_for(
        lambda event: event.get("event") == "reward_verified" and event["paid_height"] > proven["height"],
        60,
        "a reward",
    )
    network.stop()

    announced = [event["seq"] for event in network.events if event.get("event") == "record_accepted"]
    assert max(announced) >= accepted["seq"]
    hub, spool = read_hub(network.places), read_spool(network.places)
    records = check_records(hub, spool, max(announced))
    height, included = check_chain(network.places, tmp_path / "replayed")
    leaves = check_batches(hub, included)
    print(f"{len(killed)} kills {killed}; {records} records acknowledged, {leaves} in {len(included)} batches,")
    print(f"height {height}, refusals {hub.refusals}, restarted {network.restarted}")
    assert hub.contradictions == 0
    assert set(hub.refusals) <= HARMLESS, f"an honest device was refused: {hub.refusals}"


def kill_all(network: WholeNetwork, moments: random.Random) -> list[str]:
    """Every part ROUNDS times, in random order with random gaps."""
    order = [part for part in PARTS for _ in range(ROUNDS)]
    moments.shuffle(order)
    for part in order:
        network.pump(moments.uniform(*GAP_S))
        network.kill(part)
    return order
