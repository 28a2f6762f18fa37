"""Connections out of this machine: whom they ask, what they say of a proxy that does not serve."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chain import outward
from chain.errors import DccnError, Malformed
from chain.light.rpc import RpcClient
from tests.tinyproxy import PASSWORD, USER, TinyProxy


@pytest.fixture
def proxied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TinyProxy]:
    """A proxy that the environment names, on a machine on which loopback is not spared."""
    monkeypatch.setattr(outward, "_is_loopback", lambda _host: False)
    with TinyProxy(tmp_path) as proxy:
        for name in ("https_proxy", "http_proxy"):
            monkeypatch.setenv(name, proxy.url())
        yield proxy


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_bytes_go_both_ways_through_the_proxy(proxied: TinyProxy, listening: socket.socket) -> None:
    host, port = listening.getsockname()
    with outward.connect(host, port, 5) as here:
        there, _ = listening.accept()
        with there:
            here.sendall(b"question")
            assert there.recv(100) == b"question"
            there.sendall(b"answer")
            assert here.recv(100) == b"answer"
    assert f"CONNECT {host}:{port}" in proxied.carried()[0]


def test_a_wrong_password_is_told_without_telling_it(
    proxied: TinyProxy, listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", proxied.url("wrong-password"))
    with pytest.raises(OSError, match=r"401|407") as raised:
        outward.connect(*listening.getsockname(), 5)
    assert proxied.url().rpartition("@")[2] in str(raised.value)
    assert "wrong-password" not in str(raised.value)


def test_nobody_behind_the_proxy_is_an_error_and_so_is_no_proxy(proxied: TinyProxy) -> None:
    with pytest.raises(OSError, match="the proxy http://127"):
        outward.connect("127.0.0.1", 1, 5)
    proxied.__exit__()
    with pytest.raises(OSError, match="refused"):
        outward.connect("127.0.0.1", 1, 5)


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\n" + b"x" * 70_000, b"\x00" * 512])
def test_what_is_no_proxy_is_an_error(answer: bytes, listening: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    def serve() -> None:
        there, _ = listening.accept()
        with there:
            there.recv(1000)
            there.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{listening.getsockname()[1]}")
    with pytest.raises(OSError, match="the proxy http://127"):
        outward.connect("hub.example", 443, 5)


def test_a_node_over_plain_http_is_asked_through_the_proxy(proxied: TinyProxy) -> None:
    class Node(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_error(503)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Node) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        with pytest.raises(DccnError):
            RpcClient(f"http://127.0.0.1:{server.server_port}").status()
        assert "POST http://127.0.0.1:" in proxied.carried()[0]


@pytest.mark.parametrize(
    ("host", "not_proxied", "is_asked"),
    [
        ("hub.example", "", True),
        ("hub.example", "hub.example", False),
        ("hub.example", ".example", False),
        ("dccn-ab12.local", "localhost,.local", False),
        ("hub.example", "*", False),
        ("10.1.2.3", "localhost", True),
        ("localhost", "", False),
        ("127.0.0.1", "", False),
        ("127.9.9.9", "", False),
        ("::1", "", False),
    ],
)
def test_who_is_asked(host: str, not_proxied: str, is_asked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", not_proxied)
    assert (outward.proxy_for(host) is not None) is is_asked


def test_without_the_variables_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert outward.proxy_for("hub.example") is None


def test_a_proxy_is_read() -> None:
    assert outward.Proxy.parse("http://proxy.example").port == outward.HTTP_PORT
    named = outward.Proxy.parse("http://box:pa%2Ess-word@[2001:db8::1]:3128/")
    assert (named.user, named.password, named.url) == (USER, PASSWORD, "http://[2001:db8::1]:3128")


@pytest.mark.parametrize(
    "url", ["https://p:1", "socks5://p", "proxy:3128", "http://", "http://p:x", "http://u:secret@p:99999", "http://p/x"]
)
def test_what_is_no_address_of_a_proxy_is_refused_without_telling_it(url: str) -> None:
    with pytest.raises(Malformed) as raised:
        outward.Proxy.parse(url)
    assert raised.value.code == "usage" and "secret" not in raised.value.message
