"""Against the root helper: what a program that was taken over could try at its socket, and at the owner's PIN."""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from appliance.helper.line import MAX_REQUEST_BYTES, Request, write_request
from appliance.helper.pin import FREE_TRIES
from appliance.helper.server import MAX_AT_ONCE
from appliance.helper.verbs import VERBS
from chain.errors import DccnError, Refused
from tests.appliance.running_helper import RunningHelper, start_helper

__all__ = ["start_helper"]
Start = Callable[..., RunningHelper]
SEED = 20_260_101


def send(helper: RunningHelper, data: bytes) -> bytes:
    """What comes back for these bytes; nothing when the connection is cut."""
    received = b""
    with socket.socket(socket.AF_UNIX) as connection, contextlib.suppress(OSError):
        connection.settimeout(20)
        connection.connect(str(helper.socket))
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while part := connection.recv(1 << 16):
            received += part
    return received


def test_tries_at_the_same_time_are_no_more_than_one_after_the_other(start_helper: Start) -> None:
    helper = start_helper("console")
    helper.client.ask("set-pin", {"pin": "2468"})

    def guess(number: int) -> str:
        try:
            helper.client.ask("reboot", {"reason": "x"}, pin=f"{number:04}")
        except DccnError as error:
            return error.message
        return "open"

    with ThreadPoolExecutor(24) as pool:
        said = list(pool.map(guess, range(48)))
    looked_at = sum("not the owner's" in each for each in said)
    assert 0 < looked_at <= FREE_TRIES and "open" not in said
    assert json.loads((helper.folder / "state/pin.json").read_text())["wrong"] == looked_at
    with pytest.raises(Refused, match="another try"):
        helper.client.ask("reboot", {"reason": "x"}, pin="2468")
    assert helper.calls == []


def test_callers_that_send_nothing_do_not_keep_the_others_out(start_helper: Start) -> None:
    helper = start_helper("agent")
    with contextlib.ExitStack() as held:
        for _ in range(4 * MAX_AT_ONCE):
            silent = held.enter_context(socket.socket(socket.AF_UNIX))
            silent.connect(str(helper.socket))
            silent.send(b'{"arg')
        assert helper.client.ask("collect-logs", {"lines": 1}) == {"lines": []}


def test_a_thousand_mutations_of_good_lines_start_no_program_that_no_good_line_starts(start_helper: Start) -> None:
    """Bytes flipped, cut, doubled and spliced, from a seed: an answer each time, and only calls from the fixed list."""
    helper = start_helper("agent")
    rng = random.Random(SEED)
    good = [
        write_request(Request("restart-unit", {"unit": "k3s.service"})),
        write_request(Request("collect-logs", {"of": "kernel", "lines": 5})),
        write_request(Request("reboot", {"reason": "an update"})),
    ]
    for _ in range(1000):
        line = bytearray(rng.choice(good))
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(line) or 1)
            match rng.randrange(4):
                case 0:
                    line[at : at + 1] = bytes([rng.randrange(256)])
                case 1:
                    del line[at : at + rng.randrange(1, 9)]
                case 2:
                    line[at:at] = line[: rng.randrange(len(line) + 1)]
                case _:
                    line[at:at] = rng.choice(good)
        answer = send(helper, bytes(line[: 2 * MAX_REQUEST_BYTES]))
        assert answer == b"" or json.loads(answer)["ok"] in (True, False)
    fixed = ("systemctl --no-block restart ", "systemctl --no-block reboot", "journalctl --no-pager --quiet ")
    assert all(call.startswith(fixed) for call in helper.calls)
    assert helper.client.ask("collect-logs", {"lines": 1}) == {"lines": []}


def test_the_agent_taken_over_reaches_no_verb_but_its_own_and_not_more_often(start_helper: Start) -> None:
    helper = start_helper("agent")
    reached = set()
    for verb in VERBS:
        for arguments in ({}, {"reason": "x"}, {"unit": "k3s.service"}, {"gpu": "GPU-" + "0" * 36}, {"pin": "1234"}):
            with contextlib.suppress(DccnError):
                helper.client.ask(verb.name, arguments)
                reached.add(verb.name)
    assert not reached & {"gpu-reset", "gpu-clocks", "power-off", "set-pin", "pin-state"}
    reboots = 0
    for _ in range(10):
        with contextlib.suppress(DccnError):
            helper.client.ask("reboot", {"reason": "again"})
            reboots += 1
    assert helper.calls.count("systemctl --no-block reboot") <= 4 + 2 and reboots < 4


def test_nothing_in_an_argument_reaches_a_shell(start_helper: Start) -> None:
    helper = start_helper("root")
    trap = helper.folder / "trap"
    for text in (f"$(touch {trap})", f"`touch {trap}`", f"; touch {trap}", f"x\ntouch {trap}", f"| touch {trap}"):
        with contextlib.suppress(DccnError):
            helper.client.ask("reboot", {"reason": text})
        for verb, name in (("restart-unit", "unit"), ("collect-logs", "of"), ("gpu-reset", "gpu")):
            with contextlib.suppress(DccnError):
                helper.client.ask(verb, {name: text})
    assert not trap.exists()
    assert all(text in ("systemctl --no-block reboot",) for text in helper.calls)


@pytest.mark.skipif(os.geteuid() != 0, reason="asking as another user takes root")
def test_a_stranger_cannot_become_somebody_by_saying_so(start_helper: Start) -> None:
    helper = start_helper("root")
    code = (
        "import socket,sys,struct; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
        "\ntry: s.sendmsg([sys.argv[2].encode()+b'\\n'], [(socket.SOL_SOCKET, 2, struct.pack('3i', 1, 0, 0))])"
        "\nexcept PermissionError: s.sendall(sys.argv[2].encode()+b'\\n')"
        "\nprint(s.makefile().read())"
    )
    line = '{"arguments":{"reason":"x"},"verb":"reboot"}'
    as_stranger = [
        "setpriv",
        "--reuid=65533",
        "--clear-groups",
        "/usr/bin/python3",
        "-c",
        code,
        str(helper.socket),
        line,
    ]
    said = subprocess.run(as_stranger, capture_output=True, text=True, timeout=30, check=False)
    assert "verb_refused" in said.stdout and helper.calls == [], said.stderr
