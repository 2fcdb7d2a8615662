"""Protocol v1 where real money moves: to be agreed to before anything of it changes."""

from reconciler.adapters.probes import NOBODY
from reconciler.cli.legacy import LEGACY
from reconciler.cli.wiring import Session
from reconciler.core.effects import ChainCall, ChainGroup
from reconciler.core.fleet import Fleet
from reconciler.core.guards import Refusal
from reconciler.core.plan import Plan, PlannedChange
from reconciler.core.value import replace


async def legacy_refusals(session: Session, plan: Plan, block: int, *, accepted: bool) -> list[Refusal]:
    """On a live network v1 wants consent, and registrations want a chain that still takes them."""
    fleet = session.project.fleet
    changes = [change for change in plan.acting if _is_v1(change, fleet)] if fleet.network.live else []
    found = []
    if changes and not accepted:
        found.append(Refusal("guard.legacy", LEGACY, "pass --accept-legacy if that is what you want"))
    bonds = [call for change in changes for call in _calls(change) if call.to == "identityRegistry" and call.value]
    if bonds and (reason := await _trial(session, bonds[0], block)):
        message = f"a trial registerFor of an unused address reverts: {reason}"
        found.append(Refusal("guard.legacy_closed", message, "v1 registration may have ended here; use protocol v2"))
    return found


def _is_v1(change: PlannedChange, fleet: Fleet) -> bool:
    ours = any(machine.name == change.resource.machine for machine in fleet.of("v1"))
    return ours or change.resource.kind.protocol == "v1"


def _calls(change: PlannedChange) -> list[ChainCall]:
    groups = [step.effect for step in change.steps if isinstance(step.effect, ChainGroup)]
    return [call for group in groups for call in group.calls]


async def _trial(session: Session, like: ChainCall, block: int) -> str:
    """Why registering anybody at all would fail now, or ""."""
    call = replace(like, function="registerFor(address)", args=(NOBODY,))
    sender = session.world.keyring.address(ChainGroup((like,)).signer)
    revert = (await session.world.chain.dry_run(sender, session.world.chain.encode(call), block)).revert
    # An operator that cannot pay is told so by the balance check.
    return "" if "insufficient" in revert.lower() else revert
