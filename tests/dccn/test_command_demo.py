"""`dccn demo --seconds N --json`: the whole path on this machine, and the document that scripts read."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from typing import Any

import psutil
import pytest

SECONDS = 45


@pytest.mark.slow
def test_this_machine_joins_proves_itself_and_verifies_its_pay() -> None:
    command = [sys.executable, "-m", "dccn", "demo", "--seconds", str(SECONDS), "--json"]
    ran = subprocess.run(command, capture_output=True, timeout=110, check=False)
    assert ran.returncode == 0, ran.stdout.decode() + ran.stderr.decode()
    document: dict[str, Any] = json.loads(ran.stdout)

    assert document["ok"] is True
    (device,) = document["devices"]
    assert len(bytes.fromhex(device["id"])) == 16 and device["evidence_level"] == 1
    assert isinstance(device["cpu"], str) and device["memory_bytes"] == psutil.virtual_memory().total
    assert all(gpu.keys() == {"uuid", "name", "memory_bytes"} for gpu in device["gpus"])
    assert document["records_accepted"] > 10 and document["records_rejected"] == 0
    assert document["pog_accepted"] > 0 and document["height"] > 20 and document["epochs"] > 5
    ((owner, reward),) = document["rewards"].items()
    assert owner.startswith("ankr1") and Decimal(reward) > 0
    assert document["supply_ok"] is True
    assert document["light_client"]["verified"] is True and document["light_client"]["inclusion_verified"] is True
    assert 0 < document["light_client"]["height"] <= document["height"]
    assert 0 < document["seconds_to_first_reward"] < SECONDS + 15
