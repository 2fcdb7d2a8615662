"""Finding the machines that a manifest is to name: by operator, DID or account, whatever protocol they live by."""

import re
from collections.abc import Callable, Collection

from reconciler.adapters.fleet_list import listed
from reconciler.adapters.terms import standing
from reconciler.cli.wiring import Session
from reconciler.core.adoption import Found
from reconciler.core.errors import ConfigError, Rejected, Unreachable
from reconciler.core.fleet import Protocol
from reconciler.core.kind import AnyKind
from reconciler.core.minted import owner_of
from reconciler.core.ports import Reader
from reconciler.core.value import Value, replace
from reconciler.engine.adopt import identify, machines_of

NUMBER = re.compile(r"did:peaq:([0-9]{1,78})")
MOST_LISTED = 100_000


async def standing_kinds(session: Session, only: Protocol | None) -> tuple[AnyKind, ...]:
    """Those that can be asked on this chain, of one protocol or of all."""
    found = await standing(session.chain, session.project.fleet.network.contracts)
    there = found & {only} if only else found
    return tuple(kind for kind in session.project.kinds if kind.protocol is None or kind.protocol in there)


class Search(Value):
    session: Session
    kinds: Collection[AnyKind]
    reader: Reader
    say: Callable[[str], None]

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
        numbers = sorted(await self._known_of(operator), key=int)
        ours = await self.reader.together(self._is_of(operator, number) for number in numbers)
        return [Found(number, "", "") for number, it_is in zip(numbers, ours, strict=True) if it_is]

    async def _known_of(self, operator: str) -> Collection[str]:
        """By the chain's logs, which know all; where a node does not search them, by the MCR API, and that is said."""
        try:
            return await self.reader.minted_for(operator)
        except Unreachable as unsearched:
            if self.session.mcr is None:
                raise
            try:
                entries = [entry async for entry in listed(self.session.mcr, operator, MOST_LISTED)]
            except (Unreachable, Rejected):
                raise unsearched from None
            self.say(f"{unsearched}; so v2 machines are those that the MCR API lists, which may lag behind the chain")
            return {str(int(number[1])) for entry in entries if (number := NUMBER.fullmatch(str(entry.get("did"))))}

    async def _is_of(self, operator: str, number: str) -> bool:
        owner = await owner_of(self.reader, number)
        if owner is None:
            return False
        (controller,) = await self.reader.view("machineRegistry", "controllerOf(uint256)(address)", int(number))
        return operator.lower() in (owner.lower(), controller.lower())
