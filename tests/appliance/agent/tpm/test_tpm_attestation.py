"""From the emulated TPM to the hub's page: a quote that is believed, and what makes the level fall."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import insert

from appliance.agent.tpm.measured_boot import pcr_digest
from chain.crypto.keys import PrivateKey
from chain.errors import Refused
from chain.proofs.key_ids import record_key_id
from chain.proofs.records import Record, sign_record
from fleet.hub.actions.attestation import do_trust_boot_state
from fleet.hub.actions.events import RecordsAccepted
from fleet.hub.store.tables import record_chains, records
from fleet.protocol.attestation import ATTESTED_FOR_MS
from tests import swtpm
from tests.attesting import RECORD_KEY, AttestingHub, machine
from tests.measured_boot import VARIABLE, boot_of, some_image, uefi_variable
from tests.waiting import wait_until

IMAGE = some_image()


@pytest.mark.parametrize("secure_boot", [False, True])
def test_a_boot_of_a_known_image_is_believed_at_level_3(
    tcti: str, home: Path, attesting: AttestingHub, secure_boot: bool
) -> None:
    attesting.knows(IMAGE)
    attesting.trusts(swtpm.maker_certificate())
    box = machine(home, tcti, boot_of(IMAGE, secure_boot=secure_boot), attesting)
    assert attesting.line(box.identity).evidence_level == 0
    attested = box.attestation.attest()
    assert (attested.image, attested.manufacturer, attested.secure_boot) == (IMAGE.name, swtpm.MAKER, secure_boot)
    line = attesting.line(box.identity)
    assert line.evidence_level == 3
    assert line.attestation is not None
    assert (line.attestation.believed, line.attestation.reason) == (True, None)


def test_a_tpm_of_an_unknown_maker_is_accepted_and_shown_as_unproven(
    tcti: str, home: Path, attesting: AttestingHub
) -> None:
    attesting.knows(IMAGE)
    box = machine(home, tcti, boot_of(IMAGE), attesting)
    assert box.attestation.attest().manufacturer is None
    line = attesting.line(box.identity)
    assert line.evidence_level == 3
    assert line.attestation is not None
    assert line.attestation.manufacturer is None


def test_a_quote_counts_for_a_day_and_then_the_level_falls_and_says_why(
    tcti: str, home: Path, attesting: AttestingHub
) -> None:
    attesting.knows(IMAGE)
    box = machine(home, tcti, boot_of(IMAGE), attesting)
    box.attestation.attest()
    attesting.clock.ms += ATTESTED_FOR_MS - 1
    assert attesting.line(box.identity).evidence_level == 3
    attesting.clock.ms += 1
    line = attesting.line(box.identity)
    assert line.evidence_level == 0
    assert line.attestation is not None
    assert "more than a day old" in str(line.attestation.reason)


def test_a_changed_command_line_is_refused_and_the_level_falls(
    state: Path, home: Path, attesting: AttestingHub
) -> None:
    attesting.knows(IMAGE)
    with swtpm.running(state) as tcti:
        machine(home, tcti, boot_of(IMAGE), attesting).attestation.attest()
    with swtpm.running(state) as tcti:
        boot = boot_of(IMAGE, command_line=IMAGE.command_line + " init=/bin/sh")
        box = machine(home, tcti, boot, attesting, known=True)
        with pytest.raises(Refused, match=r"boot_unknown: .*command line .* init=/bin/sh"):
            box.attestation.attest()
    line = attesting.line(box.identity)
    assert line.evidence_level == 0
    assert line.attestation is not None
    assert "init=/bin/sh" in str(line.attestation.reason)


def test_changed_keys_of_secure_boot_are_refused_until_the_admin_trusts_them(
    state: Path, home: Path, attesting: AttestingHub
) -> None:
    attesting.knows(IMAGE)
    with swtpm.running(state) as tcti:
        machine(home, tcti, boot_of(IMAGE, secure_boot=True), attesting).attestation.attest()
    with swtpm.running(state) as tcti:
        boot = boot_of(IMAGE, secure_boot=True)
        boot.measure(7, VARIABLE, uefi_variable("db", b"another key"))
        box = machine(home, tcti, boot, attesting, known=True)
        with pytest.raises(Refused, match=r"Secure Boot \(register 7\)"):
            box.attestation.attest()
        do_trust_boot_state(attesting.hub.desk, box.identity.topic_id)
        assert box.attestation.attest().image == IMAGE.name


def test_an_update_to_another_known_image_keeps_the_level(state: Path, home: Path, attesting: AttestingHub) -> None:
    newer = some_image("test 2", "ro quiet dccn.roothash=01")
    attesting.knows(IMAGE)
    attesting.knows(newer)
    with swtpm.running(state) as tcti:
        machine(home, tcti, boot_of(IMAGE), attesting).attestation.attest()
    with swtpm.running(state) as tcti:
        box = machine(home, tcti, boot_of(newer), attesting, known=True)
        assert box.attestation.attest().image == "test 2"


def test_one_tpm_vouches_for_its_latest_device(
    state: Path, home: Path, tmp_path: Path, attesting: AttestingHub
) -> None:
    attesting.knows(IMAGE)
    with swtpm.running(state) as tcti:
        first = machine(home, tcti, boot_of(IMAGE), attesting)
        first.attestation.attest()
        swtpm.clear(tcti)  # a new identity, the same endorsement key
    with swtpm.running(state) as tcti:
        second = machine(tmp_path, tcti, boot_of(IMAGE), attesting)
        second.attestation.attest()
    assert first.identity.device != second.identity.device
    assert [attesting.line(box.identity).evidence_level for box in (first, second)] == [0, 3]
    told = attesting.line(first.identity).attestation
    assert told is not None
    assert second.identity.topic_id in str(told.reason)


def test_delegations_name_the_boot_as_quotes_do(tcti: str, home: Path, attesting: AttestingHub) -> None:
    attesting.knows(IMAGE)
    box = machine(home, tcti, boot_of(IMAGE), attesting)
    box.attestation.attest()
    assert box.identity.tpm_key is not None
    with attesting.hub.desk.store.read() as connection:
        (stored,) = connection.exec_driver_sql("SELECT pcr_digest FROM attestations").one()
    assert stored == pcr_digest(box.identity.tpm_key.tpm)


def test_records_by_a_key_that_no_quote_vouches_for_end_the_level(
    tcti: str, home: Path, attesting: AttestingHub
) -> None:
    """Who boots our image, has it quoted, and boots something else that goes on signing, is seen at the next record."""
    attesting.knows(IMAGE)
    box = machine(home, tcti, boot_of(IMAGE), attesting)
    box.attestation.attest()
    device, levels = box.identity.topic_id, []
    for key in (RECORD_KEY, b"another boot's key".ljust(32), RECORD_KEY):
        kid = record_key_id(key).hex()
        attesting.hub.board.note(RecordsAccepted(at_ms=1, device=device, count=1, upto_seq=1, record_key=kid))
        levels.append(attesting.line(box.identity).evidence_level)
    assert levels == [3, 0, 3]


def test_a_hub_that_starts_again_remembers_whose_records_came_last(
    tcti: str, home: Path, attesting: AttestingHub
) -> None:
    attesting.knows(IMAGE)
    box = machine(home, tcti, boot_of(IMAGE), attesting)
    box.attestation.attest()
    key = PrivateKey.from_secret("ed25519", b"another boot's key".ljust(32))
    record = Record(box.identity.device, b"c" * 16, 0, bytes(32), b"b" * 16, 0, 60_000, {})
    chain = {"device": record.device, "chain": record.chain}
    row = {"received_ms": 1, "reward_epoch": 0, "payload_hash": b"h" * 32}
    with attesting.hub.desk.store.begin() as connection:
        connection.execute(insert(record_chains).values(**chain, next_seq=1, head_hash=b"h" * 32, started_ms=1))
        connection.execute(insert(records).values(**chain, seq=0, raw=sign_record(record, key, "dccn-test"), **row))
    assert attesting.line(box.identity).evidence_level == 3
    attesting.hub.board.follow(attesting.hub.desk.store, attesting.hub.desk.bus)
    assert attesting.line(box.identity).evidence_level == 0


def test_a_new_record_key_is_quoted_at_once(tcti: str, home: Path, attesting: AttestingHub) -> None:
    attesting.knows(IMAGE)
    box = machine(home, tcti, boot_of(IMAGE), attesting)
    keys = [b"1" * 32]
    box.attestation._record_public = lambda: keys[-1]
    stop = threading.Event()
    thread = threading.Thread(target=box.attestation.run, args=(stop,), daemon=True)
    thread.start()
    wait_until(lambda: len(box.judged) == 1, 60)
    box.attestation.wake()  # nothing new: no second quote
    keys.append(b"2" * 32)
    box.attestation.wake()
    wait_until(lambda: len(box.judged) == 2, 60)
    stop.set()
    box.attestation.wake()
    thread.join(10)
    assert not thread.is_alive()
    with attesting.hub.desk.store.read() as connection:
        (vouched,) = connection.exec_driver_sql("SELECT record_key FROM attestations").one()
    assert vouched == record_key_id(keys[-1])
