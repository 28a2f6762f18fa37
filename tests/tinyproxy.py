"""A real HTTP proxy (tinyproxy) that asks for a name and a password."""

from __future__ import annotations

import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from chain.lifeline import spawn, stop

USER, PASSWORD = "box", "pa.ss-word"


@dataclass
class TinyProxy:
    """`port` of the loopback while the context lasts; `carried` says for whom it opened connections."""

    folder: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> TinyProxy:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        settings = self.folder / "tinyproxy.conf"
        settings.write_text(
            f"Port {self.port}\nListen 127.0.0.1\nTimeout 600\nAllow 127.0.0.1\nBasicAuth {USER} {PASSWORD}\n"
            f'LogFile "{self.folder / "tinyproxy.log"}"\nLogLevel Connect\n'
        )
        self.process = spawn(["tinyproxy", "-d", "-c", str(settings)], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while socket.socket().connect_ex(("127.0.0.1", self.port)):
            assert time.monotonic() < deadline, "tinyproxy does not listen"
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            stop(self.process)

    def url(self, password: str = "pa%2Ess-word") -> str:
        return f"http://{USER}:{password}@127.0.0.1:{self.port}"

    def carried(self) -> list[str]:
        """The request lines that it took."""
        lines = (self.folder / "tinyproxy.log").read_text().splitlines()
        return [line.split("): ", 1)[-1] for line in lines if "Request (file" in line]
