"""Keys for Secure Boot, and what is signed with them."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from appliance import uki
from appliance.image import disk, measurement, secure_boot, signature_lists
from chain.errors import Faulty, Malformed

EPOCH_S = 1_767_225_600


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> secure_boot.Keys:
    return secure_boot.make_keys(tmp_path_factory.mktemp("keys") / "own")


def program(size: int = 5_000) -> bytes:
    """A PE file for 64-bit machines: one section, some bytes after it."""
    head = bytearray(0x400)
    head[:2] = b"MZ"
    head[0x3C:0x40] = (0x80).to_bytes(4, "little")
    head[0x80:0x84] = b"PE\0\0"
    numbers = {
        (0x84, 2): 0x8664, (0x86, 2): 1, (0x94, 2): 240, (0x96, 2): 0x22E, (0x98, 2): 0x20B,
        (0xB8, 4): 0x1000, (0xBC, 4): 0x200, (0xD0, 4): 0x3000, (0xD4, 4): 0x400, (0xDC, 2): 10, (0x104, 4): 16,
        (0x190, 4): size, (0x194, 4): 0x1000, (0x198, 4): -(-size // 0x200) * 0x200, (0x19C, 4): 0x400,
        (0x1AC, 4): 0x60000020,
    }  # fmt: skip
    for (at, width), value in numbers.items():
        head[at : at + width] = value.to_bytes(width, "little")
    head[0x188:0x190] = b".text\0\0\0"
    content = bytes(i * 7 % 251 for i in range(size))
    return bytes(head) + content + bytes(-size % 0x200)


def test_what_is_signed_verifies_with_the_image_key_and_no_other(keys: secure_boot.Keys, tmp_path: Path) -> None:
    signed = tmp_path / "signed.efi"
    signed.write_bytes(keys.sign(program(), EPOCH_S))
    assert verifies(signed, keys.folder / "db.pem")
    assert not verifies(signed, keys.folder / "KEK.pem")
    changed = bytearray(signed.read_bytes())
    changed[0x500] ^= 1
    signed.write_bytes(changed)
    assert not verifies(signed, keys.folder / "db.pem")


def test_signing_twice_gives_the_same_bytes(keys: secure_boot.Keys) -> None:
    assert keys.sign(program(), EPOCH_S) == keys.sign(program(), EPOCH_S)
    assert keys.sign(program(), EPOCH_S) != keys.sign(program(), EPOCH_S + 1)


@pytest.mark.parametrize("size", [512, 5_000, 5_001, 70_000])
def test_the_digest_that_the_firmware_will_measure_is_the_one_in_the_signature(
    keys: secure_boot.Keys, size: int
) -> None:
    signed = keys.sign(program(size), EPOCH_S)
    digest = measurement.authenticode(signed)
    assert digest in signed
    assert measurement.authenticode(program(size)) == digest, "signing does not change it"


def test_a_signed_kernel_image_measures_like_the_unsigned_one(keys: secure_boot.Keys) -> None:
    kernel = uki.build(program(), {".osrel": b"ID=dccn", ".cmdline": b"ro\0", ".linux": program(700)})
    plain = measurement.measure("test", kernel, program())
    assert measurement.measure("test", keys.sign(kernel, EPOCH_S), keys.sign(program(), EPOCH_S)) == plain
    assert plain.command_line == "ro"


def test_register_11_is_the_one_that_systemd_measure_computes(tmp_path: Path) -> None:
    tool = shutil.which("systemd-measure", path="/usr/lib/systemd:/lib/systemd")
    assert tool is not None, "systemd 252 brings it"
    sections = {".linux": b"kernel", ".osrel": b"ID=dccn", ".cmdline": b"ro quiet\0", ".initrd": b"initrd" * 99}
    words = []
    for name, content in sections.items():
        (tmp_path / name[1:]).write_bytes(content)
        words.append(f"--{name[1:]}={tmp_path / name[1:]}")
    said = subprocess.check_output([tool, "calculate", "--bank=sha256", "--phase=:", *words], text=True)
    assert f"11:sha256={measurement.pcr11(sections).hex()}" in said


@pytest.mark.parametrize(("name", "signer"), [("PK", "PK"), ("KEK", "PK"), ("db", "KEK")])
def test_an_update_of_the_firmwares_lists_is_signed_as_the_specification_has_it(
    keys: secure_boot.Keys, tmp_path: Path, name: str, signer: str
) -> None:
    data = (keys.folder / f"{name}.auth").read_bytes()
    moment, length = data[:16], int.from_bytes(data[16:20], "little")
    signed_data, lists = data[40 : 16 + length], data[16 + length :]
    assert signed_data[13:22].hex() == "608648016503040201", "a bare SignedData names SHA-256 here"
    attributes = (0x27).to_bytes(4, "little")
    content = name.encode("utf-16-le") + signature_lists.OWNERS[name].bytes_le + attributes + moment + lists
    (tmp_path / "content").write_bytes(content)
    wrapped = bytes.fromhex("06092a864886f70d010702a082") + len(signed_data).to_bytes(2, "big") + signed_data
    (tmp_path / "pkcs7").write_bytes(b"\x30\x82" + len(wrapped).to_bytes(2, "big") + wrapped)
    command = ["openssl", "smime", "-verify", "-inform", "DER", "-in", "pkcs7", "-content", "content", "-binary"]
    trust = ["-purpose", "any", "-CAfile", str(keys.folder / f"{signer}.pem"), "-out", "/dev/null"]
    assert subprocess.run([*command, *trust], cwd=tmp_path, capture_output=True, check=False).returncode == 0
    (tmp_path / "content").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert subprocess.run([*command, *trust], cwd=tmp_path, capture_output=True, check=False).returncode != 0


def test_secrets_are_private_and_keys_are_never_made_over_others(keys: secure_boot.Keys) -> None:
    for path in keys.folder.glob("*.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(Faulty, match="never made over others"):
        secure_boot.make_keys(keys.folder)


def test_certificates_of_others_come_into_the_list_of_those_who_may_sign(
    keys: secure_boot.Keys, tmp_path: Path
) -> None:
    alone = (keys.folder / "db.auth").stat().st_size
    more = secure_boot.make_keys(tmp_path / "more", [keys.folder / "db.pem"])
    assert (more.folder / "db.auth").stat().st_size > alone + 700
    with pytest.raises(Faulty, match="no certificate"):
        secure_boot.make_keys(tmp_path / "none", [Path(__file__)])
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("damage", ["missing", "empty", "swapped", "garbage"])
def test_a_damaged_folder_is_refused_before_anything_is_built(
    keys: secure_boot.Keys, tmp_path: Path, damage: str
) -> None:
    folder = Path(shutil.copytree(keys.folder, tmp_path / "copy"))
    match damage:
        case "missing":
            (folder / "db.auth").unlink()
        case "empty":
            (folder / "PK.key").write_bytes(b"")
        case "swapped":
            (folder / "db.pem").write_bytes((folder / "KEK.pem").read_bytes())
        case "garbage":
            (folder / "KEK.key").write_bytes(b"not a key")
    with pytest.raises(Faulty, match="boot_keys_invalid"):
        secure_boot.open_keys(folder)
    assert secure_boot.open_keys(keys.folder) == keys


def test_the_boot_partition_brings_the_keys_and_enrols_them_only_when_told(keys: secure_boot.Keys) -> None:
    def files(**changes: object) -> dict[str, bytes]:
        nowhere = Path("/dev/null")
        return disk.esp_files(disk.Contents("1", nowhere, nowhere, b"kernel", b"loader", b"", **changes))  # type: ignore[arg-type]

    assert not any("keys" in name for name in files())
    signed = files(keys=keys.enrolment())
    assert {f"loader/keys/dccn/{name}.auth" for name in ("PK", "KEK", "db")} < set(signed)
    assert b"enroll" not in signed["loader/loader.conf"]
    by_itself = files(keys=keys.enrolment(), enrols_keys=True)
    assert b"secure-boot-enroll force" in by_itself["loader/loader.conf"]
    assert {f"loader/keys/auto/{name}.auth" for name in ("PK", "KEK", "db")} < set(by_itself)


@pytest.mark.parametrize("data", [b"", b"MZ", b"\x7fELF" + bytes(100), program()[:0x90]])
def test_what_is_no_program_has_no_digest(data: bytes) -> None:
    with pytest.raises(Malformed):
        measurement.authenticode(data)


def verifies(signed: Path, certificate: Path) -> bool:
    return subprocess.run(["sbverify", "--cert", certificate, signed], capture_output=True, check=False).returncode == 0
