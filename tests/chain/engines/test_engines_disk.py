"""Sign state and log on a disk that tears, rots and fills up."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.consensus.messages import Step
from chain.consensus.recovery import Signed
from chain.engines.durable import AlternatingFile, frame, frames
from chain.engines.height_log import Entry, HeightLog, LoggedProposal, LoggedSkip, LoggedTimeout, LoggedVote
from chain.engines.sign_state import SignedBefore, SignState
from chain.engines.signer import Signer
from chain.errors import Faulty
from chain.wire.cometbft import PRECOMMIT, PREVOTE, BlockID, PartSetHeader, Proposal, Vote
from tests.chain.engines.small_chain import KEYS

BLOCK_ID = BlockID(b"b" * 32, PartSetHeader(1, b"p" * 32))
OTHER_ID = BlockID(b"c" * 32, PartSetHeader(1, b"p" * 32))
CHAIN_ID = "small"


def vote(
    height: int = 5, round_: int = 0, kind: int = PREVOTE, block_id: BlockID | None = BLOCK_ID, time_ns: int = 1
) -> Vote:
    return Vote(kind, height, round_, block_id, time_ns, b"a" * 20, 0)


def proposal(round_: int = 0, block_id: BlockID = BLOCK_ID, time_ns: int = 1) -> Proposal:
    return Proposal(5, round_, -1, block_id, time_ns)


@pytest.fixture
def state(tmp_path: Path) -> SignState:
    return SignState(tmp_path / "sign_state")


@pytest.fixture
def signer(state: SignState) -> Signer:
    return Signer(KEYS[0], state)


# Sign state


def test_a_signature_verifies_and_is_given_again_for_the_same_vote(signer: Signer) -> None:
    first = signer.sign_vote(vote(), CHAIN_ID)
    assert first is not None
    assert KEYS[0].public.verify(vote().sign_bytes(CHAIN_ID), first.signature)
    assert signer.sign_vote(vote(time_ns=99), CHAIN_ID) == first


def test_two_votes_for_one_place_are_refused(signer: Signer) -> None:
    assert signer.sign_vote(vote(), CHAIN_ID)
    assert signer.sign_vote(vote(block_id=OTHER_ID), CHAIN_ID) is None
    assert signer.sign_vote(vote(block_id=None), CHAIN_ID) is None


def test_two_proposals_for_one_round_are_refused(signer: Signer) -> None:
    assert signer.sign_proposal(proposal(), CHAIN_ID)
    assert signer.sign_proposal(proposal(block_id=OTHER_ID), CHAIN_ID) is None
    assert signer.sign_proposal(proposal(round_=1, block_id=OTHER_ID), CHAIN_ID)


@pytest.mark.parametrize(
    "earlier", [vote(height=4, kind=PRECOMMIT), vote(round_=0, kind=PRECOMMIT), vote(round_=1, kind=PREVOTE)]
)
def test_going_back_is_refused(signer: Signer, earlier: Vote) -> None:
    assert signer.sign_vote(vote(round_=1, kind=PRECOMMIT), CHAIN_ID)
    assert signer.sign_vote(earlier, CHAIN_ID) is None


def test_a_restart_remembers_what_was_saved(tmp_path: Path, state: SignState, signer: Signer) -> None:
    signed = signer.sign_vote(vote(), CHAIN_ID)
    assert signed is not None
    state.save()
    again = Signer(KEYS[0], SignState(tmp_path / "sign_state"))
    assert again.sign_vote(vote(block_id=OTHER_ID), CHAIN_ID) is None
    assert again.sign_vote(vote(time_ns=7), CHAIN_ID) == signed


def test_a_signature_found_in_the_log_is_remembered(tmp_path: Path, state: SignState, signer: Signer) -> None:
    signed = signer.sign_vote(vote(), CHAIN_ID)
    assert signed is not None
    lost = Signer(KEYS[0], SignState(tmp_path / "other"))
    lost.remember(signed, CHAIN_ID)
    assert lost.sign_vote(vote(block_id=None), CHAIN_ID) is None
    assert lost.sign_vote(vote(time_ns=7), CHAIN_ID) == signed


def saved_states(folder: Path, count: int) -> None:
    state = SignState(folder / "sign_state")
    for height in range(1, count + 1):
        signed = Signed(height, 0, int(Step.PREVOTE), b"content")
        state.stage(b"a" * 20, SignedBefore(signed, height, b"s" * 64))
        state.save()
    state.close()


def heights_after(folder: Path, damage: Callable[[Path], None], slot: str) -> int:
    damage(folder / f"sign_state.{slot}")
    before = SignState(folder / "sign_state").last(b"a" * 20)
    assert before is not None
    return before.signed.height


@given(st.data())
def test_a_torn_write_leaves_the_state_before(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("state")
    saved_states(folder, 7)  # the first goes to a, so the seventh does
    newest = (folder / "sign_state.a").read_bytes()
    torn = newest[: data.draw(st.integers(0, len(newest) - 1))]
    assert heights_after(folder, lambda path: path.write_bytes(torn) and None, "a") == 6


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_flipped_byte_is_noticed(tmp_path_factory: pytest.TempPathFactory, at: int, flip: int) -> None:
    folder = tmp_path_factory.mktemp("state")
    saved_states(folder, 6)
    content = bytearray((folder / "sign_state.b").read_bytes())
    content[at % len(content)] ^= flip
    assert heights_after(folder, lambda path: path.write_bytes(content) and None, "b") == 5


def test_without_any_intact_state_nothing_is_signed(tmp_path: Path) -> None:
    saved_states(tmp_path, 3)
    for slot in "ab":
        (tmp_path / f"sign_state.{slot}").write_bytes(b"rubbish")
    with pytest.raises(Faulty) as refusal:
        SignState(tmp_path / "sign_state")
    assert refusal.value.code == "state_corrupt"


def test_a_full_disk_is_called_by_its_name(tmp_path: Path) -> None:
    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    file = AlternatingFile(tmp_path / "x", full)
    with pytest.raises(Faulty) as refusal:
        file.write(b"content")
    assert refusal.value.code == "disk_full"


def test_nothing_new_costs_no_sync(tmp_path: Path) -> None:
    syncs: list[int] = []
    state = SignState(tmp_path / "sign_state", syncs.append)
    state.save()
    state.stage(b"a" * 20, SignedBefore(Signed(1, 0, 0, b""), 0, b""))
    state.save()
    state.save()
    assert len(syncs) == 1


# Log

ENTRIES: list[Entry] = [
    LoggedProposal(Proposal(7, 0, -1, BLOCK_ID, 5, b"s" * 64), b"a" * 20, b"block"),
    LoggedVote(Vote(PREVOTE, 7, 0, BLOCK_ID, 6, b"a" * 20, 0, b"s" * 64)),
    LoggedVote(Vote(PRECOMMIT, 7, 0, None, 7, b"b" * 20, 1, b"t" * 64)),
    LoggedTimeout(b"a" * 20, Step.PRECOMMIT, 0),
    LoggedSkip(4),
]


def written(path: Path, height: int = 7) -> None:
    log = HeightLog(path)
    log.begin(height)
    for entry in ENTRIES:
        log.append(entry)
    log.sync()
    log.close()


def test_the_log_says_again_what_it_was_told(tmp_path: Path) -> None:
    written(tmp_path / "log")
    assert HeightLog(tmp_path / "log").begin(7) == ENTRIES


def test_another_height_begins_empty(tmp_path: Path) -> None:
    written(tmp_path / "log")
    log = HeightLog(tmp_path / "log")
    assert log.begin(8) == []
    assert HeightLog(tmp_path / "log").begin(7) == []


@given(st.integers(0, 2_000))
def test_a_torn_log_is_read_up_to_the_tear_and_written_on(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = tmp_path_factory.mktemp("log") / "log"
    written(path)
    content = path.read_bytes()
    path.write_bytes(content[: cut % len(content)])
    log = HeightLog(path)
    kept = log.begin(7)
    assert kept == ENTRIES[: len(kept)]
    assert len(kept) < len(ENTRIES)
    log.append(ENTRIES[-1])
    assert HeightLog(path).begin(7) == [*kept, ENTRIES[-1]]


@given(st.binary(max_size=200))
def test_random_bytes_are_no_frames_by_accident(noise: bytes) -> None:
    assert list(frames(frame(b"payload") + noise))[:1] == [b"payload"]
    assert all(frame(payload) in noise for payload in frames(noise))
