"""What the helper does and for whom, asked over its socket."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.helper.client import Helper
from appliance.helper.verb import Caller
from appliance.helper.verbs import VERBS
from appliance.image import fat
from chain.errors import Faulty, Malformed, Refused, Unavailable
from chain.lifeline import spawn, stop
from tests.appliance.running_helper import RunningHelper

GPU = "GPU-8f6ba6ab-0c8e-4f4d-a0f9-d3c3f1f4a001"
CARD = "0000:0a:00.0"
Start = Callable[..., RunningHelper]


@pytest.mark.parametrize(
    ("verb", "arguments", "call"),
    [
        ("reboot", {"reason": "an update"}, "systemctl --no-block reboot"),
        ("power-off", {}, "systemctl --no-block poweroff"),
        ("restart-unit", {"unit": "k3s.service"}, "systemctl --no-block restart k3s.service"),
        ("look-for-update", {}, "systemctl start dccn-updates.service"),
        ("drain", {}, "systemctl start dccn-drain.service"),
        ("resume", {}, "systemctl start dccn-resume.service"),
        ("gpu-reset", {"gpu": GPU}, f"systemctl start dccn-gpu-reset@{GPU}.service"),
        ("gpu-clocks", {"gpu": GPU}, f"systemctl start dccn-gpu-clocks@{GPU}.service"),
        ("gpu-quarantine", {"card": CARD, "on": True}, f"systemctl start dccn-gpu-quarantine@{CARD}.service"),
        ("gpu-quarantine", {"card": CARD, "on": False}, f"systemctl start dccn-gpu-release@{CARD}.service"),
        ("restart-workload", {}, "systemctl start dccn-restart-workload.service"),
        ("remove-images", {}, "systemctl start dccn-remove-images.service"),
        ("vacuum-journal", {}, "systemctl start dccn-vacuum-journal.service"),
    ],
)
def test_a_verb_is_one_fixed_call(start_helper: Start, verb: str, arguments: dict[str, object], call: str) -> None:
    helper = start_helper()
    assert helper.client.ask(verb, arguments) == {}
    assert helper.calls[0] == call
    told = helper.log[-1]
    assert (told["verb"], told["caller"], told["uid"], told["outcome"]) == (verb, "root", os.getuid(), "ok")
    assert told["arguments"] == arguments


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("restart-unit", {"unit": "ssh.service"}),
        ("restart-unit", {"unit": "k3s.service; reboot"}),
        ("restart-unit", {"unit": ["k3s.service"]}),
        ("restart-unit", {}),
        ("reboot", {}),
        ("reboot", {"reason": ""}),
        ("reboot", {"reason": "x" * 201}),
        ("reboot", {"reason": "x", "force": True}),
        ("drain", {"node": "other"}),
        ("gpu-reset", {"gpu": "0"}),
        ("gpu-reset", {"gpu": f"{GPU}\n"}),
        ("gpu-reset", {"gpu": f"{GPU} --all"}),
        ("gpu-reset", {"gpu": "../../etc/passwd"}),
        ("gpu-quarantine", {"card": "0000:01:00", "on": True}),
        ("gpu-quarantine", {"card": f"{CARD} --all", "on": True}),
        ("gpu-quarantine", {"card": CARD}),
        ("collect-logs", {"of": "--file=/etc/shadow"}),
        ("collect-logs", {"of": "ssh.service\n"}),
        ("collect-logs", {"lines": 0}),
        ("collect-logs", {"lines": 1001}),
        ("collect-logs", {"lines": True}),
        ("set-pin", {"pin": "123"}),
        ("set-pin", {"pin": "12ab"}),
        ("set-pin", {"pin": "١٢٣٤"}),
    ],
)
def test_arguments_outside_the_schema_start_no_program(
    start_helper: Start, verb: str, arguments: dict[str, object]
) -> None:
    helper = start_helper()
    with pytest.raises(Malformed):
        helper.client.ask(verb, arguments)
    assert helper.calls == [] and helper.log[-1]["outcome"] == "malformed"


@pytest.mark.parametrize("verb", ["", "sh", "../reboot", "REBOOT", "reboot ", "x" * 400])
def test_a_verb_that_is_not_on_the_list_is_refused(start_helper: Start, verb: str) -> None:
    helper = start_helper()
    with pytest.raises(Refused) as refused:
        helper.client.ask(verb)
    assert refused.value.code == "verb_refused" and helper.calls == []


def test_nobody_asks_for_more_than_their_own_verbs(start_helper: Start) -> None:
    helper = start_helper("agent")
    for verb, arguments in (("power-off", {}), ("gpu-reset", {"gpu": GPU}), ("set-pin", {"pin": "1234"})):
        with pytest.raises(Refused, match="as agent") as refused:
            helper.client.ask(verb, arguments)
        assert refused.value.code == "verb_refused"
    assert helper.calls == []


def test_a_user_that_is_not_in_the_table_is_told_nothing_but_that(start_helper: Start) -> None:
    helper = start_helper()
    code = (
        "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
        's.sendall(b\'{"arguments":{},"verb":"drain"}\\n\'); print(s.makefile().read())'
    )
    stranger = ["setpriv", "--reuid=65533", "--clear-groups", "/usr/bin/python3", "-c", code, str(helper.socket)]
    said = subprocess.run(stranger, capture_output=True, text=True, timeout=30, check=True).stdout
    assert '"verb_refused"' in said and "65533" in said and helper.calls == []


def test_the_hours_share_ends_and_a_restart_does_not_renew_it(start_helper: Start) -> None:
    helper = start_helper()
    share = next(verb.per_hour for verb in VERBS if verb.name == "reboot")
    for _ in range(share):
        helper.client.ask("reboot", {"reason": "again"})
    helper.stop()
    helper.start()
    with pytest.raises(Refused, match="more than 4 times an hour") as refused:
        helper.client.ask("reboot", {"reason": "again"})
    assert refused.value.code == "rate_limited" and 3500 < (refused.value.retry_after_s or 0) <= 3601
    assert len(helper.calls) == share
    helper.client.ask("drain")


def test_a_program_that_fails_is_told_with_its_words(start_helper: Start) -> None:
    helper = start_helper()
    helper.breaks("systemctl")
    with pytest.raises(Faulty, match=r"drain\.service ended with 3: it is broken") as failed:
        helper.client.ask("drain")
    assert failed.value.code == "verb_failed" and helper.log[-1]["outcome"] == "verb_failed"


def test_logs_come_as_bounded_lines(start_helper: Start) -> None:
    helper = start_helper()
    helper.says("journalctl", "".join(f"{n} {'ü' * 600}\n" for n in range(1000)))
    lines = helper.client.ask("collect-logs", {"of": "k3s.service", "lines": 1000})["lines"]
    assert helper.calls == ["journalctl --no-pager --quiet --output=short-iso --lines=1000 --unit=k3s.service"]
    assert lines[-1].startswith("999 ") and max(map(len, lines)) == 500
    assert 50_000 < sum(len(line.encode()) for line in lines) <= 128 * 1024


def test_factory_reset_leaves_its_mark_on_the_owners_partition_before_it_reboots(start_helper: Start) -> None:
    helper = start_helper()
    partition = helper.folder / "config.img"
    fat.make(partition, 34 << 20, "DCCNCFG", 1, {"dccn.toml": b"[hub]\n"}, 1_767_225_600)
    helper.client.ask("factory-reset")
    assert fat.get(partition, "factory-reset") == b"by the helper\n" and fat.get(partition, "dccn.toml") == b"[hub]\n"
    assert helper.calls == ["systemctl --no-block reboot"]


def test_without_its_mark_a_factory_reset_does_not_even_reboot(start_helper: Start) -> None:
    helper = start_helper()
    (helper.folder / "config.img").write_bytes(bytes(1 << 20))
    with pytest.raises(Faulty, match="mcopy"):
        helper.client.ask("factory-reset")
    assert helper.calls == []


def test_where_no_helper_listens_the_caller_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="asking the helper"):
        Helper(tmp_path / "none.sock").ask("reboot", {"reason": "x"})


def test_a_helper_that_nobody_asks_ends_and_leaves_its_memory(start_helper: Start) -> None:
    helper = start_helper(linger_s=0.2)
    assert helper.process is not None and helper.process.wait(20) == 0


def test_systemds_socket_is_taken_over(tmp_path: Path) -> None:
    """The listening socket is passed as sd_listen_fds(3) says; the program does not bind one itself."""
    settings = {"state": str(tmp_path), "users": {str(os.getuid()): "root"}, "linger_s": 0.2}
    program = [sys.executable, "-m", "appliance.helper", json.dumps(settings)]
    process = spawn(["systemd-socket-activate", f"--listen={tmp_path}/s", *program], stderr=subprocess.DEVNULL)
    try:
        while not (tmp_path / "s").exists():
            assert process.poll() is None
            time.sleep(0.02)
        assert Helper(tmp_path / "s").ask("pin-state") == {"is_set": False}
        assert process.wait(20) == 0
    finally:
        stop(process)


def test_settings_that_are_none_are_refused_without_a_traceback() -> None:
    for given in ("{", '{"sockets":1}', '{"users":{"root":"emperor"}}', "[]"):
        ended = subprocess.run(
            [sys.executable, "-m", "appliance.helper", given], capture_output=True, text=True, timeout=60, check=False
        )
        assert ended.returncode == 2 and "usage" in ended.stderr and "Traceback" not in ended.stderr, given


def test_every_verb_bounds_itself_and_only_harmless_ones_are_open_to_the_console_without_a_pin() -> None:
    names = [verb.name for verb in VERBS]
    assert names == sorted(set(names)) and all(0 < verb.per_hour <= 3600 for verb in VERBS)
    harmless = {"collect-logs", "look-for-update", "pin-state", "set-pin"}
    assert {verb.name for verb in VERBS if Caller.console in verb.callers and not verb.asks_pin} == harmless


def test_hostile_connections_leave_the_helper_as_it_was(start_helper: Start) -> None:
    helper = start_helper()
    for sent in (b"", b"\n", b"{}", b"\x00" * 10_000, b'{"arguments":{},"verb":"sh"}\n', b"[" * 100_000):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(helper.socket))
            try:
                connection.sendall(sent)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(1 << 16):
                    pass
            except (BrokenPipeError, ConnectionResetError):
                continue
    assert helper.client.ask("pin-state") == {"is_set": False}
    assert helper.calls == []
