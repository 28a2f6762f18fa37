"""Each event as one line for a person: an icon's name, a tone, and a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from chain.errors import REGISTRY
from fleet.hub.actions import events as e
from fleet.hub.page.words import ankr, grouped, rate, short

Tone = Literal["good", "bad", "plain", "money"]


@dataclass(frozen=True, slots=True)
class Line:
    """`device` is the topic id of whom it is about, if anybody; `times` says how often it happened in a row."""

    at_ms: int
    tone: Tone
    text: str
    device: str | None
    times: int = 1


def lines(events: Sequence[e.HubEvent]) -> list[Line]:
    """Newest first, as they come; what repeats itself is said once, with the newest time."""
    told: list[Line] = []
    for entry in map(line, events):
        last = told[-1] if told else None
        if last is not None and (last.text, last.device) == (entry.text, entry.device):
            told[-1] = replace(last, times=last.times + 1)
        else:
            told.append(entry)
    return told


def line(event: e.HubEvent) -> Line:
    """The event in words."""
    tone, text = _words(event)
    return Line(event.at_ms, tone, text, getattr(event, "device", None))


def _words(event: e.HubEvent) -> tuple[Tone, str]:
    match event:
        case e.RecordsAccepted():
            noun = "work record" if event.count == 1 else "work records"
            return "plain", f"{grouped(event.count)} {noun} verified and stored, up to number {grouped(event.upto_seq)}"
        case e.MessageRefused():
            meaning = REGISTRY[event.code].meaning if event.code in REGISTRY else event.detail
            return "bad", f"Refused ({event.code}): {meaning}"
        case e.ContradictionSeen():
            return "bad", f"Two different records carry number {grouped(event.seq)}: the key is used twice"
        case e.PogRoundOpened():
            return "plain", f"Challenge of block {grouped(event.challenge_height)} is open ({event.profile} profile)"
        case e.PogChecked() if event.ok:
            return "good", f"Compute proven: {rate(event.operations_per_s)} ({_processor(event.gpu)})"
        case e.PogChecked():
            return "bad", f"Compute not proven ({event.code}, {_processor(event.gpu)})"
        case e.BatchSent():
            return "plain", f"Batch of reward epoch {grouped(event.reward_epoch)} sent: {grouped(event.count)} records"
        case e.BatchIncluded():
            return "good", f"Batch of reward epoch {grouped(event.reward_epoch)} is in block {grouped(event.height)}"
        case e.RewardsPaid():
            return "money", _paid(event)
        case e.LeafChallenged() | e.LeafShown() | e.LeafNotShown():
            return _dispute(event)
    return _life(event)


def _wiped(event: e.DeviceWiped) -> str:
    if event.phase == "after":
        return f"Its TPM signed again after the wipe ({event.method})"
    chain = "" if event.revoked_height is None else f", off the chain since block {grouped(event.revoked_height)}"
    return f"Signed that it wipes its data now ({event.method}){chain}"


def _dispute(event: e.LeafChallenged | e.LeafShown | e.LeafNotShown) -> tuple[Tone, str]:
    leaf = f"leaf {grouped(event.index)} of reward epoch {grouped(event.reward_epoch)}"
    match event:
        case e.LeafChallenged():
            asker = short(event.challenger, 10, 6)
            return "plain", f"{asker} asks to be shown {leaf}, in block {grouped(event.height)}"
        case e.LeafShown():
            total = f"{grouped(event.shown)} so far" if event.shown > 1 else "the first"
            return "money", f"Showed {leaf} in block {grouped(event.height)} and earned the bond ({total})"
        case e.LeafNotShown():
            return "bad", f"Could not show {leaf} ({event.code}): unless another did, its batch counts nothing"


def _life(event: e.HubEvent) -> tuple[Tone, str]:
    match event:
        case e.HubStarted():
            return "good", f"Hub {event.version} is up"
        case e.BrokerStarted():
            return "plain", f"The broker listens on port {event.port}"
        case e.BrokerStopped():
            return "bad", f"The broker ended and is started again: {event.reason}"
        case e.TokenCreated():
            return "plain", "An enrolment token was made"
        case e.ClaimBegun():
            return "plain", "A machine shows a claim code and waits for it to be typed here"
        case e.ClaimApproved():
            return "good", "The claim code was accepted"
        case e.DeviceEnrolled():
            return "good", ("Joined the fleet again" if event.again else "Joined the fleet") + f" by {event.by}"
        case e.CertificateIssued():
            return "plain", "Got a certificate for 24 hours" + (" (renewed)" if event.reason == "renew" else "")
        case e.RegistrationSponsored():
            return "plain", f"The hub paid the registration for {short(event.owner, 10, 6)}"
        case e.DeviceRegistered():
            return "good", f"Registered on the chain at height {grouped(event.height)}"
        case e.DecommissionAsked():
            return "plain", "Its end was asked for: it leaves the chain and wipes its data"
        case e.DeviceWiped():
            return "plain", _wiped(event)
        case e.DeviceOnline():
            return "good", "Online"
        case e.DeviceOffline():
            return "bad", "Offline: the connection was cut" if event.reason == "lwt" else f"Offline: {event.reason}"
        case e.DeviceReported():
            return "plain", "Told what it is made of"
        case e.DeviceAttested():
            maker = "its TPM" if event.manufacturer else "a TPM of an unproven manufacturer"
            return "good", f"Booted {event.image}, {maker} says" + (", under Secure Boot" if event.secure_boot else "")
        case e.AttestationRefused():
            return "bad", f"Attestation refused: {event.reason}"
        case e.UpdateAnnounced():
            noun = "machine was" if event.devices == 1 else "machines were"
            return "plain", f"{grouped(event.devices)} {noun} asked to look for a release"
        case e.AcceptanceReported():
            tests = f"{event.passed} passed, {event.failed} failed, {event.skipped} left out"
            return ("good" if event.is_passed else "bad"), f"Hardware tests ({event.level}): {tests}"
        case e.DeviceNotice():
            return ("bad" if event.level != "info" else "plain"), event.text
    return "plain", e.kind_of(event).replace("-", " ")


def _paid(event: e.RewardsPaid) -> str:
    if not event.rewards:
        return f"Reward epoch {grouped(event.reward_epoch)} is over; nothing was earned"
    shares = [f"{ankr(amount)} ANKR to {short(owner, 10, 6)}" for owner, amount in event.rewards.items()]
    more = f" and {len(shares) - 2} more" if len(shares) > 2 else ""
    return f"Reward epoch {grouped(event.reward_epoch)} paid {', '.join(shares[:2])}{more}"


def _processor(gpu: str) -> str:
    return "CPU" if gpu == "cpu" else short(gpu, 10, 4)
