"""Every command explains itself, and every failure is one line with a code."""

from __future__ import annotations

from typing import Any

import pytest

from chain.errors import REGISTRY

COMMANDS = [
    [],
    ["demo"],
    ["doctor"],
    ["hub", "run"],
    ["hub", "token"],
    ["hub", "devices"],
    ["hub", "images"],
    ["image", "keys"],
    ["agent", "run"],
    ["agent", "enrol"],
    ["agent", "status"],
    ["agent", "accept"],
    ["node", "init"],
    ["node", "run"],
    ["node", "status"],
    ["light", "verify"],
    ["proof", "pog", "prove"],
    ["proof", "pog", "verify"],
    ["proof", "bench"],
    ["why", "reward"],
    ["elect"],
    ["elect", "proposer"],
    ["vrf", "prove"],
    ["vrf", "verify"],
    *(
        ["wallet", name]
        for name in ("create", "import", "watch", "list", "show", "export", "rename", "password", "remove")
    ),
    *(["tx", name] for name in ("send", "prepare", "sign", "broadcast", "show", "wait")),
    *(["query", name] for name in ("balance", "account", "reward", "supply", "epoch", "parameters", "validators")),
    ["query", "device"],
    ["query", "history"],
    ["node", "index", "run"],
    ["node", "index", "serve"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_tells_what_a_command_is_for(dccn: Any, command: list[str]) -> None:
    result = dccn(*command, "--help")
    assert result.code == 0 and "Usage: dccn" in result.out.replace("root", "dccn")


@pytest.mark.parametrize("arguments", [["fly"], ["light", "verify"], ["elect", "proposer", "--height", "x"]])
def test_wrong_usage_exits_with_2(dccn: Any, arguments: list[str]) -> None:
    assert dccn(*arguments).code == 2


def test_a_node_that_is_not_there_exits_with_3(dccn: Any) -> None:
    result = dccn("node", "status", "--rpc", "http://127.0.0.1:9", "--json")
    assert result.code == 3 and result.document["code"] == "unreachable"


def test_an_agent_that_never_ran_has_no_status(dccn: Any, tmp_path: Any) -> None:
    result = dccn("agent", "status", "--home", str(tmp_path), "--json")
    assert result.code == 1 and result.document["code"] == "home_invalid"


def test_light_batch_answers_line_by_line(dccn: Any) -> None:
    result = dccn("light", "verify", "--batch", "-", stdin=b'{}\nnot json\n[]\n\n\xff\n{"now":"\\ud800"}\n')
    assert result.code == 1
    assert [line.startswith('{"verdict":"MALFORMED"') for line in result.out.splitlines()] == [True] * 6


def test_numbers_of_error_codes_are_unique() -> None:
    numbers = [code.number for code in REGISTRY.values()]
    assert len(set(numbers)) == len(numbers) and 0 not in numbers
