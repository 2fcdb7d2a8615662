"""Files for keys kept elsewhere: a request for signatures, and the signed transactions that come back. No secrets."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError

from reconciler.core.errors import ConfigError
from reconciler.core.ports import Draft, Fees, Raw
from reconciler.core.section import EvmAddress, Name, Section

FileT = TypeVar("FileT", bound="Digested")
Hex = Annotated[str, Field(pattern=r"^0x([0-9a-f]{2})*$")]
Wei = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]*)$", max_length=78, description="Wei, as decimal text")]
Moment = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", description="UTC, ISO 8601")]
Count = Annotated[int, Field(ge=0, lt=2**64)]


class Digested(Section):
    """A file that says of itself what it should hold, so that an accident or a clumsy change is noticed."""

    format_version: Literal["1.0"] = "1.0"
    digest: str = ""
    """SHA-256 over everything else, as JSON with sorted keys and no spaces."""

    def expected_digest(self) -> str:
        content = self.model_dump(mode="json", by_alias=True, exclude={"digest"})
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def text(self) -> str:
        """The file, with its digest."""
        whole = self.model_copy(update={"digest": self.expected_digest()})
        return json.dumps(whole.model_dump(mode="json", by_alias=True), indent=2) + "\n"


class Write(Section):
    """One attribute that a transaction writes into its signer's own DID, or removes."""

    action: Literal["add", "update", "remove"]
    attribute: str
    value: str | None = None


Said = str | tuple[str, ...]


class Call(Section):
    """One call of a contract of protocol v2, in words."""

    contract: str
    """Its key under network.contracts."""
    function: str
    arguments: Mapping[str, Said]
    """What is called by what it is, e.g. `machine: did:peaq:…`; lists in their order."""


Deed = Write | Call


class Transaction(Section):
    """What one machine is asked to sign."""

    machine: Name
    """The machine's name in the manifest."""
    signer: EvmAddress
    step: str
    """What it does, in the words of the plan."""
    writes: tuple[Deed, ...]
    """The same, attribute by attribute and call by call: what `data` must say, or it is not signed."""
    nonce: Count
    to: Hex
    data: Hex
    value: Wei
    gas: Count
    max_fee_per_gas: Wei
    max_priority_fee_per_gas: Wei | None = None
    """Left out on a chain without EIP-1559."""

    @classmethod
    def of(cls, draft: Draft, **words: Any) -> "Transaction":
        """`draft` in this form, with who signs it and what it does."""
        tip = None if draft.fees.tip is None else str(draft.fees.tip)
        call = {"to": draft.call.to.lower(), "data": draft.call.data.lower(), "value": str(draft.call.value)}
        fees = {"max_fee_per_gas": str(draft.fees.max_fee), "max_priority_fee_per_gas": tip}
        return cls(nonce=draft.nonce, gas=draft.gas, **call, **fees, **words)

    def draft(self, chain_id: int) -> Draft:
        tip = None if self.max_priority_fee_per_gas is None else int(self.max_priority_fee_per_gas)
        fees = Fees(int(self.max_fee_per_gas), tip)
        return Draft(self.nonce, Raw(self.to, self.data, int(self.value)), self.gas, fees, chain_id)


class SigningRequest(Digested):
    """Transactions to be signed where the keys are."""

    kind: Literal["SigningRequest"] = "SigningRequest"
    fleet: Name
    network: str
    chain_id: int = Field(ge=1)
    created: Moment
    good_until: Moment
    """When fees are likely to have outgrown the request: a hint, nothing ends then."""
    transactions: tuple[Transaction, ...]


class SignedTransaction(Section):
    machine: Name
    signer: EvmAddress
    raw: Hex
    """The signed transaction, as it goes to the chain."""


class SignedTransactions(Digested):
    """What came of a request: transactions for `apply --signed`."""

    kind: Literal["SignedTransactions"] = "SignedTransactions"
    request: str
    """Digest of the request."""
    chain_id: int = Field(ge=1)
    transactions: tuple[SignedTransaction, ...]


def parse_file(wanted: type[FileT], text: str, where: str) -> FileT:
    """The content of a file; ConfigError where it is of another kind or version, or was changed."""
    try:
        found = wanted.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        message = f"{where} is no {wanted.__name__} of version 1.0: {place}: {first['msg']}"
        raise ConfigError(message, hint="use the file that `fleetctl sign-request` or `fleetctl sign` wrote") from None
    if found.digest != found.expected_digest():
        hint = "make a new one; whoever changed it may have changed what is signed"
        raise ConfigError(f"{where} was changed since it was written: its digest does not fit", hint=hint)
    return found
