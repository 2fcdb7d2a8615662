"""Finding the machines of a fleet that is there already, and asking every kind what a manifest would say of them."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence

from reconciler.core.adoption import Adopted, Found
from reconciler.core.errors import ConfigError, FleetError, Unreachable
from reconciler.core.fleet import Fleet
from reconciler.core.kind import AnyKind
from reconciler.core.observation import SHAPES
from reconciler.core.ports import Reader
from reconciler.core.text import quoted


async def machines_of(operator: str, kinds: Collection[AnyKind], fleet: Fleet, read: Reader) -> list[Found]:
    """All machines of an operator, by id: those it registered, and those that registered themselves and are listed.

    Whatever cannot be read is an error: a machine is never left out in silence.
    """
    members = await asyncio.gather(*(kind.members(operator, fleet, read) for kind in kinds))
    accounts = {account.lower() for found in members for account in found} - {operator.lower()}
    found = await asyncio.gather(*(identify(account, kinds, read) for account in accounts))
    ours = [m for m in found if m is not None and m.operator.lower() in ("", operator.lower())]
    return sorted(ours, key=lambda machine: int(machine.id))


async def identify(account: str, kinds: Iterable[AnyKind], read: Reader) -> Found | None:
    """The machine of this account, or of this number, or None where it is not registered."""
    for kind in kinds:
        if (found := await kind.identify(account, read)) is not None:
            return found
    return None


async def adopt(
    machines: Sequence[Found], kinds: Collection[AnyKind], fleet: Fleet, read: Reader, tick: Callable[[], None]
) -> list[list[Adopted]]:
    """What each kind has to say of each machine. Raises what could not be read, with the machine's name."""

    async def one(machine: Found) -> list[Adopted]:
        asked = [kind for kind in kinds if kind.protocol in (None, machine.protocol)]
        parts = await asyncio.gather(*(_ask(kind, machine, fleet, read) for kind in asked))
        tick()
        return list(parts)

    return list(await asyncio.gather(*(one(machine) for machine in machines)))


async def _ask(kind: AnyKind, machine: Found, fleet: Fleet, read: Reader) -> Adopted:
    where = f"{kind.name} of machine {machine.id} ({machine.did})"
    try:
        return await kind.adopt(machine, fleet, read)
    except ConfigError:
        raise
    except FleetError as error:
        hint = error.hint or "nothing was written; try again"
        raise Unreachable(f"cannot be read: {error}", where=where, hint=hint) from None
    except SHAPES as error:
        said = quoted(f"it was answered with data of another shape ({type(error).__name__}: {error})")
        raise Unreachable(said, where=where, hint="nothing was written") from None
