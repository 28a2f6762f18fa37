"""Debian's tpm2-tools as subprocesses: the one way in which the agent speaks to a TPM."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Final

from chain.errors import Faulty, Unavailable

DEVICE: Final = "device:"
RESOURCE_MANAGED: Final = "/dev/tpmrm"
TIMEOUT_S: Final = 90
LAST_WORDS: Final = 3


class Tpm:
    """One TPM, named by its TCTI: `device:/dev/tpmrm0`, or `swtpm:host=127.0.0.1,port=N` for an emulated one.

    Contexts and answers lie in a private folder that goes with the object. A TPM without a resource manager in front
    of it has room for three objects, so they are flushed after every command.
    """

    def __init__(self, tcti: str) -> None:
        self.tcti = tcti
        self._folder = tempfile.TemporaryDirectory(prefix="dccn-tpm-")
        self._flushes = RESOURCE_MANAGED not in tcti
        self._lock = threading.RLock()

    def path(self, name: str) -> Path:
        """A file of this TPM's folder."""
        return Path(self._folder.name, name)

    def write(self, name: str, content: bytes) -> Path:
        path = self.path(name)
        path.write_bytes(content)
        return path

    def run(self, tool: str, *arguments: str | Path) -> bytes:
        """`tpm2 TOOL ARGUMENTS` to the end; its stdout.

        Raises Unavailable `engine_missing` without tpm2-tools, Faulty `tpm_failed` with the last words otherwise.
        """
        with self._lock:
            try:
                return self._run([tool, *map(str, arguments)])
            finally:
                if self._flushes:
                    with contextlib.suppress(Faulty):  # what the command itself met is what counts
                        self._run(["flushcontext", "--transient-object"])

    def together(self) -> threading.RLock:
        """Hold this where several commands belong together."""
        return self._lock

    def _run(self, words: list[str]) -> bytes:
        environment = {**os.environ, "TPM2TOOLS_TCTI": self.tcti, "TSS2_LOG": "all+ERROR", "LC_ALL": "C.UTF-8"}
        try:
            done = subprocess.run(
                ["tpm2", *words], capture_output=True, env=environment, timeout=TIMEOUT_S, check=False
            )
        except FileNotFoundError:
            raise Unavailable("engine_missing", "speaking to the TPM takes the Debian package tpm2-tools") from None
        except subprocess.TimeoutExpired:
            raise Faulty("tpm_failed", f"the TPM at {self.tcti} did not end {words[0]} in {TIMEOUT_S} s") from None
        if done.returncode:
            said = " | ".join(done.stderr.decode("utf-8", "replace").strip().splitlines()[-LAST_WORDS:])
            raise Faulty("tpm_failed", f"the TPM at {self.tcti} refused {words[0]}: {said[:400]}")
        return done.stdout


def open_tpm(tcti: str | None) -> tuple[Tpm | None, str]:
    """The TPM, or None and why there is none to use."""
    if tcti is None:
        return None, "no TPM is named in the settings"
    device = tcti.removeprefix(DEVICE)
    if tcti.startswith(DEVICE) and not os.access(device, os.R_OK | os.W_OK):
        return None, f"{device} may not be opened" if Path(device).exists() else f"there is no {device}"
    if shutil.which("tpm2") is None:
        return None, "the package tpm2-tools is not installed"
    return Tpm(tcti), ""
