"""Whoever dies takes its children along; whoever is asked to stop stops all, and goes on where it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from whole_audit import check_batches, check_chain, check_records, read_hub, read_spool
from whole_network import WholeNetwork, choose_ports
from whole_processes import MARK, Command, free_ports, running_in, shown, wait_until

from dccn.demo.network import Places

GONE_WITHIN_S = 10.0
ACCEPTED = "the hub accepted the records up to"
REWARD = "ANKR credited"


def demo(home: Path) -> Command:
    return Command("demo", "--home", home)


def gone(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)


def test_a_killed_demo_leaves_nothing_behind(home: Path) -> None:
    choose_ports(Places(home), free_ports(4))
    with demo(home) as program:
        program.line(ACCEPTED)
        alive = running_in(home)
        words = " ".join(shown(alive))
        assert all(part in words for part in ("node run", "hub run", "mosquitto", "appliance.agent.prover")), words
        program.process.kill()
        wait_until(lambda: not running_in(home), GONE_WITHIN_S, f"nothing is left of {words}")


@pytest.mark.parametrize(("victim", "child"), [("hub", "broker"), ("agent", "prover")])
def test_a_killed_part_takes_its_child_along(network: WholeNetwork, victim: str, child: str) -> None:
    network.wait_for(lambda event: event.get("event") == "record_accepted", 40, "a first record")
    parent = wait_until(lambda: network.process(victim), 20, f"{victim} runs")
    of_it = wait_until(lambda: network.process(child), 20, f"{child} runs")
    others = [each for each in running_in(network.places.home) if each not in (parent, of_it)]
    parent.kill()
    wait_until(lambda: gone([parent, of_it]), GONE_WITHIN_S, f"{victim} and {child} are gone")
    assert all(each.is_running() for each in others), "the others live on"
    network.pump(1)
    assert network.restarted == [victim]


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_sigterm_and_sigint_stop_all_and_the_same_home_goes_on(home: Path, tmp_path: Path) -> None:
    places = Places(home)
    choose_ports(places, free_ports(4))
    devices, heights = set(), []
    for number, wanted in ((signal.SIGTERM, REWARD), (signal.SIGINT, ACCEPTED)):
        with demo(home) as program:
            program.line(wanted)
            program.process.send_signal(number)
            assert program.ended() == 0
            assert not running_in(home)
            assert "Traceback" not in program.stderr
        spool, hub = read_spool(places), read_hub(places)
        check_records(hub, spool, 0)
        height, included = check_chain(places, tmp_path / f"replayed-{len(heights)}")
        check_batches(hub, included)
        assert hub.refusals == {} and hub.contradictions == 0
        devices |= {device for device, _, _ in hub.records}
        heights.append(height)
    assert len(devices) == 1
    assert heights == sorted(set(heights))


def test_a_child_whose_parent_died_before_it_ran_does_not_run(tmp_path: Path) -> None:
    """The kernel's promise begins when the child asks for it: a parent that is dead by then must be noticed."""
    slow = tmp_path / "setpriv"
    slow.write_text(f'#!/bin/sh\ntouch {tmp_path}/asked\nread _ < {tmp_path}/go\nexec /usr/bin/setpriv "$@"\n')
    slow.chmod(0o755)
    os.mkfifo(tmp_path / "go")
    program = f"from chain.lifeline import spawn; spawn(['touch', {str(tmp_path / 'ran')!r}]).wait()"
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, MARK: str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", program], env=environment) as parent:
        wait_until((tmp_path / "asked").exists, 10, "the child is on its way")
        (child,) = psutil.Process(parent.pid).children()
        parent.kill()
        parent.wait()
        (tmp_path / "go").write_text("go\n")
        wait_until(lambda: gone([child]), GONE_WITHIN_S, "the child ended")
    assert not (tmp_path / "ran").exists()
