"""What simulated validators decide on: names, with nothing behind them, or with real blocks that are really judged."""

from __future__ import annotations

# A name that begins so is of a value that no correct validator may accept: a block whose beacon proof fails.
INVALID_PREFIX = b"!"
# Two names that differ by this alone are two values of one proposer: both may be valid.
OTHER_SUFFIX = b"'"


class Values:
    """Names with nothing behind them, valid unless marked; a subclass may put blocks there. Nodes are numbers."""

    def build(self, node: int, height: int, name: bytes) -> None:
        """This node makes a new value to propose."""

    def is_valid(self, node: int, height: int, name: bytes) -> bool:
        """The paper's valid(v), which every correct node that stands where `node` stands answers alike."""
        return not name.startswith(INVALID_PREFIX)

    def decide(self, node: int, height: int, name: bytes) -> None:
        """This node has decided."""
