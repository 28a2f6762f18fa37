"""A release folder behind a real HTTPS server: parts of files, and every way in which a server can misbehave."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from appliance import uki
from appliance.agent.tls import context_for
from appliance.agent.updates import catalogue
from appliance.agent.updates.sources import HttpsSource, NotThereError
from chain.errors import Malformed, Unavailable
from fleet.hub.identity.authority import Authority
from tests.appliance.agent.updates.machine_on_files import Disk
from tests.appliance.releases import small_build
from tests.appliance.releases.office import Office

CONTENT = bytes(range(256)) * 4000


class Server(ThreadingHTTPServer):
    """Serves `folder`, or behaves as `manner` says."""

    daemon_threads = True

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder, self.manner, self.asked = folder, "honest", 0
        self.authority = Authority.open(home, "home", time.time_ns() // 1_000_000)
        key, certificate = self.authority.issue_pair("hub", ["127.0.0.1"], time.time_ns() // 1_000_000)
        home.joinpath("pair.pem").write_bytes(key + certificate)
        super().__init__(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(home / "pair.pem")
        self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def source(self, *, timeout_s: float = 20, grace_s: float = 60, ca: bytes | None = None) -> HttpsSource:
        context = context_for((ca or self.authority.pem).decode())
        url = f"https://127.0.0.1:{self.server_address[1]}"
        return HttpsSource(url, context, timeout_s=timeout_s, grace_s=grace_s)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.server.asked += 1
        manner, path = self.server.manner, self.server.folder / self.path.lstrip("/")
        if manner == "redirects":
            self.send_response(302)
            self.send_header("Location", "https://127.0.0.1:1/elsewhere")
            self.end_headers()
            return
        if manner == "fails" or not path.is_file():
            self.send_error(500 if manner == "fails" else 404)
            return
        data, wanted = path.read_bytes(), self.headers.get("Range")
        if wanted is not None and manner != "knows no ranges":
            first, last = map(int, wanted.removeprefix("bytes=").split("-"))
            data = data[first : last + 1]
            self.send_response(206)
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(data) + (9 if manner == "promises more" else 0)))
        self.end_headers()
        if manner == "stands still":
            time.sleep(3)
        elif manner == "drips":
            for at in range(0, len(data), 20):
                self.wfile.write(data[at : at + 20])
                time.sleep(0.05)
        elif manner == "hangs up":
            self.wfile.write(data[: len(data) // 2])
        else:
            self.wfile.write(data)
        self.close_connection = manner != "honest"

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "file").write_bytes(CONTENT)
    server = Server(folder, tmp_path / "home")
    yield server
    server.shutdown()
    server.server_close()


def test_parts_of_a_file_are_those_that_were_asked_for(server: Server) -> None:
    source = server.source()
    assert b"".join(source.pieces("file")) == CONTENT
    for offset, length in ((0, 1), (70_000, 90_000), (len(CONTENT) - 5, 5)):
        assert b"".join(source.pieces("file", offset, length)) == CONTENT[offset : offset + length]
    with pytest.raises(NotThereError):
        list(source.pieces("none"))


@pytest.mark.parametrize(
    ("manner", "said"),
    [
        ("redirects", "answers 302"),
        ("fails", "answers 500"),
        ("knows no ranges", "answers 200 when asked for a part"),
        ("hangs up", "does not answer"),
        ("stands still", "does not answer"),
        ("drips", "too slow"),
    ],
)
def test_a_server_that_misbehaves_is_one_that_does_not_answer(server: Server, manner: str, said: str) -> None:
    server.manner = manner
    with pytest.raises(Unavailable, match=said):
        list(server.source(timeout_s=1, grace_s=0.5).pieces("file", 0, 50_000))


def test_more_than_was_asked_for_is_not_taken(server: Server) -> None:
    server.manner = "promises more"
    source = server.source()
    assert b"".join(source.pieces("file", 10, 20)) == CONTENT[10:30]
    server.manner = "honest"
    assert b"".join(source.pieces("file", 10, 20)) == CONTENT[10:30], "and the connection is not used again"


def test_a_server_with_another_authority_is_not_listened_to(server: Server, tmp_path: Path) -> None:
    other = Authority.open(tmp_path / "other", "home", time.time_ns() // 1_000_000)
    with pytest.raises(Unavailable, match="does not answer"):
        list(server.source(ca=other.pem).pieces("file"))
    assert server.asked == 0


@pytest.mark.parametrize("url", ["http://hub.example", "ftp://x", "https://", "file:///etc"])
def test_nothing_but_https_is_asked(url: str) -> None:
    with pytest.raises(Malformed, match="https"):
        HttpsSource(url, context_for(None))


def test_a_release_comes_over_the_network_by_its_missing_blocks(server: Server, tmp_path: Path) -> None:
    own_blocks = small_build.content("own")
    own = small_build.write(tmp_path / "own", "1.0", own_blocks)
    office = Office(tmp_path / "office")
    office.publish(office.add("2.0", 2, root=small_build.content("a little", 9) + own_blocks))
    server.folder = office.folder
    trusted = (office.folder / "metadata/1.root.json").read_bytes()
    offer = catalogue.newest(server.source(), trusted, tmp_path / "state", channel="stable", profile="qemu-test")
    assert offer is not None
    disk = Disk(tmp_path / "disk")
    disk.make({"a": own}, {"dccn_1.0.efi": own})
    done = disk.installer(own).install(offer)
    assert disk.contents().starts() == "2.0"
    assert uki.root_hash(disk.contents().files[done.entry]).hex() == offer.description.root_hash
    assert done.fetched_bytes < done.total_bytes / 10
