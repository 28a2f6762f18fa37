"""What is more than a payment: many at once, gifts, accounts of several, deals; as people use them, on a real node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chain.crypto.address import encode
from tests.chain.node.conftest import NodeUnderTest, node
from tests.dccn.test_command_wallet import Wallet, on_this_machine, rich, wallet

__all__ = ["node", "on_this_machine", "rich", "wallet"]

NOBODY = encode(bytes(20))


class Person:
    """The commands of one wallet folder that need a password and a node."""

    def __init__(self, rich: Wallet) -> None:
        self.rich = rich

    def __call__(self, *arguments: str, stdin: bytes = b"", code: int = 0, sealed: bool = True) -> Any:
        extra = ["--wallet", str(self.rich.folder / "w"), "--rpc", self.rich.url, "--json"]
        extra += ["--password-file", str(self.rich.password)] if sealed else []
        ran = self.rich.dccn(*arguments, *extra, stdin=stdin)
        assert ran.code == code, (ran.out, ran.err)
        return ran.document

    def address(self, name: str) -> str:
        return str(self.rich("wallet", "show", name)["address"])

    def balance(self, who: str) -> str:
        return str(self.rich("query", "balance", who)["balance"])


@pytest.fixture
def person(rich: Wallet, node: NodeUnderTest) -> Person:
    for name in ("anna", "bert", "carl"):
        rich("wallet", "create", name)
    found = Person(rich)
    funds = "".join(f"{name}, 1000\n" for name in ("anna", "bert", "carl"))
    found("tx", "send-many", "hub", "-", stdin=f"# three at once\n{funds}\n".encode())
    return found


def test_many_are_paid_at_once_or_none(person: Person) -> None:
    assert [person.balance(name) for name in ("anna", "bert", "carl")] == ["1000"] * 3
    refused = person("tx", "send-many", "anna", "-", stdin=f"{NOBODY},600\n{NOBODY},600\n".encode(), code=1)
    assert refused["code"] == "tx_insufficient_funds" and person.balance("anna") == "1000"


@pytest.mark.parametrize("line", ["anna 5", "nobody-here,5", "anna,-5", "anna,1.0000000000000000001", ","])
def test_a_wrong_line_is_named_and_nobody_is_paid(person: Person, line: str) -> None:
    before = person.balance("bert")
    refused = person("tx", "send-many", "hub", "-", stdin=f"bert,1\n{line}\n".encode(), code=2)
    assert "line 2" in refused["error"] and person.balance("bert") == before


def test_a_gift_goes_to_the_reward_pool(person: Person) -> None:
    given = person("tx", "donate", "anna", "10", "--memo", "for all")
    assert given["state"] == "committed" and person.balance("anna") == "985"


def test_an_account_of_three_spends_a_little_alone_and_much_together(person: Person) -> None:
    made = person("multisig", "create", "anna", "anna", "bert", "carl", "--threshold", "2", "--daily-limit", "10")
    account = made["account"]
    person("tx", "send", "hub", account, "500")
    assert person("multisig", "spend", "anna", account, NOBODY, "10")["state"] == "committed"
    person("multisig", "spend", "bert", account, NOBODY, "100")
    shown = person("multisig", "show", account, sealed=False)
    assert (shown["threshold"], shown["balance"], len(shown["members"])) == (2, "490", 3)
    (waiting,) = shown["waiting"]
    assert waiting["payments"] == [{"to": NOBODY, "amount": "100"}] and len(waiting["approvals"]) == 1
    person("multisig", "approve", "carl", account, str(waiting["number"]))
    after = person("multisig", "show", account, sealed=False)
    assert (after["balance"], after["waiting"]) == ("390", [])
    assert person("multisig", "show", NOBODY, sealed=False, code=1)["code"] == "tx_not_registered"


def test_a_deal_is_opened_topped_up_and_shown(person: Person, tmp_path: Path) -> None:
    hub = person.address("hub")
    opened = person("deal", "open", "anna", "bert", hub, "50", "--app-permille", "100")
    person("deal", "top-up", "anna", opened["deal"], "25")
    shown = person("deal", "show", opened["deal"], sealed=False)
    assert (shown["escrow"], shown["used"], shown["outcome"]) == ("75", "0", None)
    assert (shown["customer"], shown["provider"]) == (person.address("anna"), person.address("bert"))
    assert person("deal", "rate", "anna", opened["deal"], "5", code=1)["code"] == "tx_unknown_deal"
    closed = person("deal", "settle", "hub", opened["deal"], "--outcome", "done")
    assert closed["state"] == "committed"
    after = person("deal", "show", opened["deal"], sealed=False)
    assert (after["outcome"], after["escrow"]) == ("done", "0")
    assert person("deal", "show", "00" * 32, sealed=False, code=1)["code"] == "tx_unknown_deal"


def test_operators_vote_for_parameters_hubs_and_upgrades(person: Person, node: NodeUnderTest, tmp_path: Path) -> None:
    names = [operator.name for operator in node.home.operators[:3]]
    for operator in node.home.operators[:3]:
        (tmp_path / operator.name).write_text(operator.account.secret.hex() + "\n")
        person.rich("wallet", "import", operator.name, "--key-file", str(tmp_path / operator.name))
        person("tx", "send", "hub", person.address(operator.name), "100")

    def decide(*words: str) -> None:
        for name in names:
            person("validator", "vote", *words, "--home", str(node.home.path), "--from", name)

    decide("parameters", "sponsor_quota=11")
    assert person.rich("query", "parameters")["parameters"]["sponsor_quota"] == 11
    decide("hub", "carl", "carl's hub")
    decide("upgrade", "2", "1000000")
    assert person.rich("query", "upgrade")["planned"] == {"rules": 2, "height": 1_000_000}
    decide("upgrade", "0", "0")
    assert person.rich("query", "upgrade")["planned"] is None
    at = ("--home", str(node.home.path), "--from", names[0])
    assert person("validator", "vote", "parameters", "seats", *at, code=2)["code"] == "usage"
    assert person("validator", "vote", "parameters", "nonsense=1", *at, code=1)["code"] == "malformed"
