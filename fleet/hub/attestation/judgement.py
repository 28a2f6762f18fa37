"""Whether a proof shows a known image on a TPM that holds the device's identity key; if not, why, in one sentence."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from chain.crypto.keys import PublicKey
from chain.errors import Refused
from chain.proofs.key_ids import record_key_id
from fleet.hub.attestation import event_log
from fleet.hub.attestation.challenges import Opened
from fleet.hub.attestation.event_log import Event
from fleet.hub.attestation.public_area import PublicArea, identity_key
from fleet.hub.attestation.statements import CERTIFY, QUOTE, open_statement
from fleet.protocol.attestation import QUOTED_PCRS, Proof, quote_nonce
from fleet.protocol.measured_image import MeasuredImage

LOGGED_PCRS: Final = (4, 7, 12)
"""Those that only the event log explains; 11 is predicted whole."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A boot that is believed: of which image, with what in register 7, and whether Secure Boot was on."""

    image: MeasuredImage
    pcr7: bytes
    pcr_digest: bytes
    record_key: bytes
    secure_boot: bool
    resets: int


def judge(
    proof: Proof,
    opened: Opened,
    identity: PublicKey,
    images: Sequence[MeasuredImage],
    pinned_pcr7: bytes | None,
) -> Judgement:
    """Raises Malformed and Refused: `attestation_invalid` when this is not the device's TPM speaking now,
    `boot_unknown` when it is, and says that something else was started than an image known here.
    """
    pcrs, digest, resets = _speaks(proof, opened, identity)
    events = event_log.parse(proof.event_log)
    for pcr in LOGGED_PCRS:
        if event_log.replay(events, pcr) != pcrs[pcr]:
            raise Refused("attestation_invalid", f"the event log does not lead to the quoted register {pcr}")
    image = _image(pcrs[11], events, images)
    _check_command_line(events, image)
    _check_applications(events, image, images)
    if pinned_pcr7 is not None and pinned_pcr7 != pcrs[7]:
        raise Refused(
            "boot_unknown",
            f"the state of Secure Boot (register 7) is {pcrs[7].hex()[:16]}…, at enrolment it was "
            f"{pinned_pcr7.hex()[:16]}…: its keys, or whether it is on, were changed",
        )
    return Judgement(image, pcrs[7], digest, record_key_id(proof.record_public), event_log.secure_boot(events), resets)


def _speaks(proof: Proof, opened: Opened, identity: PublicKey) -> tuple[dict[int, bytes], bytes, int]:
    """The quoted registers, their digest and the TPM's count of resets, once the quote is known to be this TPM's."""
    if not hmac.compare_digest(proof.secret, opened.secret):
        raise Refused("attestation_invalid", "the TPM did not open the challenge: these keys are not in one TPM")
    if identity_key(proof.identity) != identity:
        raise Refused("attestation_invalid", "the TPM vouches for another key than the device's identity")
    certified = open_statement(proof.certification, proof.certification_signature, opened.key, CERTIFY)
    if certified.name != PublicArea.parse(proof.identity).name:
        raise Refused("attestation_invalid", "the certification names another key than the device's identity")
    quote = open_statement(proof.quote, proof.quote_signature, opened.key, QUOTE)
    if not hmac.compare_digest(quote.extra, quote_nonce(opened.nonce, proof.record_public)):
        raise Refused("attestation_invalid", "the quote is over another nonce or record key than this challenge's")
    if quote.pcrs != QUOTED_PCRS or len(proof.pcrs) != len(QUOTED_PCRS):
        raise Refused("attestation_invalid", f"registers {list(quote.pcrs)} are quoted, not {list(QUOTED_PCRS)}")
    if hashlib.sha256(b"".join(proof.pcrs)).digest() != quote.pcr_digest:
        raise Refused("attestation_invalid", "the registers sent are not those that the TPM signed")
    return dict(zip(QUOTED_PCRS, proof.pcrs, strict=True)), quote.pcr_digest, quote.resets


def _image(pcr11: bytes, events: Sequence[Event], images: Sequence[MeasuredImage]) -> MeasuredImage:
    found = next((image for image in images if image.pcr11 == pcr11), None)
    if found is not None:
        return found
    if pcr11 == bytes(32):
        raise Refused("boot_unknown", "register 11 is empty: no unified kernel image was started through its stub")
    why = f"register 11 is {pcr11.hex()[:16]}…, of none of the {len(images)} images known here"
    nearest = _nearest(_sections(events), images)
    if nearest is not None:
        image, differing = nearest
        why = f"this is the image {image.name}, but for its {', '.join(differing)}"
    raise Refused("boot_unknown", why)


def _sections(events: Sequence[Event]) -> dict[str, bytes]:
    """What the stub measured: the section's name, then its content; only to explain a refusal."""
    mine = [event for event in events if event.pcr == 11 and event.kind == event_log.IPL]
    named = zip(mine[::2], mine[1::2], strict=False)
    return {_text(name.data): content.digest for name, content in named}


def _nearest(sections: dict[str, bytes], images: Sequence[MeasuredImage]) -> tuple[MeasuredImage, list[str]] | None:
    """The known image that shares most sections with this boot, if half of them, and those that differ."""
    best: tuple[MeasuredImage, list[str]] | None = None
    for image in images:
        names = sorted({*sections, *image.sections})
        differing = [name for name in names if sections.get(name) != image.sections.get(name)]
        if differing and len(differing) * 2 <= len(names) and (best is None or len(differing) < len(best[1])):
            best = image, differing
    return best


def _check_command_line(events: Sequence[Event], image: MeasuredImage) -> None:
    """Register 12 has what the boot loader handed over: nothing, or the image's own command line."""
    for event in events:
        if event.pcr == 12 and event.kind != event_log.NO_ACTION and event.digest != image.command_line_digest:
            shown = f": {_text(event.data)[:200]!r}" if event.is_of_its_data else ""
            raise Refused("boot_unknown", f"the kernel's command line is not that of the image {image.name}{shown}")


def _check_applications(events: Sequence[Event], image: MeasuredImage, images: Sequence[MeasuredImage]) -> None:
    """Register 4 has a boot loader of any image known, then this image's kernel, and no other program."""
    loaders = {each.applications["boot_loader"] for each in images}
    mine = {image.applications["kernel_image"], image.applications["kernel"]}
    started = [event.digest for event in events if event.pcr == 4 and event.kind == event_log.BOOT_SERVICES_APPLICATION]
    for number, digest in enumerate(started):
        if digest not in loaders | mine:
            raise Refused(
                "boot_unknown", f"program {number + 1} that the firmware started, {digest.hex()[:16]}…, is not ours"
            )
    if image.applications["kernel_image"] not in started:
        raise Refused("boot_unknown", f"the firmware did not start the kernel image of {image.name}")


def _text(data: bytes) -> str:
    """UTF-16 where every other byte is zero, as UEFI writes it, else ASCII."""
    wide = len(data) > 1 and not any(data[1::2])
    return data.decode("utf-16-le" if wide else "ascii", "replace").rstrip("\0")
