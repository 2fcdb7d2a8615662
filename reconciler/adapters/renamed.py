"""Journal and sink of a fleet with renamed machines: what is kept goes on under the names it was begun with."""

from collections.abc import Mapping, Sequence
from functools import cached_property

from reconciler.core.ports import Entry, Journal, Label, Mined, Receipt, Sent, Stored
from reconciler.core.ports import Sink as Kept
from reconciler.core.value import Value, replace


def _with(names: Mapping[str, str], name: str) -> str:
    """`machine/rest` with the machine as it is called on the other side."""
    machine, slash, rest = name.partition("/")
    return f"{names.get(machine, machine)}{slash}{rest}"


def _address(names: Mapping[str, str], address: str) -> str:
    kind, slash, name = address.partition("/")
    return f"{kind}{slash}{_with(names, name)}"


def _label(names: Mapping[str, str], label: Label) -> Label:
    return replace(label, address=_address(names, label.address))


class RenamedSink(Value):
    """Implements the Sink port."""

    sink: Kept
    names: Mapping[str, str]
    """Old names by new ones."""

    def write(self, name: str, secret: str) -> None:
        self.sink.write(_with(self.names, name), secret)

    def stored(self, name: str) -> Stored:
        return self.sink.stored(_with(self.names, name))


class RenamedJournal(Value, dict=True):
    """Implements the Journal port."""

    journal: Journal
    names: Mapping[str, str]
    """Old names by new ones."""

    @cached_property
    def _news(self) -> Mapping[str, str]:
        """New names by old ones."""
        return {old: new for new, old in self.names.items()}

    def _new(self, label: Label) -> Label:
        return _label(self._news, label)

    async def signed(self, sent: Sent) -> None:
        await self.journal.signed(replace(sent, labels=tuple(_label(self.names, label) for label in sent.labels)))

    async def mined(self, mined: Mined) -> None:
        await self.journal.mined(mined)

    async def settled(self, tx_hash: str, outcome: str) -> None:
        await self.journal.settled(tx_hash, outcome)

    async def requested(self, label: Label, request: str) -> int:
        return await self.journal.requested(_label(self.names, label), request)

    async def answered(self, number: int, outcome: str) -> None:
        await self.journal.answered(number, outcome)

    async def keep(self, receipt: Receipt) -> None:
        await self.journal.keep(replace(receipt, name=_with(self.names, receipt.name)))

    def unsettled(self) -> Sequence[Sent]:
        return [replace(sent, labels=tuple(map(self._new, sent.labels))) for sent in self.journal.unsettled()]

    def unanswered(self) -> Sequence[tuple[int, Label, str]]:
        return [(number, self._new(label), request) for number, label, request in self.journal.unanswered()]

    def requests(self, label: Label) -> Sequence[tuple[str, str]]:
        return self.journal.requests(_label(self.names, label))

    def receipt(self, name: str) -> Receipt | None:
        found = self.journal.receipt(_with(self.names, name))
        return None if found is None else replace(found, name=name)

    async def remember(self, fleet: str, converged: Mapping[str, str]) -> None:
        await self.journal.remember(fleet, {_address(self.names, name): body for name, body in converged.items()})

    def remembered(self, fleet: str) -> Mapping[str, str]:
        return {_address(self._news, name): body for name, body in self.journal.remembered(fleet).items()}

    def signers(self) -> Sequence[tuple[str, str]]:
        return [(_address(self._news, signer), sender) for signer, sender in self.journal.signers()]

    def subjects(self, kind: str) -> Sequence[tuple[str, str]]:
        return [(_address(self._news, address), subject) for address, subject in self.journal.subjects(kind)]

    def entries(self, limit: int = 1000) -> Sequence[Entry]:
        return self.journal.entries(limit)
