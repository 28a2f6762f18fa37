"""TPM 2.0 emulators (swtpm) for tests: real engines with endorsement certificates of a maker of their own."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from chain.lifeline import spawn, stop

MAKER = "CN=swtpm-localca"
NEEDED = ("swtpm", "swtpm_setup", "tpm2")


@contextlib.contextmanager
def running(state: Path) -> Iterator[str]:
    """An emulator on this state (`manufactured`), switched on: its TCTI."""
    port = _pair_of_ports()
    process = spawn(
        [
            *("swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", "--flags", "not-need-init,startup-clear"),
            *("--server", f"type=tcp,bindaddr=127.0.0.1,port={port}"),
            *("--ctrl", f"type=tcp,bindaddr=127.0.0.1,port={port + 1}"),
        ]
    )
    try:
        _await(port)
        yield f"swtpm:host=127.0.0.1,port={port}"
    finally:
        stop(process, 5)


@contextlib.contextmanager
def soldered(state: Path) -> Iterator[tuple[str, ...]]:
    """An emulator for a machine in QEMU: what QEMU is told of it. It starts anew whenever the machine does."""
    with tempfile.TemporaryDirectory(prefix="dccn-swtpm-") as folder:
        control = Path(folder, "control")  # a socket's path is short, a test's folder is not
        process = spawn(
            ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", "--ctrl", f"type=unixio,path={control}"]
        )
        try:
            deadline = time.monotonic() + 10
            while not control.exists():
                assert time.monotonic() < deadline, "swtpm does not listen"
                time.sleep(0.02)
            yield (
                *("-chardev", f"socket,id=tpm,path={control}"),
                *("-tpmdev", "emulator,id=tpm,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm"),
            )
        finally:
            stop(process, 5)


def manufactured(folder: Path) -> Path:
    """The state of a new TPM with its endorsement certificate, no two alike."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    assert not missing, f"{', '.join(missing)} is missing: tools/setup/packages swtpm swtpm-tools tpm2-tools"
    state = folder / "tpm"
    state.mkdir(parents=True)
    authority = _authority()
    command = ["swtpm_setup", "--tpm2", "--tpmstate", str(state), "--create-ek-cert", "--config", str(authority)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return state


def forgives_nothing(state: Path) -> None:
    """One guess, and a power cut counts as one, closes this TPM for a day."""
    words = ("--setup-parameters", "--max-tries=1", "--recovery-time=86400", "--lockout-recovery-time=86400")
    with running(state) as tcti:
        subprocess.run(["tpm2", "dictionarylockout", *words], check=True, env={**os.environ, "TPM2TOOLS_TCTI": tcti})


def clear(tcti: str) -> None:
    """As the firmware's setup does it: the owner's seed is another then, the endorsement seed stays."""
    subprocess.run(["tpm2", "clear", "-c", "p"], check=True, env={**os.environ, "TPM2TOOLS_TCTI": tcti})


def maker_certificate() -> bytes:
    """The maker's certificate in PEM, as a hub's admin would get it from a vendor."""
    return (_authority().parent / "issuer.pem").read_bytes()


@functools.cache
def _authority() -> Path:
    """The configuration of `swtpm_setup` with a certificate authority of this test run."""
    folder = Path(_run_folder().name)
    options = {"statedir": folder, "signingkey": folder / "key.pem", "issuercert": folder / "issuer.pem"}
    lines = [f"{name} = {path}" for name, path in {**options, "certserial": folder / "serial"}.items()]
    (folder / "localca.conf").write_text("\n".join(lines) + "\n")
    (folder / "options.conf").write_text("--platform-manufacturer dccn\n--platform-version 1\n--platform-model test\n")
    setup = folder / "setup.conf"
    setup.write_text(
        "create_certs_tool = /usr/bin/swtpm_localca\n"
        f"create_certs_tool_config = {folder / 'localca.conf'}\n"
        f"create_certs_tool_options = {folder / 'options.conf'}\n"
    )
    return setup


@functools.cache
def _run_folder() -> tempfile.TemporaryDirectory[str]:
    """Gone when the tests are over."""
    return tempfile.TemporaryDirectory(prefix="dccn-swtpm-")


def _pair_of_ports() -> int:
    """The first of two free ports in a row: tpm2-tss takes the one after the server's for the control channel."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as first:
            port = int(first.getsockname()[1])
            with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port + 1)):
                return port


def _await(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, "swtpm does not listen"
            time.sleep(0.02)
