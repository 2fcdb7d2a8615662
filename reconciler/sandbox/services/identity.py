"""MCR's reading of the chain: which machine a reference names, and when it becomes visible."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from eth_utils.address import is_hex_address, to_checksum_address

from reconciler.sandbox.services.chainview import ChainUnavailable, ChainView, Facts, MachineFacts
from reconciler.sandbox.services.clock import now_ms
from reconciler.sandbox.services.faults import Faults

_DID = "did:peaq:"
_NUMBERED = re.compile(r"(did:peaq:|peaqos:machine:)(0|[1-9][0-9]{0,77})")
_HASHED = 1 << 64
"""v1 counts its machines, v2 numbers them by a hash: an id below this is surely a count."""


@dataclass(frozen=True)
class Reference:
    """A parsed identityRef: an address or a machine id of v1, or a token of v2."""

    address: str | None = None
    machine_id: int | None = None
    token: int | None = None


def parse_reference(text: str) -> Reference | None:
    """The reference in the forms of either generation, or nothing."""
    address = text.removeprefix(_DID)
    if text.startswith(_DID + "0x") and is_hex_address(address):
        return Reference(address=to_checksum_address(address))
    numbered = _NUMBERED.fullmatch(text)
    if numbered is None or int(numbered[2]) >= 1 << 256:
        return None
    number = int(numbered[2])
    is_v2 = numbered[1] == _DID or number >= _HASHED
    return Reference(token=number) if is_v2 else Reference(machine_id=number)


def did_of(address: str) -> str:
    return _DID + address


@dataclass
class _Sighting:
    first_ms: int
    reads: int


class Mcr:
    """Resolves machines from the chain. What it does not (yet) see does not exist for anyone downstream."""

    def __init__(self, chain: ChainView, faults: Faults) -> None:
        self._chain = chain
        self._faults = faults
        self._sightings: dict[str, _Sighting] = {}

    async def resolve(self, references: Sequence[Reference]) -> list[Facts | None]:
        """The machine each reference names, where MCR has caught up.

        Raises ChainUnavailable when MCR cannot say.
        """
        self.check_available()
        registered = iter(await self._registered([ref for ref in references if ref.token is None]))
        minted = iter(await self._chain.minted([ref.token for ref in references if ref.token is not None]))
        found: list[Facts | None] = [next(registered) if ref.token is None else next(minted) for ref in references]
        return [fact if fact is not None and self._caught_up(fact.did) else None for fact in found]

    async def _registered(self, references: Sequence[Reference]) -> list[MachineFacts | None]:
        """Machines of v1, where their own key bound `machineId`."""
        by_address = await self._by_id_attribute(references)
        ids = [ref.machine_id or by_address.get(ref.address or "") or 0 for ref in references]
        facts = dict(zip(ids, await self._chain.machines(ids), strict=True)) if ids else {}
        found = [
            fact if fact is not None and (ref.address is None or fact.wallet == ref.address) else None
            for ref, fact in zip(references, (facts.get(machine_id) for machine_id in ids), strict=True)
        ]
        by_id = [f for ref, f in zip(references, found, strict=True) if f is not None and ref.address is None]
        bound = await self._bound(by_id) | set(by_address)
        return [f if f is not None and f.wallet in bound else None for f in found]

    async def resolve_one(self, reference: Reference) -> Facts | None:
        (fact,) = await self.resolve([reference])
        return fact

    def controllers(self, fact: Facts) -> list[str]:
        """Who may sign for a machine; nobody for one of v2 without a controller."""
        addresses = fact.signers
        if self._faults.switches.operatorIsController and fact.operator is not None:
            addresses.append(fact.operator)
        return addresses

    def check_available(self) -> None:
        if self._faults.switches.mcrUnavailable:
            raise ChainUnavailable("MCR is switched off")

    async def _by_id_attribute(self, references: Sequence[Reference]) -> dict[str, int]:
        addresses = [ref.address for ref in references if ref.address is not None]
        values = await self._chain.attributes([(address, "machineId") for address in addresses])
        return {
            address: int(value)
            for address, value in zip(addresses, values, strict=True)
            if value is not None and value.isascii() and value.isdigit() and len(value) < 78
        }

    async def _bound(self, facts: Sequence[MachineFacts]) -> set[str]:
        """Wallets whose own DID names the machine: a reference by id needs the binding as well."""
        values = await self._chain.attributes([(fact.wallet, "machineId") for fact in facts])
        return {f.wallet for f, value in zip(facts, values, strict=True) if value == str(f.machine_id)}

    def _caught_up(self, did: str) -> bool:
        switches = self._faults.switches
        sighting = self._sightings.setdefault(did, _Sighting(now_ms(), 0))
        if switches.mcrLagMs == 0 and switches.mcrLagReads == 0:
            # Seen without lag is seen for good: a lag set later delays only machines bound later.
            sighting.first_ms, sighting.reads = 0, 1 << 31
            return True
        sighting.reads += 1
        return sighting.reads > switches.mcrLagReads and now_ms() - sighting.first_ms >= switches.mcrLagMs
