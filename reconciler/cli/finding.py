"""Finding the machines that a manifest is to name: by operator, DID or account, whatever protocol they live by."""

from collections.abc import Collection

from reconciler.adapters.machine_logs import machines_in_logs
from reconciler.adapters.terms import standing
from reconciler.cli.wiring import Session
from reconciler.core.adoption import Found
from reconciler.core.errors import ConfigError
from reconciler.core.fleet import Protocol
from reconciler.core.kind import AnyKind
from reconciler.core.ports import Reader
from reconciler.core.value import Value, replace
from reconciler.engine.adopt import identify, machines_of
from reconciler.kinds.peaq_v2.ground import owner_of


async def standing_kinds(session: Session, only: Protocol | None) -> tuple[AnyKind, ...]:
    """Those that can be asked on this chain, of one protocol or of all."""
    found = await standing(session.chain, session.project.fleet.network.contracts)
    there = found & {only} if only else found
    return tuple(kind for kind in session.project.kinds if kind.protocol is None or kind.protocol in there)


class Search(Value):
    session: Session
    kinds: Collection[AnyKind]
    reader: Reader

    async def fleet_of(self, operator: str) -> list[Found]:
        """The machines of an operator, each with an operator that manages it."""
        found = await self._all_of(operator)
        if not found:
            raise ConfigError(f"{operator} has registered no machine here", hint="check the address and the network")
        return [replace(machine, operator=machine.operator or operator) for machine in found]

    async def either(self, who: str) -> list[Found]:
        """Of an operator or a machine, whichever it is; a number is a machine's."""
        machine = await identify(who, self.kinds, self.reader)
        if machine is not None and (machine.operator or machine.protocol == "v2"):
            return [machine]
        found = [] if who.isdecimal() else await self._all_of(who)
        return [replace(m, operator=m.operator or who) for m in found] or [await self.machine(who)]

    async def machine(self, who: str) -> Found:
        if (machine := await identify(who, self.kinds, self.reader)) is not None:
            return machine
        raise ConfigError(f"{who} is not registered here", hint="check the address and the network")

    async def _all_of(self, operator: str) -> list[Found]:
        old = [kind for kind in self.kinds if kind.protocol != "v2"]
        found = await machines_of(operator, old, self.session.project.fleet, self.reader)
        return found + await self._numbered(operator)

    async def _numbered(self, operator: str) -> list[Found]:
        """Those of v2 that it owns or controls now."""
        if not any(kind.protocol == "v2" for kind in self.kinds):
            return []
        network = self.session.project.fleet.network
        registry, last = network.contracts.at("machineRegistry"), self.reader.block
        ever = await machines_in_logs(self.session.rpc, registry, network.chain_id, operator, last)
        numbers = sorted(ever, key=int)
        ours = await self.reader.together(self._is_of(operator, number) for number in numbers)
        return [Found(number, "", "") for number, it_is in zip(numbers, ours, strict=True) if it_is]

    async def _is_of(self, operator: str, number: str) -> bool:
        owner = await owner_of(self.reader, number)
        if owner is None:
            return False
        (controller,) = await self.reader.view("machineRegistry", "controllerOf(uint256)(address)", int(number))
        return operator.lower() in (owner.lower(), controller.lower())
