"""`dccn proof` and `dccn vrf` as scripts call them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

BEACON, OPEN_BEACON, DEVICE = "11" * 32, "22" * 32, "33" * 32


@pytest.fixture
def proof_file(dccn: Any, tmp_path: Path) -> Path:
    out = tmp_path / "proof.cbor"
    where = ("--beacon", BEACON, "--open-beacon", OPEN_BEACON, "--device", DEVICE, "--gpu", "cpu")
    result = dccn("proof", "pog", "prove", "--profile", "test", *where, "--rows", "64", "--out", str(out), "--json")
    assert result.code == 0 and result.document["opened"] == 16
    return out


def test_a_proof_that_was_made_is_accepted(dccn: Any, proof_file: Path) -> None:
    result = dccn("proof", "pog", "verify", str(proof_file), "--json")
    assert result.code == 0 and result.document == {"ok": True, "rows_checked": 16, "reason": None}


def test_a_changed_entry_is_found(dccn: Any, proof_file: Path) -> None:
    data = bytearray(proof_file.read_bytes())
    data[data.index(b"\x59\x01\x00") + 5] ^= 1  # within the first opened row: a byte string of 256 bytes
    result = dccn("proof", "pog", "verify", "-", "--json", stdin=bytes(data))
    assert result.code == 1 and result.document["ok"] is False and "pog_wrong" in result.document["reason"]


@pytest.mark.parametrize("broken", [b"", b"nonsense", b"\x80", bytes(5000)])
def test_what_is_no_proof_is_malformed(dccn: Any, broken: bytes) -> None:
    result = dccn("proof", "pog", "verify", "-", "--json", stdin=broken)
    assert result.code == 2 and result.document["ok"] is False and result.document["rows_checked"] == 0


def test_a_truncated_proof_is_malformed(dccn: Any, proof_file: Path) -> None:
    assert dccn("proof", "pog", "verify", "-", stdin=proof_file.read_bytes()[:-1]).code == 2


def test_too_few_rows_are_refused_before_any_work(dccn: Any, tmp_path: Path) -> None:
    where = ("--beacon", BEACON, "--open-beacon", OPEN_BEACON, "--device", DEVICE)
    result = dccn("proof", "pog", "prove", *where, "--rows", "3", "--out", str(tmp_path / "x"))
    assert result.code == 2 and "pog_malformed" in result.err and not (tmp_path / "x").exists()


def test_a_bench_says_that_it_stays_offline(dccn: Any) -> None:
    assert dccn("proof", "bench").code == 2
    result = dccn("proof", "bench", "--dry-run", "--profile", "test", "--window-ms", "500", "--json")
    assert result.code == 0 and result.document["evidence_level"] == 1 and result.document["tera_ops"] > 0


def test_vrf_proves_what_rfc_9381_prints(dccn: Any) -> None:
    secret = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
    public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    proved = dccn("vrf", "prove", "--secret", secret, "--alpha", "", "--json").document
    assert proved["pi"].startswith("8657106690b5526245a92b003bb079ccd1a92130477671f6fc01ad16f26f723f")
    verified = dccn("vrf", "verify", "--public", public, "--alpha", "", "--pi", proved["pi"], "--json")
    assert verified.code == 0 and verified.document == {"ok": True, "beta": proved["beta"]}
    other = dccn("vrf", "verify", "--public", public, "--alpha", "00", "--pi", proved["pi"], "--json")
    assert other.code == 1 and other.document == {"ok": False, "beta": None}


@pytest.mark.parametrize("secret", ["", "zz", "11" * 31])
def test_vrf_refuses_a_key_of_another_size(dccn: Any, secret: str) -> None:
    result = dccn("vrf", "prove", "--secret", secret, "--alpha", "00")
    assert result.code == 2 and "--secret" in result.err
