"""Private keys, wherever they are kept: in this process or behind a remote signer."""

import json
from typing import Protocol

import httpx
from eth_utils.address import to_checksum_address

from reconciler.adapters.exchange import exchange_now, trouble
from reconciler.adapters.redact import host_of, secrets_of, without
from reconciler.adapters.secrets import Missing, Secrets
from reconciler.adapters.signing import LocalKey, lower, read_signed
from reconciler.core.errors import ConfigError, Unreachable
from reconciler.core.fleet import KeyRef, Remote
from reconciler.core.ports import Draft, Signed

REMOTE_SECONDS = 60.0


class Key(Protocol):
    """Signs for one address."""

    @property
    def address(self) -> str: ...
    def sign_transaction(self, draft: Draft) -> Signed: ...
    def sign_message(self, text: str) -> str:
        """EIP-191 signature, 65 bytes as 0x-hex."""
        ...


class RemoteKey:
    """A key behind the JSON-RPC of Web3Signer or Clef: it signs, and the key never comes here."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    @property
    def address(self) -> str:
        return str(to_checksum_address(self._remote.address))

    def sign_transaction(self, draft: Draft) -> Signed:
        fees = {"gasPrice": hex(draft.fees.max_fee)}
        if draft.fees.tip is not None:
            fees = {"maxFeePerGas": hex(draft.fees.max_fee), "maxPriorityFeePerGas": hex(draft.fees.tip)}
        transaction = {
            "from": self.address,
            "to": to_checksum_address(draft.call.to),
            "gas": hex(draft.gas),
            "value": hex(draft.call.value),
            "data": draft.call.data,
            "nonce": hex(draft.nonce),
            "chainId": hex(draft.chain_id),
            **fees,
        }
        clef = self._remote.kind == "clef"
        answer = self._ask("account_signTransaction" if clef else "eth_signTransaction", transaction)
        raw = answer.get("raw") if isinstance(answer, dict) else answer
        try:
            signer, signed = read_signed(str(raw))
        except ValueError:
            raise self._error("what it answered is no signed transaction") from None
        if signer != self.address:
            raise self._error("it signed with another key")
        # Clef lets its user edit what is signed; ours is what was planned, simulated and will be recorded.
        if signed.draft != lower(draft):
            raise self._error("it signed another transaction than was asked for")
        return signed

    def sign_message(self, text: str) -> str:
        data = "0x" + text.encode().hex()
        from eth_account import Account
        from eth_account.messages import encode_defunct

        if self._remote.kind == "clef":
            signature = self._ask("account_signData", "text/plain", self.address, data)
        else:
            signature = self._ask("eth_sign", self.address, data)
        try:
            signer = Account.recover_message(encode_defunct(text=text), signature=signature)
        except Exception:
            raise self._error("what it answered is no signature") from None
        if signer != self.address:
            raise self._error("it signed with another key")
        return str(signature)

    def _ask(self, method: str, *params: object) -> object:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        try:
            answer = exchange_now("POST", self._remote.url, seconds=REMOTE_SECONDS, json=body).json()
        except (httpx.HTTPError, ValueError) as error:
            where = host_of(self._remote.url)
            raise Unreachable(f"no answer from the signer at {where}: {trouble(error)}") from None
        if not isinstance(answer, dict) or "result" not in answer:
            problem = answer.get("error") if isinstance(answer, dict) else None
            said = problem.get("message") if isinstance(problem, dict) else "no result"
            raise self._error(without(str(said), secrets_of(self._remote.url)))
        return answer["result"]

    def _error(self, why: str) -> ConfigError:
        where = host_of(self._remote.url)
        return ConfigError(f"the signer at {where} did not sign for {self.address}: {why}", hint="check key.remote")


def open_key(secrets: Secrets, ref: KeyRef | None, what: str) -> Key:
    """The key behind a reference. Missing or ConfigError; neither ever holds key material."""
    if ref is None:
        raise Missing(f"{what}: the manifest names no key", hint="add `key:` to it")
    if ref.remote is not None:
        return RemoteKey(ref.remote)
    if ref.keystore is not None:
        return _from_keystore(secrets, ref, what)
    text = secrets.read(ref, what)
    try:
        return LocalKey(bytes.fromhex(text.removeprefix("0x")))
    except Exception:
        raise ConfigError(f"{what} ({ref}) is not a private key", hint="it must be 32 bytes in hex, 0x first") from None


def stated_address(secrets: Secrets, ref: KeyRef) -> str | None:
    """The address that a reference or a keystore file states in the clear; None where neither does."""
    if ref.remote is not None:
        return ref.remote.address
    if ref.keystore is None:
        return None
    try:
        address = json.loads(secrets.path(ref.keystore).read_text()).get("address")
        return str(to_checksum_address("0x" + address.removeprefix("0x")))
    except (OSError, ValueError, AttributeError, TypeError):
        return None


def _from_keystore(secrets: Secrets, ref: KeyRef, what: str) -> Key:
    path = secrets.path(ref.keystore or "")
    if not path.exists():
        raise Missing(f"{what}: no keystore {path}", hint="check the path")
    if ref.password is None:
        raise ConfigError(f"{what}: keystore {path} has no password reference", hint="add `password: {env: …}`")
    password = secrets.read(ref.password, f"the password of {path.name}")
    try:
        from eth_account import Account

        return LocalKey(bytes(Account.decrypt(path.read_text(), password)))
    except Exception:
        raise ConfigError(f"{what}: {path} does not open with its password", hint="check file and password") from None
