"""Transactions that were signed elsewhere, in the place of a key: it gives them out when just those are asked for."""

from collections.abc import Mapping, Sequence

from reconciler.adapters.signing import lower, read_signed
from reconciler.core.effects import Signer
from reconciler.core.errors import ConfigError, Rejected
from reconciler.core.ports import Draft, Keyring, Signed
from reconciler.core.signing import SignedTransactions
from reconciler.core.value import Value

AGAIN = "make a new request with `fleetctl sign-request`"
STALE = "stale_signature"


class Presigned(Value):
    """Implements the Keyring port: keys at hand, and what was signed for those whose keys are not."""

    keys: Keyring
    transactions: Mapping[Signer, Sequence[Signed]]

    def address(self, signer: Signer) -> str:
        return self.keys.address(signer)

    def has(self, signer: Signer) -> bool:
        return self.keys.has(signer)

    def sign_message(self, signer: Signer, text: str) -> str:
        return self.keys.sign_message(signer, text)

    def sign_transaction(self, signer: Signer, draft: Draft) -> Signed:
        """The recorded bytes, if they say what `draft` says with no less gas and fee. Rejected where none do."""
        if signer not in self.transactions or self.keys.has(signer):
            return self.keys.sign_transaction(signer, draft)
        # Of several, the one that is nearest tells most.
        signed = sorted(self.transactions[signer], key=lambda found: abs(found.draft.nonce - draft.nonce))
        reasons = [_misfit(found.draft, lower(draft)) for found in signed]
        if "" in reasons:
            return signed[reasons.index("")]
        message = f"what {signer} signed (nonce {signed[0].draft.nonce}) is stale: {reasons[0]}"
        raise Rejected(message, reason=STALE, hint=AGAIN)


def _misfit(signed: Draft, wanted: Draft) -> str:
    """Why `signed` cannot stand for `wanted`, or ""."""
    if signed.chain_id != wanted.chain_id:
        return f"it is for chain {signed.chain_id}, not {wanted.chain_id}"
    if signed.nonce != wanted.nonce:
        return f"the account's next nonce is {wanted.nonce}"
    if signed.call != wanted.call:
        return "the plan wants something else written now"
    if signed.gas < wanted.gas:
        return f"it takes more gas now, {wanted.gas} instead of {signed.gas}"
    if signed.fees.max_fee < wanted.fees.max_fee:
        return f"fees have risen to {wanted.fees.max_fee} wei, over the {signed.fees.max_fee} that were signed"
    return ""


def read_transactions(
    file: SignedTransactions, where: str, chain_id: int, machines: Mapping[str, str]
) -> dict[Signer, list[Signed]]:
    """By signer, each proved to be signed by its machine for this chain; `machines` are addresses by name."""
    if file.chain_id != chain_id:
        message = f"{where} is for chain {file.chain_id}; the manifest's network is chain {chain_id}"
        raise ConfigError(message, hint="use the manifest that the request was made from")
    found: dict[Signer, list[Signed]] = {}
    for transaction in file.transactions:
        if transaction.machine not in machines:
            raise ConfigError(f"{where}: the manifest names no machine {transaction.machine}", hint=AGAIN)
        what = f"{where}: the transaction of machine {transaction.machine}"
        signed = _proved(transaction.raw, what, chain_id, machines[transaction.machine])
        found.setdefault(Signer("machine", transaction.machine), []).append(signed)
    return found


def _proved(raw: str, what: str, chain_id: int, address: str) -> Signed:
    try:
        sender, signed = read_signed(raw)
    except ValueError:
        raise ConfigError(f"{what} is none", hint=AGAIN) from None
    if sender.lower() != address.lower():
        raise ConfigError(f"{what} is signed by {sender}; the machine is {address}", hint="sign with its own key")
    if signed.draft.chain_id != chain_id:
        raise ConfigError(f"{what} is for chain {signed.draft.chain_id}, not {chain_id}", hint=AGAIN)
    return signed
