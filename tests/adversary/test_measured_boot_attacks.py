"""Other systems that pass for a known image: what the firmware measured tells each of them from it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from chain.errors import Refused
from fleet.protocol.measured_image import MeasuredImage
from tests import swtpm
from tests.attesting import attesting_hub, machine
from tests.measured_boot import APPLICATION, Boot, boot_of, some_image

IMAGE = some_image()

BOOTS: dict[str, tuple[Callable[[], Boot], str]] = {}


def a_boot(reason: str) -> Callable[[Callable[[], Boot]], Callable[[], Boot]]:
    def note(make: Callable[[], Boot]) -> Callable[[], Boot]:
        BOOTS[make.__name__] = (make, reason)
        return make

    return note


@a_boot("this is the image test 1, but for its .cmdline")
def another_command_line_in_the_kernel_image() -> Boot:
    return boot_of(_variant(".cmdline"))


@a_boot("this is the image test 1, but for its .linux")
def another_kernel() -> Boot:
    return boot_of(_variant(".linux"))


@a_boot("command line is not that of the image test 1: .*init=/bin/sh")
def another_command_line_by_the_boot_loader() -> Boot:
    return boot_of(IMAGE, command_line=IMAGE.command_line + " init=/bin/sh")


@a_boot("register 11 is [0-9a-f]+…, of none of the 1 images")
def another_image() -> Boot:
    other = some_image("unknown")
    sections = {name: hashlib.sha256(name.encode()).digest() for name in other.sections}
    return boot_of(_adding_up(replace(other, sections=sections)))


@a_boot("register 11 is empty")
def an_ordinary_linux() -> Boot:
    boot = boot_of(IMAGE)
    boot.steps = [step for step in boot.steps if step[0] != 11]
    return boot


@a_boot("program 1 .* is not ours")
def a_shell_before_the_boot_loader() -> Boot:
    boot = boot_of(IMAGE)
    boot.steps.insert(0, (4, APPLICATION, b"s" * 32, b"shell"))
    return boot


@a_boot("did not start the kernel image of test 1")
def a_boot_loader_that_plays_the_kernel_image() -> Boot:
    boot = boot_of(IMAGE)
    boot.steps = [step for step in boot.steps if step[2] != IMAGE.applications["kernel_image"]]
    return boot


@pytest.mark.parametrize("name", BOOTS)
def test_an_untrue_boot_is_told_from_a_true_one(tmp_path: Path, name: str) -> None:
    make, reason = BOOTS[name]
    boot = make()
    with swtpm.running(swtpm.manufactured(tmp_path)) as tcti, attesting_hub(tmp_path / "hub") as hub:
        hub.knows(IMAGE)
        box = machine(tmp_path, tcti, boot, hub)
        with pytest.raises(Refused, match=f"boot_unknown: .*{reason}"):
            box.attestation.attest()
        assert hub.line(box.identity).evidence_level == 0


def _variant(section: str) -> MeasuredImage:
    """The image with one section changed by somebody who has its other parts."""
    return _adding_up(replace(IMAGE, sections={**IMAGE.sections, section: b"v" * 32}))


def _adding_up(image: MeasuredImage) -> MeasuredImage:
    return replace(image, pcr11=boot_of(image).register(11))
