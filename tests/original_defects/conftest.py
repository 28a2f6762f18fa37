"""The chain of 2018-2020 had 21 known defects. Each is here as the attack or the mistake that worked there.

The number in a test's name is the defect's; a file holds one theme. All that is attacked is the product itself.
"""

from __future__ import annotations

import pytest

from chain.wire.transactions import ANKR
from tests.chain.ledger.world import World


@pytest.fixture
def world() -> World:
    """A ledger with an honest and a dishonest account of 1 000 ANKR each."""
    world = World(grants=[("alice", 1_000 * ANKR), ("mallory", 1_000 * ANKR)])
    world.block()
    return world
