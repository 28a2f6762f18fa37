"""What a simulated run is made of, and how a broken promise is reported so that it can be seen again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Dice(Protocol):
    """The part of random.Random that the simulator draws from."""

    def getrandbits(self, k: int, /) -> int: ...

    def randrange(self, start: int, stop: int, /) -> int: ...


# A voter whose clock runs faster than this may give up each round before a proposer with a slow clock begins it: the
# fast one's precommit and propose timeouts together must be longer than the slow one's precommit timeout.
MAX_CLOCK_SKEW = 1024 // 3


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a run is made of. Rates are in 1/1024 per message; faults happen before `faults_end_us`.

    Twins, Byzantine validators and wrong clocks are no weather: they stay to the end.
    """

    validators: int = 4
    twins: int = 0
    byzantine: tuple[str, ...] = ()  # names in `byzantine.BEHAVIOURS`, of the last validators
    heights: int = 10  # to decide after the faults ended
    pause_us: int = 0  # between a decision and the next height
    powers: tuple[int, ...] = ()
    delay_us: tuple[int, int] = (100, 2_000)
    clock_skew: int = 0  # each clock runs up to this many 1/1024 too fast or too slow; see MAX_CLOCK_SKEW
    loss: int = 0
    duplicates: int = 0
    partitions: int = 0
    crashes: int = 0
    faults_end_us: int = 0
    forgetful: bool = False  # a deliberate bug: restart without the log, to see that the checks can fail

    @property
    def anything_can_fail(self) -> bool:
        """Whether nodes must keep logs and gossip; without it a run is faster."""
        lossy = self.loss or self.duplicates or self.partitions or self.crashes
        return bool(lossy or self.twins or self.byzantine)


class SimulationFailure(AssertionError):
    """A broken promise, with everything that is needed to see it again."""

    def __init__(self, what: str, conditions: Conditions, seed: object) -> None:
        super().__init__(f"{what}\nreplay: Simulation(random.Random({seed!r}), {conditions!r}, {seed!r}).run()")
