"""Driven from beside the machine: it tests itself, and comes back after every power cut as the same machine."""

from __future__ import annotations


def test_its_own_hardware_tests_find_nothing(bench):
    """With an acceptance image, whose report is one line on the serial line."""
    bench.power.on()
    told = bench.event("acceptance_report", 3600)
    assert told["failures"] == []
    assert told["passed"] > 0


def test_it_comes_back_after_every_power_cut_as_the_same_machine(bench, request):
    bench.power.on()
    first = bench.event("agent_started")["device"]
    for _ in range(request.config.getoption("--cycles")):
        bench.power.cycle()
        assert bench.event("agent_started")["device"] == first
