"""Files that are neither Debian's nor ours: taken only with the lock's hash, and all that lack are told at once."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.image import artifacts
from appliance.image.artifacts import Artifact
from chain.errors import Faulty, Malformed, Unavailable

CONTENT = b"a program" * 1000
ENTRY = """
[[artifact]]
name = "{name}"
version = "1"
part = "{part}"
url = "{url}"
sha256 = "{sha256}"
licence = "MIT"
"""


def entry(name: str = "one", part: str = "p", url: str = "https://example.org/d/one.bin") -> str:
    return ENTRY.format(name=name, part=part, url=url, sha256=hashlib.sha256(CONTENT).hexdigest())


def lock(folder: Path, text: str) -> Path:
    path = folder / "artifacts.lock"
    path.write_text(text)
    return path


def said() -> tuple[list[str], artifacts.Say]:
    lines: list[str] = []
    return lines, lines.append


def test_the_lock_of_this_repository_names_k3s_its_images_and_the_container_toolkit() -> None:
    names = {each.name: each for each in artifacts.read()}
    assert {"k3s", "k3s-airgap-images", "nvidia-container-toolkit"} <= names.keys()
    assert artifacts.parts(names.values()) == ["container-toolkit", "k3s"]
    assert names["k3s"].version == names["k3s-airgap-images"].version
    assert names["k3s-airgap-images"].file == "k3s-airgap-images-amd64.tar.zst"


def test_a_file_is_found_by_its_name_and_by_its_hash(tmp_path: Path) -> None:
    there = lock(tmp_path, entry())
    (tmp_path / "one.bin").write_bytes(CONTENT)
    (one,) = artifacts.read(there)
    assert artifacts.gather({"p"}, tmp_path, say=print, lock=there) == {one: tmp_path / "one.bin"}
    by_hash = tmp_path / "sha256" / hashlib.sha256(CONTENT).hexdigest()
    by_hash.parent.mkdir()
    (tmp_path / "one.bin").rename(by_hash)
    assert artifacts.gather({"p"}, tmp_path, say=print, lock=there) == {one: by_hash}


def test_all_that_is_missing_or_another_file_is_told_at_once_and_other_parts_are_not_asked_for(tmp_path: Path) -> None:
    there = lock(tmp_path, entry() + entry("two", url="https://example.org/two") + entry("three", part="other"))
    (tmp_path / "two").write_bytes(CONTENT[:-1])
    with pytest.raises(Unavailable) as error:
        artifacts.gather({"p"}, tmp_path, say=print, lock=there)
    assert error.value.code == "artifacts_missing"
    first, *lines = error.value.message.splitlines()
    assert first == "2 missing:" and len(lines) == 2
    assert "one 1 (https://example.org/d/one.bin): not in" in lines[0]
    assert "artifacts.lock says" in lines[1] and str(tmp_path / "two") in lines[1]
    assert artifacts.gather(set(), tmp_path, say=print, lock=there) == {}


def test_an_optional_file_may_lack(tmp_path: Path) -> None:
    lines, say = said()
    there = lock(tmp_path, entry() + "optional = true\n")
    assert artifacts.gather({"p"}, tmp_path, say=say, lock=there) == {}
    assert lines == [f"without one: not in {tmp_path}"]


@pytest.mark.parametrize(
    "text",
    [
        "artifact = 5",
        "[[artifact]]\nname = 1",
        entry() + entry(),
        entry() + "surprise = 1\n",
        entry() + "size = -1\n",
        entry() + "size = true\n",
        entry() + 'optional = "yes"\n',
        entry(url="http://example.org/x"),
        entry(url="https://example.org/"),
        entry(url="https://example.org/.."),
        entry(url="https://example.org/a%2F..%2F..%2Fetc%2Fpasswd"),
        entry(url="https://example.org/a%00b"),
        entry().replace("sha256 = ", "sha256 = 'abc' #"),
        entry().replace('licence = "MIT"', ""),
        "more = 1\n" + entry(),
        "\x00",
        "[[artifact",
    ],
)
def test_a_lock_that_does_not_say_what_it_should_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(Malformed, match=r"artifacts\.lock"):
        artifacts.read(lock(tmp_path, text))


class Publisher(http.server.BaseHTTPRequestHandler):
    contents: dict[str, bytes]

    def do_GET(self) -> None:
        content = self.contents.get(self.path)
        if content is None:
            self.send_error(404)
            return
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", content.decode())
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content) + (self.path == "/torn")))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def publisher() -> Iterator[str]:
    Publisher.contents = dict.fromkeys(("/one.bin", "/torn"), CONTENT)
    Publisher.contents["/moved"] = b"/one.bin"
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Publisher) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def published(url: str, content: bytes = CONTENT, size: int | None = None) -> Artifact:
    sha256 = hashlib.sha256(content).hexdigest()
    return Artifact(name="one", version="1", part="p", url=url, sha256=sha256, licence="MIT", size=size)


@pytest.mark.parametrize("path", ["/one.bin", "/moved"])
def test_a_file_is_fetched_once(publisher: str, tmp_path: Path, path: str) -> None:
    lines, say = said()
    first = artifacts.fetch(published(publisher + path), tmp_path / "new", say)
    assert first.read_bytes() == CONTENT and lines == ["fetching one 1"]
    Publisher.contents = {}
    assert artifacts.fetch(published(publisher + path), tmp_path / "new", say) == first


@pytest.mark.parametrize(
    ("path", "content", "size", "error"),
    [
        ("/one.bin", b"what was promised", None, Faulty),
        ("/one.bin", CONTENT, 10, Faulty),
        ("/torn", CONTENT, None, Unavailable),
        ("/absent", CONTENT, None, Unavailable),
    ],
)
def test_what_came_wrong_or_not_whole_is_not_kept(
    publisher: str, tmp_path: Path, path: str, content: bytes, size: int | None, error: type[Exception]
) -> None:
    with pytest.raises(error):
        artifacts.fetch(published(publisher + path, content, size), tmp_path, print)
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == []


def test_a_publisher_who_is_away_is_told_in_the_list(tmp_path: Path) -> None:
    there = lock(tmp_path, entry(url="https://127.0.0.1:1/one.bin"))
    with pytest.raises(Unavailable, match="fetching it: NewConnectionError"):
        artifacts.gather({"p"}, tmp_path, say=print, fetching=True, lock=there)
