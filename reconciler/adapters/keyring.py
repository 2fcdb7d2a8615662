"""Keys at hand: read from where the manifest says, checked against the address they are for, never shown."""

import json
import os
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address

from reconciler.core.effects import Signer
from reconciler.core.errors import ConfigError
from reconciler.core.fleet import KeyRef, SecretRef
from reconciler.core.ports import Draft, Signed

COMMAND_SECONDS = 60


class Missing(ConfigError):
    """The place is empty: no such variable, file or entry. Not a mistake where the key may live elsewhere."""

    code = "key.missing"


@dataclass(frozen=True)
class Holder:
    """Who a key is for: its signer, its declared address if any, and where the key is kept if anywhere here."""

    signer: Signer
    address: str | None
    key: KeyRef | None


class Secrets:
    """Resolves references. `root` is the manifest's directory."""

    def __init__(self, root: Path, environ: Mapping[str, str] = os.environ) -> None:
        self._root = root
        self.environ = environ

    def path(self, name: str) -> Path:
        return self._root / Path(name).expanduser()

    def read(self, ref: SecretRef, what: str) -> str:
        """The secret, stripped. Missing where its place is empty, ConfigError where it is there and not fit."""
        if ref.env is not None:
            value = self.environ.get(ref.env, "").strip()
            if not value:
                raise Missing(f"{what}: environment variable {ref.env} is not set", hint=f"export {ref.env}=…")
            return value
        if ref.file is not None:
            return self._file(self.path(ref.file), what)
        return self._command(ref.command or "", what)

    def _file(self, path: Path, what: str) -> str:
        try:
            mode = path.stat().st_mode
            text = path.read_text().strip()
        except FileNotFoundError:
            raise Missing(
                f"{what}: no file {path}", hint="`fleetctl keys generate` makes missing machine keys"
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{what}: cannot read {path}: {type(error).__name__}", hint="check the file") from None
        if stat.S_IMODE(mode) & 0o077:
            raise ConfigError(f"{what}: {path} can be read by others", hint=f"chmod 600 {path}")
        return text

    def _command(self, command: str, what: str) -> str:
        try:
            done = subprocess.run(
                command,
                shell=True,
                cwd=self._root,
                capture_output=True,
                text=True,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
            raise ConfigError(f"{what}: its command did not finish", hint="run the command by hand") from None
        if done.returncode or not done.stdout.strip():
            why = f"failed with exit code {done.returncode}" if done.returncode else "printed nothing"
            raise ConfigError(f"{what}: its command {why}", hint="run the command by hand")
        return done.stdout.strip()


@dataclass
class LocalKeyring:
    """Implements the Keyring port with keys in this process. Keys are opened when first needed and then kept."""

    secrets: Secrets
    holders: Mapping[Signer, Holder]
    _open: dict[Signer, LocalAccount] = field(default_factory=dict, repr=False)
    _missing: dict[Signer, str] = field(default_factory=dict, repr=False)

    def address(self, signer: Signer) -> str:
        return self.holders[signer].address or self._account(signer).address

    def declared(self, signer: Signer) -> bool:
        """True where the manifest says where the key is kept."""
        return signer in self.holders and self.holders[signer].key is not None

    def has(self, signer: Signer) -> bool:
        """True where the key is at hand. ConfigError where it is there and not fit to use."""
        if not self.declared(signer):
            return False
        if signer not in self._missing:
            try:
                self._account(signer)
            except Missing as error:
                self._missing[signer] = error.message
        return signer not in self._missing

    def why_missing(self, signer: Signer) -> str:
        return self._missing.get(signer, "the manifest names no key")

    def sign_transaction(self, signer: Signer, draft: Draft) -> Signed:
        fees: dict[str, int] = {"gasPrice": draft.fees.max_fee}
        if draft.fees.tip is not None:
            fees = {"type": 2, "maxFeePerGas": draft.fees.max_fee, "maxPriorityFeePerGas": draft.fees.tip}
        transaction: dict[str, Any] = {
            "chainId": draft.chain_id,
            "nonce": draft.nonce,
            "to": to_checksum_address(draft.call.to),
            "value": draft.call.value,
            "data": draft.call.data,
            "gas": draft.gas,
            **fees,
        }
        signed = self._account(signer).sign_transaction(transaction)
        return Signed(
            "0x" + signed.hash.hex().removeprefix("0x"), "0x" + signed.raw_transaction.hex().removeprefix("0x")
        )

    def sign_message(self, signer: Signer, text: str) -> str:
        return _hex(self._account(signer).sign_message(encode_defunct(text=text)).signature)

    def _account(self, signer: Signer) -> LocalAccount:
        if signer not in self._open:
            holder = self.holders[signer]
            account = open_key(self.secrets, holder.key, f"the key of {signer}")
            if holder.address is not None and account.address.lower() != holder.address.lower():
                raise ConfigError(
                    f"the key of {signer} ({holder.key}) belongs to {account.address}, not to {holder.address}",
                    hint="correct the address or the key reference in the manifest",
                )
            self._open[signer] = account
        return self._open[signer]


def open_key(secrets: Secrets, ref: KeyRef | None, what: str) -> LocalAccount:
    """The account behind a key reference. Missing or ConfigError; neither ever holds key material."""
    if ref is None:
        raise Missing(f"{what}: the manifest names no key", hint="add `key:` to it")
    if ref.keystore is not None:
        return _from_keystore(secrets, ref, what)
    text = secrets.read(ref, what)
    try:
        account: LocalAccount = Account.from_key(text)
        return account
    except Exception:
        raise ConfigError(f"{what} ({ref}) is not a private key", hint="it must be 32 bytes in hex, 0x first") from None


def keystore_address(secrets: Secrets, ref: KeyRef) -> str | None:
    """The address a keystore file states in the clear, without its password; None where it does not."""
    if ref.keystore is None:
        return None
    try:
        address = json.loads(secrets.path(ref.keystore).read_text()).get("address")
        return str(to_checksum_address("0x" + address.removeprefix("0x")))
    except (OSError, ValueError, AttributeError, TypeError):
        return None


def _from_keystore(secrets: Secrets, ref: KeyRef, what: str) -> LocalAccount:
    path = secrets.path(ref.keystore or "")
    if not path.exists():
        raise Missing(f"{what}: no keystore {path}", hint="check the path")
    if ref.password is None:
        raise ConfigError(f"{what}: keystore {path} has no password reference", hint="add `password: {env: …}`")
    password = secrets.read(ref.password, f"the password of {path.name}")
    try:
        account: LocalAccount = Account.from_key(Account.decrypt(path.read_text(), password))
        return account
    except Exception:
        raise ConfigError(f"{what}: {path} does not open with its password", hint="check file and password") from None


def _hex(data: bytes) -> str:
    return "0x" + bytes(data).hex()
