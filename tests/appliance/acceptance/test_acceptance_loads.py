"""Our own loads find memory and processors that err, on memory and processors that are made to."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest

from appliance.acceptance import burn, cuda
from chain.errors import Faulty

CARD = "0000:01:00.0"


class StuckBit(bytearray):
    """Memory in which one bit of one byte always reads as one."""

    def __setitem__(self, place: Any, value: Any) -> None:
        super().__setitem__(place, value)
        if len(self) > 5_000:
            super().__setitem__(5_000, self[5_000] | 0x10)


class TwoPlacesInOne(bytearray):
    """Memory whose address line 13 is stuck: half of it shows what was written to the other half."""

    def __setitem__(self, place: Any, value: Any) -> None:
        super().__setitem__(place, value)
        for start in range(0, len(self), 16_384):
            super().__setitem__(slice(start + 8_192, start + 16_384), self[start : start + 8_192])


def test_sound_memory_has_no_errors() -> None:
    assert burn.memory_errors(40 << 20) == 0


def test_a_stuck_bit_is_found() -> None:
    assert burn.memory_errors(1 << 20, StuckBit) >= 2


def test_a_stuck_address_line_is_found() -> None:
    assert burn.memory_errors(1 << 20, TwoPlacesInOne) > 0


def test_a_sound_processor_makes_no_errors() -> None:
    rounds, wrong = burn.processor_errors(0.1, 2)
    assert rounds >= 2 and wrong == 0


def _unsteady(start: bytes, calls: list[int] = []) -> bytes:  # noqa: B006
    calls.append(1)
    return b"right" if len(calls) % 3 else b"wrong"


def test_a_processor_that_errs_now_and_then_is_found() -> None:
    _rounds, wrong = burn.processor_errors(0.05, 1, _unsteady)
    assert wrong > 0


class FakeDriver:
    """The part of libcuda that is used, over memory of this process; `spoil` changes a piece that was written."""

    def __init__(self, free_bytes: int, spoil: bool = False, refuses: str = "") -> None:
        self.free_bytes, self.spoil, self.refuses = free_bytes, spoil, refuses
        self.pieces: dict[int, bytearray] = {}
        self.freed = 0

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)

        def call(*arguments: Any) -> int:
            if name == self.refuses:
                return 999
            getattr(self, f"_{name}", lambda *_: None)(*arguments)
            return 0

        return call

    def _cuMemGetInfo_v2(self, free: Any, _total: Any) -> None:  # noqa: N802
        free._obj.value = self.free_bytes

    def _cuMemAlloc_v2(self, address: Any, size: ctypes.c_size_t) -> None:  # noqa: N802
        address._obj.value = len(self.pieces) + 1
        self.pieces[len(self.pieces) + 1] = bytearray(size.value)

    def _cuMemsetD32_v2(self, address: Any, value: Any, words: Any) -> None:  # noqa: N802
        self.pieces[address.value][:] = value.value.to_bytes(4, "little") * words.value
        if self.spoil:
            self.pieces[1][77] ^= 4

    def _cuMemcpyDtoH_v2(self, back: Any, address: Any, size: Any) -> None:  # noqa: N802
        ctypes.memmove(back, bytes(self.pieces[address.value]), size.value)

    def _cuMemFree_v2(self, _address: Any) -> None:  # noqa: N802
        self.freed += 1


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "PIECE_BYTES", 1 << 16)


def test_a_cards_memory_is_tried_in_pieces_and_given_back() -> None:
    driver = FakeDriver(10 << 16)
    assert cuda.memory_errors(CARD, 0.5, driver) == (5 << 16, 0)
    assert driver.freed == 5


def test_a_wrong_byte_of_a_card_is_counted_for_each_pattern() -> None:
    assert cuda.memory_errors(CARD, 0.5, FakeDriver(10 << 16, spoil=True)) == (5 << 16, len(cuda.PATTERNS))


@pytest.mark.parametrize("step", ["cuInit", "cuCtxCreate_v2", "cuMemAlloc_v2", "cuMemsetD32_v2", "cuMemcpyDtoH_v2"])
def test_a_driver_that_refuses_a_step_is_a_fault_of_the_card(step: str) -> None:
    with pytest.raises(Faulty) as fault:
        cuda.memory_errors(CARD, 0.5, FakeDriver(4 << 16, refuses=step))
    assert fault.value.code == "check_failed" and step in fault.value.message
