"""The registry of topics: what it says is what is built, read, documented and used."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.errors import Malformed, Refused
from fleet.protocol import topics
from fleet.protocol.documentation import filled
from fleet.protocol.topics import COMMAND_POG, LEAVES, POG_OPEN, TELEMETRY_GPU, WORK, parse

ROOT = Path(__file__).parents[3]
DEVICE = "0123456789abcdef" * 2
NAMES = {id(leaf): name for name, leaf in vars(topics).items() if isinstance(leaf, topics.Leaf)}

NOT_YET = [("fleet/hub", "DESIRED")]
"""The hub has no desired state until it places workloads."""


def arguments(leaf):
    return {name: "7" for name in ("index", "level", "code") if f"{{{name}}}" in leaf.name}


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.name)
def test_a_leaf_is_read_back_from_its_own_topic(leaf):
    address = parse(leaf.topic("home", DEVICE, **arguments(leaf)))
    assert (address.fleet, address.device, address.leaf, address.arguments) == ("home", DEVICE, leaf, arguments(leaf))


def test_the_topic_tree_is_the_documented_one():
    assert WORK.topic("home", DEVICE) == f"dccn/v1/home/{DEVICE}/proof/work"
    assert TELEMETRY_GPU.topic("home", DEVICE, index=3) == f"dccn/v1/home/{DEVICE}/tele/gpu/3"
    assert TELEMETRY_GPU.filter("home") == "dccn/v1/home/+/tele/gpu/+"
    assert COMMAND_POG.filter() == "dccn/v1/+/+/cmd/pog"


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "dccn/v1",
        "dccn/v2/home/" + DEVICE + "/state",
        f"dccn/v1/Home/{DEVICE}/state",
        f"dccn/v1/home/{DEVICE.upper()}/state",
        f"dccn/v1/home/{DEVICE[:31]}/state",
        f"dccn/v1/home/{DEVICE}/state/",
        f"dccn/v1/home/{DEVICE}/proof/unheard-of",
        f"dccn/v1/home/{DEVICE}/tele/gpu/",
        f"dccn/v1/home/{DEVICE}/state" + "x" * 500,
    ],
)
def test_any_other_topic_is_refused(topic):
    with pytest.raises(Refused) as error:
        parse(topic)
    assert error.value.code == "topic_unknown"


@given(st.text(max_size=80))
def test_no_text_at_all_breaks_the_parser(text):
    with pytest.raises(Refused):
        parse(f"dccn/v1/{text}")


@pytest.mark.parametrize("fleet, device", [("", DEVICE), ("a/b", DEVICE), ("+", DEVICE), ("home", "+"), ("home", "#")])
def test_a_topic_cannot_be_built_with_wildcards_or_foreign_levels(fleet, device):
    with pytest.raises(Malformed):
        WORK.topic(fleet, device)


def test_every_constant_is_registered_and_every_payload_fits_a_packet():
    assert sorted(NAMES) == sorted(id(leaf) for leaf in LEAVES)
    assert len({leaf.name for leaf in LEAVES}) == len(LEAVES)
    assert max(leaf.max_bytes for leaf in LEAVES) + topics.MAX_TOPIC_CHARACTERS < topics.MAX_PACKET_BYTES
    assert POG_OPEN.max_bytes >= 64 * (4096 + 20 * 34), "64 opened rows of the standard profile with their paths"


def test_nobody_spells_a_topic_outside_the_registry():
    sources = [path for part in ("fleet", "appliance", "dccn") for path in (ROOT / part).rglob("*.py")]
    spelled = [path.relative_to(ROOT) for path in sources if "dccn/v1/" in path.read_text(encoding="utf-8")]
    assert [str(path) for path in spelled] == ["fleet/protocol/topics.py"]


def test_every_leaf_is_used_by_its_sender_and_by_its_receiver():
    texts = {
        side: "".join(path.read_text(encoding="utf-8") for path in (ROOT / side).rglob("*.py"))
        for side in ("fleet/hub", "appliance/agent")
    }
    names = [NAMES[id(leaf)] for leaf in LEAVES]
    unused = [(side, name) for name in names for side, text in texts.items() if not re.search(rf"\b{name}\b", text)]
    assert [pair for pair in unused if pair not in NOT_YET] == []
    assert [pair for pair in NOT_YET if pair not in unused] == [], "it is used now: take it off the list"


def test_the_protocol_page_is_what_the_registry_says():
    page = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
    assert filled(page) == page, "run: python -m fleet.protocol.documentation docs/protocol.md"
