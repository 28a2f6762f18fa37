"""Ways to pass for a machine that booted a known image; each is refused with its reason, and the level never rises."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest

from appliance.agent.tpm.attestation_key import AttestationKey
from appliance.agent.tpm.tools import Tpm
from chain.crypto.keys import PrivateKey
from chain.errors import DccnError, Faulty, Refused
from chain.wire import cose
from fleet.hub.attestation.challenges import LIFETIME_MS
from fleet.hub.attestation.images import known_images
from fleet.hub.attestation.judgement import judge
from fleet.protocol.attestation import (
    ATTESTATION_ANSWER_TAG,
    ATTESTATION_TAG,
    BEGIN_PATH,
    PROVE_PATH,
    Begin,
    Challenge,
    Proof,
    quote_nonce,
)
from tests import swtpm
from tests.attesting import RECORD_KEY, AttestingHub, Machine, attesting_hub, machine
from tests.measured_boot import Boot, boot_of, some_image

IMAGE = some_image()
FLIPS = 400


@dataclass
class Attacker:
    """Whoever owns the box: root on it, its TPM at hand, and a second TPM beside it."""

    hub: AttestingHub
    box: Machine
    tpm: Tpm
    key: AttestationKey
    other: AttestationKey

    def begin(self, **changes: object) -> Challenge:
        """Ask for a challenge, with some of the request replaced."""
        device = self.box.identity.device
        honest = Begin(device, self.key.endorsement, self.key.certificate, self.key.public, self.hub.nonce())
        return Challenge.from_body(self.ask(BEGIN_PATH, replace(honest, **changes).body()))  # type: ignore[arg-type]

    def proof(self, challenge: Challenge, **changes: object) -> Proof:
        """What an honest agent answers, with some of it replaced."""
        assert self.box.identity.tpm_key is not None
        quote = self.key.quote(quote_nonce(challenge.nonce, RECORD_KEY))
        honest = Proof(
            self.box.identity.device,
            challenge.challenge,
            self.key.activate(challenge),
            RECORD_KEY,
            self.box.identity.tpm_key.public_area(),
            *self.key.certify(self.box.identity.tpm_key),
            quote.statement,
            quote.signature,
            quote.pcrs,
            self.box.boot.log,
        )
        return replace(honest, **changes)  # type: ignore[arg-type]

    def prove(self, proof: Proof) -> object:
        return self.ask(PROVE_PATH, proof.body())

    def ask(self, path: str, body: list[object], key: PrivateKey | None = None) -> object:
        identity = self.box.identity
        signed = cose.sign(key or identity.key, identity.kid, body, ATTESTATION_TAG, "")
        answer = cose.open_envelope(self.hub.post_cose(path, signed))
        assert answer.verify(self.hub.hub.identity.keys.command.public, ATTESTATION_ANSWER_TAG, "")
        return answer.body

    @property
    def level(self) -> int:
        return self.hub.line(self.box.identity).evidence_level


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tpms")
    return swtpm.manufactured(folder / "own"), swtpm.manufactured(folder / "other")


@pytest.fixture(scope="module")
def tcti(states: tuple[Path, Path]) -> Iterator[str]:
    with swtpm.running(states[0]) as tcti:
        boot_of(IMAGE).replay_into(tcti)
        yield tcti


@pytest.fixture(scope="module")
def attacker(states: tuple[Path, Path], tcti: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacker]:
    folder = tmp_path_factory.mktemp("attacker")
    boot = Boot()
    with swtpm.running(states[1]) as second, attesting_hub(folder / "hub") as hub:
        hub.knows(IMAGE)
        hub.trusts(swtpm.maker_certificate())
        box = machine(folder, tcti, boot, hub)
        box.boot.steps += boot_of(IMAGE).steps  # they are in the registers already
        boot_of(IMAGE).replay_into(second)
        yield Attacker(hub, box, Tpm(tcti), AttestationKey(Tpm(tcti)), AttestationKey(Tpm(second)))


def test_the_honest_machine_beside_all_attacks_is_believed(attacker: Attacker) -> None:
    assert attacker.box.attestation.attest().manufacturer == swtpm.MAKER
    assert attacker.level == 3


Attack = Callable[[Attacker], object]


def replayed_proof(it: Attacker) -> object:
    proof = it.proof(it.begin())
    it.prove(proof)
    return it.prove(proof)


def quote_of_yesterday(it: Attacker) -> object:
    old = it.key.quote(quote_nonce(it.begin().nonce, RECORD_KEY))
    return it.prove(it.proof(it.begin(), quote=old.statement, quote_signature=old.signature))


def quote_without_a_nonce(it: Attacker) -> object:
    empty = it.key.quote(b"\0" * 32)
    return it.prove(it.proof(it.begin(), quote=empty.statement, quote_signature=empty.signature))


def quote_for_the_record_key_of_a_clean_boot(it: Attacker) -> object:
    """Booted our image, got its quote, and wants records signed by a key of its own to count."""
    return it.prove(it.proof(it.begin(), record_public=b"m" * 32))


def quote_by_a_clean_machine_next_door(it: Attacker) -> object:
    challenge = it.begin()
    theirs = it.other.quote(quote_nonce(challenge.nonce, RECORD_KEY))
    stolen = {"quote": theirs.statement, "quote_signature": theirs.signature, "pcrs": theirs.pcrs}
    return it.prove(it.proof(challenge, **stolen))


def challenge_opened_next_door(it: Attacker) -> object:
    """Endorsement key next door, attestation key here: neither TPM opens that."""
    honest = it.proof(it.begin())
    challenge = it.begin(endorsement=it.other.endorsement, certificate=it.other.certificate)
    for key in (it.key, it.other):
        with pytest.raises(Faulty, match="tpm_failed"):
            key.activate(challenge)
    return it.prove(replace(honest, challenge=challenge.challenge, secret=b"?" * 32))


def guessed_secret(it: Attacker) -> object:
    return it.prove(it.proof(it.begin(), secret=bytes(32)))


def challenge_of_another_time(it: Attacker) -> object:
    proof = it.proof(it.begin())
    it.hub.clock.ms += LIFETIME_MS + 1
    return it.prove(proof)


def certification_of_another_key(it: Attacker) -> object:
    context = it.tpm.path("more.ctx")
    template = ("-C", "o", "-G", "ecc256:ecdsa-sha256:null", "-a", "fixedtpm|fixedparent|sensitivedataorigin|sign|noda")
    it.tpm.run("createprimary", *template, "-c", context)
    assert it.box.identity.tpm_key is not None
    fake = type("Key", (), {"context": context})
    statement, signature = it.key.certify(fake)  # type: ignore[arg-type]
    return it.prove(it.proof(it.begin(), certification=statement, certification_signature=signature))


def quote_in_place_of_a_certification(it: Attacker) -> object:
    challenge = it.begin()
    quote = it.key.quote(quote_nonce(challenge.nonce, RECORD_KEY))
    swapped = {"certification": quote.statement, "certification_signature": quote.signature}
    return it.prove(it.proof(challenge, **swapped))


def certification_in_place_of_a_quote(it: Attacker) -> object:
    proof = it.proof(it.begin())
    return it.prove(replace(proof, quote=proof.certification, quote_signature=proof.certification_signature))


def identity_in_a_file(it: Attacker) -> object:
    """The area of a key outside, written as a TPM would; the TPM's word is about another name."""
    point = PrivateKey.from_secret("p256", b"\7" * 32).public
    assert it.box.identity.tpm_key is not None
    area = it.box.identity.tpm_key.public_area()
    return it.prove(it.proof(it.begin(), identity=area[:-68] + b"\0\x20" + point.x + b"\0\x20" + point.y))


def wishful_registers(it: Attacker) -> object:
    pcrs = list(it.key.quote(b"n" * 32).pcrs)
    pcrs[2] = some_image("another").pcr11
    return it.prove(it.proof(it.begin(), pcrs=tuple(pcrs)))


def fewer_registers(it: Attacker) -> object:
    return it.prove(it.proof(it.begin(), pcrs=it.key.quote(b"n" * 32).pcrs[:3]))


def quote_without_the_command_line(it: Attacker) -> object:
    return _selective_quote(it, "sha256:4,7,11")


def quote_of_more_registers(it: Attacker) -> object:
    return _selective_quote(it, "sha256:4,7,11,12,16")


def quote_of_the_weak_bank(it: Attacker) -> object:
    return _selective_quote(it, "sha1:4,7,11,12+sha256:4,7,11,12")


def _selective_quote(it: Attacker, selection: str) -> object:
    challenge = it.begin()
    statement, signature = it.tpm.path("s"), it.tpm.path("s.signature")
    what = ("-l", selection, "-q", quote_nonce(challenge.nonce, RECORD_KEY).hex(), "-g", "sha256")
    it.tpm.run("quote", "-c", it.key._context, *what, "-m", statement, "-s", signature)
    changes = {"quote": statement.read_bytes(), "quote_signature": signature.read_bytes()}
    return it.prove(it.proof(challenge, **changes))


def no_event_log(it: Attacker) -> object:
    return it.prove(it.proof(it.begin(), event_log=b""))


def event_log_of_another_boot(it: Attacker) -> object:
    return it.prove(it.proof(it.begin(), event_log=boot_of(IMAGE, secure_boot=True).log))


def event_log_without_its_last_program(it: Attacker) -> object:
    shorter = Boot(it.box.boot.steps[:-1])
    return it.prove(it.proof(it.begin(), event_log=shorter.log))


def unrestricted_attestation_key(it: Attacker) -> object:
    """The identity key signs anything, a made-up quote too: it must never be taken for an attestation key."""
    assert it.box.identity.tpm_key is not None
    return it.begin(attestation_key=it.box.identity.tpm_key.public_area())


def quote_signed_by_the_identity_key(it: Attacker) -> object:
    challenge = it.begin()
    honest = it.key.quote(quote_nonce(challenge.nonce, RECORD_KEY)).statement
    signature = it.box.identity.key.sign(honest)
    packed = struct.pack(">HHH", 0x18, 0xB, 32) + signature[:32] + struct.pack(">H", 32) + signature[32:]
    return it.prove(it.proof(challenge, quote=honest, quote_signature=packed))


def attestation_key_for_an_endorsement_key(it: Attacker) -> object:
    return it.begin(endorsement=it.key.public)


def certificate_of_the_tpm_next_door(it: Attacker) -> object:
    return it.begin(certificate=it.other.certificate)


def request_signed_by_a_stranger(it: Attacker) -> object:
    begin = Begin(it.box.identity.device, it.key.endorsement, None, it.key.public, it.hub.nonce())
    return it.ask(BEGIN_PATH, begin.body(), PrivateKey.from_secret("p256", b"\7" * 32))


def replayed_request_for_a_challenge(it: Attacker) -> object:
    begin = Begin(it.box.identity.device, it.key.endorsement, None, it.key.public, it.hub.nonce())
    it.ask(BEGIN_PATH, begin.body())
    return it.ask(BEGIN_PATH, begin.body())


ATTACKS: dict[Attack, str] = {
    replayed_proof: "is open: it was answered",
    quote_of_yesterday: "another nonce",
    quote_without_a_nonce: "another nonce",
    quote_for_the_record_key_of_a_clean_boot: "another nonce or record key",
    quote_by_a_clean_machine_next_door: "not signed by this attestation key",
    challenge_opened_next_door: "did not open the challenge",
    guessed_secret: "did not open the challenge",
    challenge_of_another_time: "five minutes",
    certification_of_another_key: "names another key",
    quote_in_place_of_a_certification: "of kind",
    certification_in_place_of_a_quote: "of kind",
    identity_in_a_file: "another key than the device's identity",
    wishful_registers: "not those that the TPM signed",
    fewer_registers: "registers",
    quote_without_the_command_line: r"registers \[4, 7, 11\] are quoted",
    quote_of_more_registers: "are quoted",
    quote_of_the_weak_bank: "one bank",
    no_event_log: "event log",
    event_log_of_another_boot: "does not lead to the quoted register 7",
    event_log_without_its_last_program: "does not lead to the quoted register 4",
    unrestricted_attestation_key: "attributes",
    quote_signed_by_the_identity_key: "not signed by this attestation key",
    attestation_key_for_an_endorsement_key: "not a restricted decryption key",
    certificate_of_the_tpm_next_door: "for another key",
    request_signed_by_a_stranger: "bad_signature",
    replayed_request_for_a_challenge: "used before",
}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_the_attack_is_refused_with_its_reason(attacker: Attacker, attack: Attack) -> None:
    with pytest.raises(Refused, match=ATTACKS[attack]):
        attack(attacker)


def test_no_attack_keeps_the_level_that_an_honest_quote_earned(attacker: Attacker) -> None:
    attacker.box.attestation.attest()
    with pytest.raises(Refused):
        guessed_secret(attacker)
    assert attacker.level == 0
    attacker.box.attestation.attest()
    assert attacker.level == 3


def test_a_restricted_key_signs_no_statement_that_its_tpm_did_not_make(attacker: Attacker) -> None:
    """What all of it rests on, asked of the TPM itself."""
    made_up = attacker.key.quote(b"n" * 32).statement
    digest = attacker.tpm.write("made-up.digest", hashlib.sha256(made_up).digest())
    with pytest.raises(Faulty, match="tpm_failed"):
        attacker.tpm.run(
            "sign", "-c", attacker.key._context, "-g", "sha256", "-d", digest, "-o", attacker.tpm.path("x")
        )


def test_no_flipped_bit_of_a_proof_is_believed(attacker: Attacker) -> None:
    """Hundreds of bits in all fields: refused with a code, or (where the log only explains) judged the same."""
    random = Random(7)
    challenge = attacker.begin()
    opened = attacker.hub.hub.attestation.take(attacker.box.identity.device, challenge.challenge)
    proof = attacker.proof(challenge)
    images = known_images(attacker.hub.hub.settings.images_folder)
    honest = judge(proof, opened, attacker.box.identity.public, images, None)
    refused = 0
    names = (
        "secret",
        "record_public",
        "identity",
        "certification",
        "certification_signature",
        "quote",
        "quote_signature",
        "event_log",
    )
    for number in range(FLIPS):
        name = names[number % len(names)]
        changed = bytearray(getattr(proof, name))
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
        try:
            judged = judge(
                replace(proof, **{name: bytes(changed)}),
                opened,
                attacker.box.identity.public,
                images,
                None,  # type: ignore[arg-type]
            )
        except Refused:
            refused += 1
            continue
        assert name == "event_log", f"a changed bit of {name} was believed"
        assert replace(judged, secure_boot=honest.secure_boot) == honest
    assert refused >= FLIPS * 7 // 8


def test_hostile_bytes_to_both_requests_are_refused_with_a_code(attacker: Attacker) -> None:
    random = Random(8)
    bodies = [attacker.proof(attacker.begin()).body(), ["atb1"], [], None, "atp1", {1: 2}, ["atp1"] * 11]
    for _ in range(60):
        body = random.choice(bodies)
        if isinstance(body, list) and body:
            body = list(body)
            body[random.randrange(len(body))] = random.choice([None, b"", b"x" * 5_000, -1, "text", [], {}, 2**70])
        for path in (BEGIN_PATH, PROVE_PATH):
            with pytest.raises(DccnError):
                attacker.ask(path, body)  # type: ignore[arg-type]
