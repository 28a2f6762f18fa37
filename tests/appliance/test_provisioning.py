"""The owner's settings: whatever stands in the file, the machine boots."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.agent.updates.settings import Settings as UpdateSettings
from appliance.image.build import TEMPLATE
from appliance.provisioning import __main__ as provision
from appliance.provisioning import render
from appliance.provisioning.settings import MAX_BYTES, OwnerSettings, parse
from chain.outward import Proxy

GOOD = b"""[hub]\r\nurl = "https://hub.example:8443"\r\ntoken = "ABCD"\r\n[network]\r\naddress = "192.168.1.5/24"\r
gateway = "192.168.1.1"\r\nntp = ["pool.ntp.org"]\r\n[network.wifi]\r\nssid = "my net"\r\npassword = "longenough"\r\n"""


def test_the_template_says_nothing_and_has_no_fault() -> None:
    assert parse(TEMPLATE.read_bytes()) == OwnerSettings()


def test_a_file_with_dos_line_ends_and_a_byte_order_mark_is_understood() -> None:
    settings = parse(b"\xef\xbb\xbf" + GOOD)
    assert settings.problems == () and settings.hub_url == "https://hub.example:8443"
    made = render.files(settings)
    assert 'token = "ABCD"' in made["dccn/agent.toml"]
    assert "Address=192.168.1.5/24\nGateway=192.168.1.1" in made["systemd/network/10-dccn.network"]
    assert "ssid=6d79206e6574" in made["wpa_supplicant/dccn.conf"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"#" * (MAX_BYTES + 1), "more than"),
        (b"\xff\xfe\x00binary", "not TOML"),
        (b"[hub", "not TOML"),
        (b"[hub]\nurl = 5", "cannot be"),
        (b'[hub]\nurl = "ftp://x"', "cannot be"),
        (b'[network]\nhostname = "a;reboot"', "cannot be"),
        (b'[network]\naddress = "1.2.3.4"', "cannot be"),
        (b'[network]\nntp = ["a\\nb"]', "cannot be"),
        (b"colour = 1", "no setting 'colour'"),
        (b"[deep.er]\nx = 1", "no setting"),
        (b"hub = 7", "no setting"),
    ],
)
def test_what_cannot_be_used_is_told_and_ignored(data: bytes, said: str) -> None:
    settings = parse(data)
    assert said in settings.problems[0]
    made = render.files(settings)
    assert said in made.pop(render.PROBLEMS) and made == {"dccn/agent.toml": "[agent]\n"}


def test_what_the_owner_says_of_updates_reaches_the_updater() -> None:
    said = 'enabled = false\nchannel = "beta"\nwindow = "23:30-01:00"\nurl = "https://releases.example/dccn"'
    made = render.files(parse(f"[updates]\n{said}\n".encode()))
    told = msgspec.json.decode(made["dccn/updates.json"], type=UpdateSettings)
    assert told == UpdateSettings(
        enabled=False, channel="beta", window="23:30-01:00", url="https://releases.example/dccn"
    )
    for wrong in ('window = "2-5"', 'window = "25:00-26:00"', 'url = "http://x"', 'enabled = "no"', 'channel = "../x"'):
        settings = parse(f"[updates]\n{wrong}\n".encode())
        assert "cannot be" in settings.problems[0] and "dccn/updates.json" not in render.files(settings)


@pytest.mark.parametrize(
    "line", ['hub.token = "{}\\u00e9"', 'network.wifi.password = "{}\\u00e9"', 'console.pin = "{}"']
)
def test_a_mistyped_secret_is_told_and_not_shown(line: str) -> None:
    settings = parse(line.format("hunter22hunter22").encode())
    assert "cannot be what it is set to" in settings.problems[0] and "hunter22" not in settings.problems[0]


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace")))
def test_no_bytes_stop_a_boot(data: bytes) -> None:
    assert "dccn/agent.toml" in render.files(parse(data))


def test_a_boot_writes_secrets_for_root_alone_and_names_the_machine(tmp_path: Path) -> None:
    for folder in ("run/dccn/config", "etc", "proc/sys/kernel"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/machine-id").write_text("0123456789abcdef\n")
    (tmp_path / "run/dccn/config/dccn.toml").write_bytes(GOOD)
    assert provision.main(tmp_path) == 0
    assert (tmp_path / "run/dccn/agent.toml").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "run" / render.PROBLEMS).exists()
    assert (tmp_path / "proc/sys/kernel/hostname").read_text() == "dccn-012345\n"
    (tmp_path / "run/dccn/config/dccn.toml").unlink()
    assert provision.main(tmp_path) == 0 and (tmp_path / "run/dccn/agent.toml").read_text() == "[agent]\n"


def test_what_systemds_services_read_as_accounts_of_their_own_is_open_to_them(tmp_path: Path) -> None:
    for folder in ("run/dccn/config", "etc", "proc/sys/kernel"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "run/dccn/config/dccn.toml").write_bytes(GOOD)
    provision.main(tmp_path)
    read = [path for path in (tmp_path / "run/systemd").rglob("*") if path.is_file()]
    assert {path.parent.name for path in read} == {"network", "timesyncd.conf.d"}
    for path in read:
        assert path.stat().st_mode & 0o004, path
        for folder in (path.parent, path.parent.parent):
            assert folder.stat().st_mode & 0o005 == 0o005, folder


def test_the_owners_proxy_is_what_systemd_and_the_programs_read(tmp_path: Path) -> None:
    """`systemd-run`'s own reader of such files is not at hand everywhere; its rules for double quotes are a shell's."""
    url = 'http://box:p"a$s\\s@proxy.example:3128'
    settings = parse(f"[network]\nproxy = {json.dumps(url)}\n".encode())
    assert settings.problems == () and settings.proxy == url
    (tmp_path / "proxy.env").write_text(render.files(settings)["dccn/proxy.env"].replace("$", "\\$"))
    said = subprocess.run(
        ["sh", "-c", f'. {tmp_path}/proxy.env; printf "%s\n" "$HTTPS_PROXY" "$HTTP_PROXY" "$NO_PROXY"'],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert said == [url, url, render.NOT_PROXIED]
    assert Proxy.parse(said[0]).password == 'p"a$s\\s'


@pytest.mark.parametrize(
    "url", ["socks5://proxy:1080", "http://proxy:99999", "proxy:3128", "http://pro xy", "http://u:secret@p/x"]
)
def test_what_is_no_proxy_is_told_without_telling_it(url: str) -> None:
    settings = parse(f'[network]\nproxy = "{url}"\n'.encode())
    assert settings.proxy is None and len(settings.problems) == 1 and "secret" not in settings.problems[0]


def test_everybody_may_read_what_is_wrong_with_the_settings(tmp_path: Path) -> None:
    for folder in ("run/dccn/config", "proc/sys/kernel"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "run/dccn/config/dccn.toml").write_bytes(b"colour = 1")
    assert provision.main(tmp_path) == 1
    assert (tmp_path / "run" / render.PROBLEMS).stat().st_mode & 0o777 == 0o644
    (sentence,) = json.loads((tmp_path / "run" / render.PROBLEMS).read_text())
    assert "no setting 'colour'" in sentence


def test_what_a_reset_left_reaches_the_agent_and_a_damaged_one_does_not(tmp_path: Path) -> None:
    for folder in ("run/dccn/config", "etc", "proc/sys/kernel"):
        (tmp_path / folder).mkdir(parents=True)
    left, handed = tmp_path / "run/dccn/config/factory-reset.done", tmp_path / "run/dccn/wiped.json"
    provision.main(tmp_path)
    assert not handed.exists()
    left.write_bytes(b"x" * 100_000)
    provision.main(tmp_path)
    assert not handed.exists()
    left.write_bytes(b'{"method": "overwritten"}')
    provision.main(tmp_path)
    assert handed.read_bytes() == left.read_bytes() and handed.stat().st_mode & 0o777 == 0o644
