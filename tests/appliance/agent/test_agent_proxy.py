"""A machine whose owner named a proxy: the hub's API and the broker are reached through it, and only through it."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_fleet import SmallFleet
from small_line import make_line, wait_for

from appliance.agent.settings import Settings
from chain import outward
from chain.errors import Unavailable
from fleet.protocol.topics import WORK
from tests.tinyproxy import TinyProxy


def test_a_device_enrols_and_is_heard_through_the_proxy(
    fleet: SmallFleet, home: Path, events, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outward, "_is_loopback", lambda _host: False)
    with TinyProxy(tmp_path) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url())
        line = make_line(fleet, Settings(home=home), events)
        line.recorder.record()
        line.start()
        wait_for(lambda: line.spool.depth().records == 0)
        line.end()
        line.spool.close()
        assert fleet.of(WORK)
        hub = fleet.hub.url.rpartition(":")[2]
        carried = " ".join(proxy.carried())
        assert f"CONNECT 127.0.0.1:{hub}" in carried and f"CONNECT 127.0.0.1:{fleet.port}" in carried


def test_a_proxy_that_refuses_is_the_reason_that_is_told(
    fleet: SmallFleet, home: Path, events, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outward, "_is_loopback", lambda _host: False)
    with TinyProxy(tmp_path) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url("wrong-password"))
        with pytest.raises(Unavailable, match=r"401|407") as raised:
            make_line(fleet, Settings(home=home), events)
        assert raised.value.code == "unreachable" and "wrong-password" not in raised.value.message
