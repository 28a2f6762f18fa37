"""The string to join with: one text for one invitation, and no typing error goes unnoticed."""

from __future__ import annotations

import base64
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.errors import DccnError, Faulty, Malformed, Unavailable
from chain.node import home as node_home
from chain.node import joining
from chain.node.invitation import MAX_PEERS, PREFIX, Invitation
from chain.wire import cbor

SAMPLE = Invitation(
    chain_id="dccn-1",
    genesis_hash=bytes(range(32)),
    trusted_height=7,
    trusted_hash=bytes(32),
    rpc=("http://a.example:26657", "https://b.example/rpc"),
    peers=("0" * 40 + "@a.example:26656",),
)
GOLDEN = "dccnjoin1_hwFmZGNjbi0xWCAAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHwdYIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


def test_the_string_is_the_documented_one() -> None:
    text = SAMPLE.encode()
    assert text.startswith(GOLDEN)
    data = base64.urlsafe_b64decode(text.removeprefix(PREFIX) + "==="[: -len(text.removeprefix(PREFIX)) % 4])
    body = cbor.encode([1, "dccn-1", bytes(range(32)), 7, bytes(32), list(SAMPLE.rpc), list(SAMPLE.peers)])
    assert data == body + sha256(body).digest()[:4]
    assert Invitation.decode(text) == SAMPLE


@given(
    st.from_regex(r"[0-9A-Za-z._-]{1,50}", fullmatch=True),
    st.binary(min_size=32, max_size=32),
    st.integers(1, (1 << 63) - 1),
    st.lists(st.integers(0, 65_535), min_size=1, max_size=MAX_PEERS),
)
def test_any_invitation_survives_its_string(chain_id: str, digest: bytes, height: int, ports: list[int]) -> None:
    peers = tuple(f"{digest.hex()[:40]}@[::1]:{port}" for port in ports)
    invitation = replace(SAMPLE, chain_id=chain_id, genesis_hash=digest, trusted_height=height, peers=peers)
    assert Invitation.decode(invitation.encode()) == invitation


@given(st.data())
def test_no_changed_character_is_taken(data: st.DataObject) -> None:
    text = SAMPLE.encode()
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda each: each != text[place]))
    with pytest.raises(Malformed):
        Invitation.decode(text[:place] + other + text[place + 1 :])


@pytest.mark.parametrize(
    "wrong", ["", "dccnjoin1_", "dccnjoin2_AAAA", SAMPLE.encode() + "=", SAMPLE.encode()[:-1], "ä"]
)
def test_what_is_not_whole_is_refused(wrong: str) -> None:
    with pytest.raises(Malformed):
        Invitation.decode(wrong)


@pytest.mark.parametrize(
    "content",
    [
        [2, "c", bytes(32), 1, bytes(32), ["http://a", "http://b"], list(SAMPLE.peers)],
        [1, "c", bytes(32), 1, bytes(32), ["http://a"], list(SAMPLE.peers)],
        [1, "c", bytes(32), 0, bytes(32), ["http://a", "http://b"], list(SAMPLE.peers)],
        [1, "c", bytes(31), 1, bytes(32), ["http://a", "http://b"], list(SAMPLE.peers)],
        [1, "c", bytes(32), 1, bytes(32), ["http://a", "http://b"], []],
        [1, "c", bytes(32), 1, bytes(32), ["http://a", "http://b"], ["a,b"]],
        [1, "c", bytes(32), 1, bytes(32), ["http://a", 'http://b"\n'], list(SAMPLE.peers)],
        [1, 7, bytes(32), 1, bytes(32), ["http://a", "http://b"], list(SAMPLE.peers)],
        [1, "c", "text", True, bytes(32), "http", list(SAMPLE.peers)],
        [1],
        7,
    ],
)
def test_a_body_with_a_good_checksum_and_a_bad_content_is_refused(content: object) -> None:
    body = cbor.encode(content)
    text = PREFIX + base64.urlsafe_b64encode(body + sha256(body).digest()[:4]).decode().rstrip("=")
    with pytest.raises(DccnError):
        Invitation.decode(text)


def test_nothing_is_made_where_nodes_do_not_answer_or_a_home_is(tmp_path: Path) -> None:
    silent = replace(SAMPLE, rpc=("http://127.0.0.1:1", "http://127.0.0.1:1")).encode()
    with pytest.raises(Unavailable):
        joining.join(tmp_path / "new", silent)
    assert not (tmp_path / "new").exists()
    node_home.init_seed(tmp_path / "there", bytes(20), 10**18)
    with pytest.raises(Faulty, match="earlier"):
        joining.join(tmp_path / "there", silent)
