"""Keys behind remote signers: real signatures over real HTTP, believed only where they are what was asked for."""

from collections.abc import Callable
from typing import Any

import pytest
from authority_harness import Serve
from e2e_harness import Yard
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount

from reconciler.adapters.keys import RemoteKey
from reconciler.core.errors import ConfigError, Unreachable
from reconciler.core.fleet import Remote
from reconciler.core.ports import Draft, Fees, Raw
from reconciler.sandbox.node import free_port

TO = "0x00000000000000000000000000000000000000b1"
KINDS = ("web3signer", "clef")
METHODS = {
    "web3signer": {"eth_signTransaction", "eth_sign"},
    "clef": {"account_signTransaction", "account_signData"},
}


class Signer:
    """Web3Signer or Clef, as their documentation has them, with one key."""

    def __init__(self, kind: str, account: LocalAccount) -> None:
        self.kind, self.account = kind, account
        self.asked: list[str] = []
        self.edit: dict[str, Any] = {}
        """What its user changes in a transaction before it is signed."""
        self.answer: Any = None
        """Given instead of any signature."""

    def __call__(self, method: str, path: str, headers: Any, body: Any) -> tuple[int, Any]:
        assert (method, body["jsonrpc"]) == ("POST", "2.0")
        name, params = body["method"], body["params"]
        self.asked.append(name)
        if self.answer is not None:
            return 200, {"jsonrpc": "2.0", "id": body["id"], **self.answer}
        if name not in METHODS[self.kind]:
            return 200, {"jsonrpc": "2.0", "id": body["id"], "error": {"code": -32601, "message": "no such method"}}
        return 200, {"jsonrpc": "2.0", "id": body["id"], "result": self._sign(name, params)}

    def _sign(self, name: str, params: list[Any]) -> object:
        if "Transaction" in name:
            raw = self._transaction({**params[0], **self.edit})
            return raw if self.kind == "web3signer" else {"raw": raw, "tx": {}}
        if self.kind == "clef":
            assert params[0] == "text/plain"
            params = params[1:]
        address, data = params
        assert address.startswith("0x")
        assert data.startswith("0x")
        message = encode_defunct(hexstr=data)
        return "0x" + bytes(self.account.sign_message(message).signature).hex()

    def _transaction(self, given: dict[str, Any]) -> str:
        quantities = {"gas", "value", "nonce", "chainId", "gasPrice", "maxFeePerGas", "maxPriorityFeePerGas"}
        assert all(str(given[name]).startswith("0x") for name in quantities & given.keys())
        transaction = {k: int(v, 16) if k in quantities else v for k, v in given.items() if k != "from"}
        transaction |= {"type": 2} if "maxFeePerGas" in given else {}
        return "0x" + bytes(self.account.sign_transaction(transaction).raw_transaction).hex()


def draft(*, tip: int | None = 10**9, nonce: int = 7, data: str = "0xdeadbeef") -> Draft:
    return Draft(nonce, Raw(TO, data, 5), 90_000, Fees(3 * 10**9, tip), 31338)


def held(serve: Serve, kind: Any) -> tuple[RemoteKey, Signer]:
    account = Account.create()
    signer = Signer(kind, account)
    return RemoteKey(Remote(url=serve(signer), address=account.address, kind=kind)), signer


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tip", [10**9, 0, None])
@pytest.mark.parametrize("nonce", [0, 300])
def test_a_transaction_is_signed_as_it_was_drafted(serve: Serve, kind: str, tip: int | None, nonce: int) -> None:
    key, signer = held(serve, kind)
    signed = key.sign_transaction(draft(tip=tip, nonce=nonce, data="0x" if nonce else "0xdeadbeef"))
    assert Account.recover_transaction(signed.raw) == signer.account.address
    assert (signed.raw[:4] == "0x02") is (tip is not None)
    text = f"Machine {kind}: prove it\nnow – ünïcode"
    recovered = Account.recover_message(encode_defunct(text=text), signature=key.sign_message(text))
    assert recovered == key.address == signer.account.address
    assert set(signer.asked) == METHODS[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_not_asked_for_is_refused(serve: Serve, kind: str) -> None:
    key, signer = held(serve, kind)
    edits = {
        "to": "0x" + "12" * 20, "value": "0x6", "data": "0xdeadbeee", "nonce": "0x8", "gas": "0x15f91",
        "chainId": "0xd0a", "maxFeePerGas": "0xb2d05e01", "maxPriorityFeePerGas": "0x3b9aca01",
    }  # fmt: skip
    for name, value in edits.items():
        signer.edit = {name: value}
        with pytest.raises(ConfigError, match="another transaction than was asked for"):
            key.sign_transaction(draft())
    for name, value in {"chainId": "0xd0a", "gasPrice": "0xb2d05e01", "nonce": "0x8"}.items():
        signer.edit = {name: value}
        with pytest.raises(ConfigError, match="another transaction than was asked for"):
            key.sign_transaction(draft(tip=None))


@pytest.mark.parametrize("kind", KINDS)
def test_another_key_is_refused(serve: Serve, kind: str) -> None:
    key, signer = held(serve, kind)
    signer.account = Account.create()
    with pytest.raises(ConfigError, match="signed with another key"):
        key.sign_transaction(draft())
    with pytest.raises(ConfigError, match="signed with another key"):
        key.sign_message("prove it")


ANSWERS = [
    ({"error": {"code": -32000, "message": "Request denied"}}, "Request denied"),
    ({"result": None}, "what it answered is no"),
    ({"result": "0x"}, "what it answered is no"),
    ({"result": "yes"}, "what it answered is no"),
    ({"result": {"raw": "0x02f8"}}, "what it answered is no"),
    ({"error": "odd"}, "no result"),
]


@pytest.mark.parametrize(("answer", "why"), ANSWERS)
def test_an_answer_that_is_no_signature_is_told_clearly(serve: Serve, answer: Any, why: str) -> None:
    key, signer = held(serve, "clef")
    signer.answer = answer
    for sign in (lambda: key.sign_transaction(draft()), lambda: key.sign_message("prove it")):
        with pytest.raises(ConfigError, match=why):
            sign()


def test_a_signer_that_is_down_may_be_tried_again() -> None:
    address = Account.create().address
    key = RemoteKey(Remote(url=f"http://127.0.0.1:{free_port()}/secret-path", address=address))
    for sign in (lambda: key.sign_transaction(draft()), lambda: key.sign_message("prove it")):
        with pytest.raises(Unreachable, match="no answer from the signer at http") as down:
            sign()
        assert "secret-path" not in str(down.value)


@pytest.mark.parametrize("url", ["http://signer.example.com:9000", "http://127.0.0.1.example.com", "ftp://127.0.0.1"])
def test_it_is_asked_over_https_or_at_home_only(url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        Remote(url=url, address=TO)


# --- the whole


def remote(serve: Serve, kind: str, account: LocalAccount) -> tuple[dict[str, Any], Signer]:
    signer = Signer(kind, account)
    return {"remote": {"url": serve(signer), "address": account.address, "kind": kind}}, signer


def test_a_fleet_whose_keys_are_all_elsewhere(new_yard: Callable[..., Yard], serve: Serve) -> None:
    """The operator behind Web3Signer, the machine and the agent behind Clef: nothing else could have signed."""
    yard = new_yard(1)
    del yard.environ["PEAQOS_PRIVATE_KEY"]
    for path in (yard.root / "keys").iterdir():
        path.unlink()
    yard.manifest["operator"]["key"], operator = remote(serve, "web3signer", yard.operator)
    yard.machine("air-001")["key"], machine = remote(serve, "clef", yard.accounts["air-001"])
    yard.manifest["agents"]["ops"]["key"], agent = remote(serve, "clef", yard.agent)

    assert yard.run("plan").code == 0
    assert not operator.asked + machine.asked + agent.asked  # planning signs nothing

    operator.answer = {"error": {"code": -32000, "message": "Request denied"}}
    before = yard.footprint()
    ran = yard.run("apply", "--yes")
    assert ran.code == 5, ran.said
    assert "Request denied" in ran.said
    assert yard.footprint() == before

    operator.answer = None
    ran = yard.run("apply", "--yes")
    assert ran.code == 0, ran.said
    yard.check_converged()
    yard.check_quiet()
    assert set(operator.asked) == {"eth_signTransaction"}
    assert set(machine.asked) == {"account_signTransaction", "account_signData"}
    assert set(agent.asked) == {"account_signData"}

    yard.manifest["agents"]["ops"]["key"]["remote"]["url"] = f"http://127.0.0.1:{free_port()}"
    old = yard.token("air-001")
    ran = yard.run("rotate", "--all", "--timeout", "2")
    assert ran.code == 5, ran.said
    assert "no answer from the signer at http://127.0.0.1" in ran.said
    assert yard.search(old) == 201
