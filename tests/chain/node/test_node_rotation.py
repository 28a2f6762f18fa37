"""New keys for a node: whatever is interrupted, the node ends with the keys that the chain was told."""

from __future__ import annotations

from pathlib import Path

import pytest

from chain import files
from chain.node import home as node_home
from chain.node import keys, rotation
from chain.node.home import Home
from chain.node.keys import OperatorKeys


class Cut(Exception):
    """The power went."""


@pytest.fixture
def seed(tmp_path: Path) -> Home:
    node_home.init_seed(tmp_path / "seed", bytes(20), 1_700_000_000 * 10**9)
    return node_home.load(tmp_path / "seed")


def retired(home: Home, old: OperatorKeys) -> OperatorKeys:
    folder = node_home.operators_path(home.path) / old.name / rotation.RETIRED / old.validator_address.hex()
    return keys.read(folder)


def test_the_keys_are_prepared_once_and_the_old_ones_are_kept(seed: Home) -> None:
    (old,) = seed.operators
    fresh = rotation.prepare(seed)
    assert rotation.prepare(seed) == fresh, "an interrupted rotation goes on with the keys that it told the chain"
    assert node_home.load(seed.path).operators == (old,), "nothing changes before they are adopted"
    rotation.adopt(seed)
    assert node_home.load(seed.path).operators == (fresh,)
    assert (fresh.account, fresh.name) == (old.account, old.name) and fresh.pair != old.pair
    assert retired(seed, old).pair == old.pair
    assert rotation.prepare(node_home.load(seed.path)).pair not in (old.pair, fresh.pair)


@pytest.mark.parametrize(
    "writes", range(8)
)  # three files of the next keys, three of the retired, two put in their place
def test_a_rotation_that_is_cut_anywhere_is_finished_by_running_it_again(
    seed: Home, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    (old,) = seed.operators
    honest, left = files.replace, [writes]

    def cut(path: Path, data: bytes) -> None:
        if not left[0]:
            raise Cut
        left[0] -= 1
        honest(path, data)

    told: list[tuple[bytes, bytes]] = []
    with monkeypatch.context() as power, pytest.raises(Cut):
        power.setattr("chain.node.keys.files.replace", cut)
        told.append(rotation.prepare(seed).pair)
        rotation.adopt(seed)
    fresh = rotation.prepare(seed)
    assert not told or fresh.pair == told[0]
    rotation.adopt(seed)
    assert node_home.load(seed.path).operators == (fresh,)
    assert retired(seed, old).pair == old.pair
