"""Blocks that nobody needs any more are forgotten, and the node goes on from what is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from chain.errors import Unavailable
from chain.node import settings
from chain.node.settings import StorageSettings
from tests.chain.engines.cometbft.network import Network, wait_for

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(300)]

RETAINED = 10
# A chain keeps at least as many blocks as evidence may be old; nobody waits for those here.
IMPATIENT = "from chain.node import settings\nsettings.MIN_RETAINED_BLOCKS = 1\n"


def test_cometbft_forgets_what_is_older_than_the_retained_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "MIN_RETAINED_BLOCKS", 1)
    storage = StorageSettings(retained_blocks=RETAINED, snapshot_interval=0)
    with Network(tmp_path, size=1, fault=IMPATIENT, storage=storage) as network:
        (node,) = network.nodes

        def span() -> tuple[int, int]:
            sync = node.rpc.call("status")["sync_info"]
            return int(sync["earliest_block_height"]), int(sync["latest_block_height"])

        wait_for(lambda: span()[0] > 3 * RETAINED)
        oldest, newest = span()
        assert RETAINED <= newest - oldest <= RETAINED + 3
        with pytest.raises(Unavailable, match="lowest height is"):
            node.rpc.signed_header(1)
        assert node.process is not None
        node.process.kill()
        node.process.wait()
        network.start(node)
        wait_for(lambda: span()[1] > newest + RETAINED)
