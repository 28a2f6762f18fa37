"""New keys in the place of a node's old ones, so that no crash leaves a node without the keys that the chain names.

`config/operators/<name>/` holds the keys in use, `next/` in it those that were made and are offered to the chain, and
`retired/<validator address>/` those that were in use before: a key is never thrown away, since evidence may name it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from chain import files
from chain.node import keys
from chain.node.home import Home, operators_path
from chain.node.keys import OperatorKeys

NEXT, RETIRED = "next", "retired"
ROTATED: Final = (keys.VRF_FILE, keys.CONSENSUS_FILE)
"""In this order: a node with a new VRF key and the old consensus key proposes nothing, and is told so at its start."""


def prepare(home: Home) -> OperatorKeys:
    """The keys that will follow: those of an interrupted rotation, or new ones, which are on disk when it returns."""
    current, pending = home.operators[0], _folder(home) / NEXT
    if (pending / keys.ACCOUNT_FILE).is_file():  # written last
        return replace(keys.read(pending), name=current.name)
    made = OperatorKeys.generate(current.name)
    fresh = replace(made, account=current.account)
    keys.write(pending, fresh)
    return fresh


def adopt(home: Home) -> None:
    """Put the prepared keys in use; called again after a crash it finishes."""
    folder = _folder(home)
    current, pending = keys.read(folder), folder / NEXT
    fresh = keys.read(pending)
    retired = folder / RETIRED / current.validator_address.hex()
    # What is there already is whole, and from before a crash that left the folder with one new key and one old.
    if current.consensus != fresh.consensus and not (retired / keys.ACCOUNT_FILE).exists():
        keys.write(retired, current)
    for name in ROTATED:
        files.replace(folder / name, (pending / name).read_bytes())
    for name in (keys.ACCOUNT_FILE, *ROTATED):
        (pending / name).unlink()
    pending.rmdir()


def _folder(home: Home) -> Path:
    return operators_path(home.path) / home.operators[0].name
