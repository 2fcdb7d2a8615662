"""Keys at hand, by who they are for, each checked against the address it is declared for."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyotp

from reconciler.adapters.keys import Key, open_key
from reconciler.adapters.secrets import Missing, Secrets
from reconciler.adapters.totp import open_totp
from reconciler.core.effects import Signer
from reconciler.core.errors import ConfigError
from reconciler.core.fleet import KeyRef, SecretRef
from reconciler.core.ports import Draft, Signed
from reconciler.core.value import Value


class Holder(Value):
    """Who a key is for: its signer, its declared address if any, and where the key is kept if anywhere here."""

    signer: Signer
    address: str | None
    key: KeyRef | None


@dataclass
class HeldKeys:
    """Implements the Keyring port, and makes one-time codes. Keys are opened when first needed and then kept."""

    secrets: Secrets
    holders: Mapping[Signer, Holder]
    totps: Mapping[Signer, SecretRef] = field(default_factory=dict)
    """Where the secrets of those are kept who give one-time codes."""
    former: KeyRef | None = None
    """Where keys are kept of those whom `holders` does not name, with `{name}` or `{address}` in it."""
    _met: dict[Signer, Holder] = field(default_factory=dict, repr=False)
    _generators: dict[Signer, pyotp.TOTP] = field(default_factory=dict, repr=False)
    _open: dict[Signer, Key] = field(default_factory=dict, repr=False)
    _missing: dict[Signer, str] = field(default_factory=dict, repr=False)

    def meet(self, signer: Signer, address: str) -> None:
        """An account that the manifest no longer names: its key is where `former` says, if anywhere."""
        self._met[signer] = Holder(signer, address, self.former and _filled(self.former, signer.name, address))

    def address(self, signer: Signer) -> str:
        return self._holder(signer).address or self._key(signer).address

    def declared(self, signer: Signer) -> bool:
        """True where the manifest says where the key is kept."""
        known = signer in self.holders or signer in self._met
        return signer in self.totps or (known and self._holder(signer).key is not None)

    def has(self, signer: Signer) -> bool:
        """True where the key is at hand. ConfigError where it is there and not fit to use."""
        if not self.declared(signer):
            return False
        if signer not in self._missing:
            try:
                self._totp(signer) if signer in self.totps else self._key(signer)
            except Missing as error:
                self._missing[signer] = error.message
        return signer not in self._missing

    def why_missing(self, signer: Signer) -> str:
        return self._missing.get(signer, "the manifest names no key")

    def sign_transaction(self, signer: Signer, draft: Draft) -> Signed:
        return self._key(signer).sign_transaction(draft)

    def sign_message(self, signer: Signer, text: str) -> str:
        return self._key(signer).sign_message(text)

    def period(self, signer: Signer) -> int:
        return int(self._totp(signer).interval)

    def code(self, signer: Signer, step: int) -> str:
        return self._totp(signer).generate_otp(step)

    def _totp(self, signer: Signer) -> pyotp.TOTP:
        if signer not in self._generators:
            if signer not in self.totps:
                raise Missing(f"{signer} has no secret in the manifest", hint="name it under operator.totp")
            what = f"the TOTP secret of operator {signer.name}"
            self._generators[signer] = open_totp(self.secrets, self.totps[signer], what)
        return self._generators[signer]

    def _holder(self, signer: Signer) -> Holder:
        return self.holders.get(signer) or self._met[signer]

    def _key(self, signer: Signer) -> Key:
        if signer not in self._open:
            holder = self._holder(signer)
            key = open_key(self.secrets, holder.key, f"the key of {signer}")
            if holder.address is not None and key.address.lower() != holder.address.lower():
                raise ConfigError(
                    f"the key of {signer} ({holder.key}) belongs to {key.address}, not to {holder.address}",
                    hint="correct the address or the key reference in the manifest",
                )
            self._open[signer] = key
        return self._open[signer]


def _filled(key: KeyRef, name: str, address: str) -> KeyRef:
    words = {"{name}": name, "{address}": address}
    texts = {part: value for part, value in key if isinstance(value, str)}
    for word, value in words.items():
        texts = {part: text.replace(word, value) for part, text in texts.items()}
    return key.model_copy(update=texts)
