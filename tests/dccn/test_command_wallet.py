"""Wallet, tx and query as a person uses them, against a real node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chain.errors import Unavailable
from chain.wallet import keystore
from chain.wallet.client import ChainClient
from chain.wallet.keystore import ScryptCost
from chain.wire.transactions import Transaction
from tests.chain.node.conftest import HUB, NodeUnderTest, node

__all__ = ["node"]

PASSWORD = "a sentence that nobody guesses"
WORDS = "legal winner thank year wave sausage worth useful legal winner thank yellow"


@pytest.fixture(autouse=True)
def on_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is left in the user's own home. Tests seal often; the default cost is tested where seals are."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(ScryptCost.__init__, "__defaults__", (keystore.N_MIN, 8, 1))


class Wallet:
    """The commands with one wallet folder, one password and one node."""

    def __init__(self, dccn: Any, folder: Path, url: str) -> None:
        self.dccn, self.folder, self.url = dccn, folder, url
        self.password = folder / "password"
        folder.mkdir(exist_ok=True)
        self.password.write_text(PASSWORD + "\n")

    def __call__(self, *arguments: str, stdin: bytes = b"", code: int = 0) -> Any:
        extra = ["--wallet", str(self.folder / "w"), "--json"]
        if arguments[0] in ("tx", "query") and arguments[1] != "sign":
            extra += ["--rpc", self.url]
        if arguments[:2] in SEALED:
            extra += ["--password-file", str(self.password)]
        ran = self.dccn(*arguments, *extra, stdin=stdin)
        assert ran.code == code, ran.err
        return ran.document


SEALED = {
    ("wallet", "create"),
    ("wallet", "import"),
    ("wallet", "export"),
    ("wallet", "password"),
    ("tx", "send"),
    ("tx", "sign"),
}


@pytest.fixture
def wallet(dccn: Any, tmp_path: Path, node: NodeUnderTest) -> Wallet:
    return Wallet(dccn, tmp_path / "home", node.url)


@pytest.fixture
def rich(wallet: Wallet, tmp_path: Path) -> Wallet:
    """With the hub's account under the name hub."""
    (tmp_path / "hub.key").write_text(HUB.secret.hex() + "\n")
    wallet("wallet", "import", "hub", "--key-file", str(tmp_path / "hub.key"))
    return wallet


def test_a_wallet_lives_through_all_its_commands(wallet: Wallet, tmp_path: Path) -> None:
    made = wallet("wallet", "create", "savings", "--words", "12")
    assert len(made["words"].split()) == 12 and made["path"] == "m/44'/1095650130'/0'"
    assert wallet("wallet", "show", "savings") == {name: value for name, value in made.items() if name != "words"}
    assert wallet("wallet", "export", "savings", "--words")["words"] == made["words"]

    copy = tmp_path / "copy.json"
    wallet("wallet", "export", "savings", "--to", str(copy))
    assert json.loads(copy.read_text())["address"] == made["address"]
    wallet("wallet", "export", "savings", "--to", str(copy), code=2)
    assert wallet("wallet", "import", "again", "--keystore", str(copy))["address"] == made["address"]
    by_words = wallet("wallet", "import", "third", "--words-file", "-", stdin=made["words"].upper().encode())
    assert by_words["address"] == made["address"]
    second = wallet("wallet", "import", "fourth", "--words-file", "-", "--account", "1", stdin=made["words"].encode())
    assert second["address"] != made["address"]

    wallet("wallet", "rename", "again", "twin")
    wallet("wallet", "remove", "third", "--yes")
    names = [one["name"] for one in wallet("wallet", "list")["wallets"]]
    assert names == ["fourth", "savings", "twin"]


def test_a_new_password_replaces_the_old_one(wallet: Wallet, tmp_path: Path) -> None:
    wallet("wallet", "import", "a", "--words-file", "-", stdin=WORDS.encode())
    new = tmp_path / "new"
    new.write_text("quite another sentence")
    wallet("wallet", "password", "a", "--new-password-file", str(new))
    assert wallet("wallet", "export", "a", "--secret", code=1)["code"] == "wallet_password"
    wallet.password = new
    assert wallet("wallet", "export", "a", "--words")["words"] == WORDS


def test_a_secret_with_a_wrong_digit_is_never_repeated(dccn: Any, wallet: Wallet, tmp_path: Path) -> None:
    secret = HUB.secret.hex()[:-1] + "x"
    (tmp_path / "bad.key").write_text(secret)
    ran = dccn(
        *("wallet", "import", "x", "--key-file", str(tmp_path / "bad.key"), "--wallet", str(tmp_path / "w")),
        *("--password-file", str(wallet.password)),
    )
    assert ran.code == 2 and secret[:16] not in ran.err + ran.out
    ran = dccn("wallet", "import", "x", "--words-file", "-", "--wallet", str(tmp_path / "w"), stdin=b"zoo zoo zoo")
    assert ran.code == 2 and "zoo" not in ran.err


def test_without_a_terminal_a_password_file_is_asked_for(dccn: Any, tmp_path: Path) -> None:
    ran = dccn("wallet", "create", "a", "--wallet", str(tmp_path))
    assert ran.code == 2 and "give it in a file" in ran.err and list(tmp_path.iterdir()) == []


def test_key_files_of_an_agent_and_a_node_are_read(wallet: Wallet, node: NodeUnderTest, tmp_path: Path) -> None:
    account = next(iter(sorted(node.home.path.glob("config/operators/*/account_key.json"))))
    expected = json.loads(account.read_text())["address"]
    assert wallet("wallet", "import", "operator", "--key-file", str(account))["address"] == expected
    owner = tmp_path / "owner.key"
    owner.write_text(json.dumps({"purpose": "owner account", "algorithm": "ed25519", "secret": HUB.secret.hex()}))
    wallet("wallet", "import", "owner", "--key-file", str(owner))
    owner.write_text(json.dumps({"algorithm": "p256", "secret": HUB.secret.hex()}))
    assert wallet("wallet", "import", "tpm", "--key-file", str(owner), code=2)["code"] == "bad_key"


def test_a_payment_from_command_to_proof(rich: Wallet) -> None:
    to = rich("wallet", "create", "friend")["address"]
    paid = rich("tx", "send", "hub", "friend", "12.5")
    assert (paid["state"], paid["amount"], paid["to"], paid["fee"]) == ("committed", "12.5", to, "5")
    assert rich("query", "balance", "friend")["balance"] == "12.5"
    assert rich("query", "account", to)["nonce"] == 0
    shown = rich("tx", "show", paid["hash"])
    assert (shown["state"], shown["height"]) == ("committed", paid["height"])
    assert rich("tx", "wait", paid["hash"])["ok"]
    assert rich("tx", "show", "00" * 32, code=1)["state"] == "unknown"


def test_once_pays_once(rich: Wallet) -> None:
    rich("wallet", "create", "landlord")
    rent = ("tx", "send", "hub", "landlord", "3", "--once", "rent-2026-05")
    first, second = rich(*rent), rich(*rent)
    assert first["hash"] == second["hash"] and rich("query", "balance", "landlord")["balance"] == "3"
    other = rich("tx", "send", "hub", "landlord", "4", "--once", "rent-2026-05", code=1)
    assert other["code"] == "tx_duplicate"


def test_a_payment_that_was_cut_between_signing_and_sending_goes_out_once(
    rich: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    rich("wallet", "create", "tenant")
    rent = ("tx", "send", "hub", "tenant", "3", "--once", "cut")

    def cut(self: ChainClient, signed: Transaction) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ChainClient, "send", cut)
        ran = rich.dccn(
            *(*rent, "--wallet", str(rich.folder / "w"), "--rpc", rich.url, "--password-file", str(rich.password))
        )
        assert ran.code == 130
    sent = rich(*rent, "--no-wait")
    assert rich("tx", "wait", sent["hash"])["ok"] and rich(*rent)["hash"] == sent["hash"]
    assert rich("query", "balance", "tenant")["balance"] == "3"


def test_a_payment_to_a_node_that_is_gone_says_how_to_go_on(rich: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(self: ChainClient, signed: Transaction) -> bytes:
        raise Unavailable("unreachable", "the node does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(ChainClient, "send", gone)
        ran = rich.dccn(
            *("tx", "send", "hub", "hub", "1", "--wallet", str(rich.folder / "w"), "--rpc", rich.url),
            *("--password-file", str(rich.password)),
        )
    assert ran.code == 3
    tx_hash = ran.err.split("dccn tx wait ")[1].split()[0]
    assert rich("tx", "wait", tx_hash)["state"] == "committed"


def test_three_payments_without_waiting_all_arrive(rich: Wallet) -> None:
    rich("wallet", "create", "shop")
    sent = [rich("tx", "send", "hub", "shop", "1", "--no-wait") for _ in range(3)]
    assert [one["state"] for one in sent] == ["sent"] * 3
    assert all(rich("tx", "wait", one["hash"])["ok"] for one in sent)
    assert rich("query", "balance", "shop")["balance"] == "3"


def test_the_key_may_be_on_another_machine(rich: Wallet, dccn: Any, tmp_path: Path, node: NodeUnderTest) -> None:
    online = Wallet(dccn, tmp_path / "online", node.url)
    public = rich("wallet", "show", "hub")["public_key"]
    online("wallet", "watch", "treasury", public)
    prepared = online("tx", "prepare", "treasury", online_target(online), "2")
    path = tmp_path / "unsigned.json"
    path.write_text(json.dumps(prepared))
    assert online("tx", "broadcast", str(path), code=1)["code"] == "bad_signature"
    signed = rich("tx", "sign", str(path), "hub")
    path.write_text(json.dumps(signed))
    assert online("tx", "broadcast", str(path))["state"] == "committed"
    assert online("tx", "broadcast", str(path))["state"] == "committed"
    # A device signs the sign bytes alone.
    prepared = online("tx", "prepare", "treasury", online_target(online), "2")
    path.write_text(json.dumps(prepared))
    signature = HUB.sign(bytes.fromhex(prepared["sign_bytes"])).hex()
    assert online("tx", "broadcast", str(path), "--signature", signature)["state"] == "committed"


def online_target(wallet: Wallet) -> str:
    return str(wallet("wallet", "show", "treasury")["address"])


def test_what_is_signed_is_read_from_the_bytes_and_not_from_the_text(rich: Wallet, dccn: Any, tmp_path: Path) -> None:
    envelope = rich("tx", "prepare", "hub", rich("wallet", "show", "hub")["address"], "1")
    path = tmp_path / "evil.json"
    path.write_text(json.dumps(envelope | {"amount": "0.001", "to": "ankr1somebodyelse", "sign_bytes": "00"}))
    signed = rich("tx", "sign", str(path), "hub")
    assert signed["amount"] == "1" and signed["sign_bytes"] == envelope["sign_bytes"]


@pytest.mark.parametrize("amount", ["-1", "1e3", "0x1", "1.0000000000000000001", "9" * 5_000, "", "١", "1,5"])
def test_an_amount_that_is_not_decimal_ankr_is_wrong_usage(rich: Wallet, amount: str) -> None:
    places = ("--wallet", str(rich.folder / "w"), "--rpc", rich.url)
    ran = rich.dccn("tx", "prepare", *places, "hub", "hub", "--", amount)
    assert ran.code == 2 and len(ran.err.splitlines()) <= 2


def test_more_than_there_is_cannot_be_paid(rich: Wallet) -> None:
    assert rich("tx", "send", "hub", "hub", "9999999999", code=1)["code"] == "tx_insufficient_funds"
    assert rich("tx", "send", "hub", "nobody", "1", code=1)["code"] == "wallet_unknown"


def test_queries_answer_with_what_they_stand_on(rich: Wallet, node: NodeUnderTest) -> None:
    supply = rich("query", "supply")
    assert supply["ok"] and supply["total"] == "10000000000" and supply["verified_height"] > 0
    assert rich("query", "parameters")["parameters"]["transaction_fee_atto"] == str(5 * 10**18)
    assert len(rich("query", "validators")["validators"]) == 4
    assert rich("query", "reward", "hub")["reward"] is None
    assert rich("query", "device", "00" * 32, code=1)["code"] == "tx_unknown_device"
    for _ in range(200):
        if rich.dccn("query", "epoch", "--rpc", node.url, "--json").code == 0:
            break
        node.next_blocks()
    assert int(rich("query", "epoch")["emission_atto"]) > 0
    assert rich("query", "epoch", "99999", code=1)["code"] == "not_found"


def test_history_is_found_by_address_transaction_and_height(rich: Wallet, tmp_path: Path) -> None:
    friend = rich("wallet", "create", "friend")["address"]
    paid = rich("tx", "send", "hub", "friend", "7")
    db = ("--db", str(tmp_path / "h.sqlite"))
    ran = rich.dccn("query", "history", friend, *db)
    assert ran.code == 2 and "dccn node index run" in ran.err
    indexed = rich.dccn("node", "index", "run", "--rpc", rich.url, *db, "--once")
    assert indexed.code == 0

    def history(*arguments: str, code: int = 0) -> Any:
        ran = rich.dccn("query", "history", *arguments, *db, "--wallet", str(rich.folder / "w"), "--json")
        assert ran.code == code, ran.err
        return ran.document

    (one,) = history("friend")["happenings"]
    assert (one["hash"], one["amount"], one["to"], one["proven_roles"]) == (paid["hash"], "7", friend, ["to"])
    assert history("--tx", paid["hash"])["happenings"][0]["height"] == paid["height"]
    assert paid["hash"] in [each["hash"] for each in history("--height", str(paid["height"]))["happenings"]]
    assert history("--device", "00" * 32)["happenings"] == []
    assert history("friend", "--before", f"{one['height']}:{one['position']}")["happenings"] == []
    for wrong in ((), ("friend", "--tx", "00"), ("--tx", "zz"), ("friend", "--before", "x")):
        history(*wrong, code=2)
    history("--height", "99999999", code=1)
