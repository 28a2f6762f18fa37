"""The updater as a process: it says when it can be told to look, looks when told, and ends when it is asked to."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from chain.lifeline import spawn, stop


def test_it_is_ready_before_it_can_be_told_to_look_and_ends_when_it_is_asked_to(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(60)
        folders = {"STATE_DIRECTORY": str(tmp_path / "state"), "RUNTIME_DIRECTORY": str(tmp_path / "face")}
        environment = {**os.environ, **folders, "NOTIFY_SOCKET": str(tmp_path / "notify")}
        command = [sys.executable, "-m", "appliance.agent.updates"]
        process = spawn(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            assert systemd.recv(100) == b"READY=1"
            process.send_signal(signal.SIGUSR1)
            shown = tmp_path / "face/update.json"
            deadline = time.monotonic() + 60
            while json.loads(shown.read_text())["next_look_ms"] is None:
                assert time.monotonic() < deadline and process.poll() is None
                time.sleep(0.05)
            # Whatever this machine is, it is told in words: it has no trusted root, or no slots.
            assert json.loads(shown.read_text())["reason"]
            assert json.loads((tmp_path / "state/update.json").read_text()) == json.loads(shown.read_text())
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            stop(process, 10)
