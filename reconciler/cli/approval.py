"""What an apply may do: anything that the manifest asks for, or what a saved plan has in it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import click

from reconciler.adapters.deployed import deployed
from reconciler.adapters.git import checkout
from reconciler.adapters.signing import signer_of_message
from reconciler.cli.handed import read_text
from reconciler.cli.options import Options
from reconciler.cli.selecting import Choice
from reconciler.cli.wiring import Project, Session
from reconciler.core.errors import StalePlan, Unreachable, UnsafePlan
from reconciler.core.plan import Plan, Scene
from reconciler.core.saved import SavedPlan, read_saved
from reconciler.core.staleness import AGAIN, approved
from reconciler.core.value import Value

HOW_TO_SIGN = "make one with `fleetctl plan --out plan.json --sign`, then `fleetctl apply plan.json`"


class Approval(Protocol):
    @property
    def asks(self) -> bool:
        """True where somebody has yet to agree."""
        ...

    def choice(self, given: Choice) -> Choice:
        """What it is about; `given` is what the options of apply say."""
        ...

    async def check(self, session: Session) -> None:
        """Raises StalePlan where the world is another one than was planned for."""
        ...

    def narrow(self, plan: Plan, scene: Scene) -> Plan:
        """What of `plan` may be done. Raises StalePlan where that is not what was approved."""
        ...


class Anything(Value):
    """Without a saved plan: what the manifest asks for, once somebody agreed."""

    asks: bool = True

    def choice(self, given: Choice) -> Choice:
        return given

    async def check(self, session: Session) -> None: ...

    def narrow(self, plan: Plan, scene: Scene) -> Plan:
        return plan


class JustThis(Value):
    """A saved plan was agreed to when it was handed on: nothing is asked, and nothing else is done."""

    saved: SavedPlan
    where: str
    asks: bool = False

    def choice(self, given: Choice) -> Choice:
        if given != Choice():
            raise click.UsageError("a saved plan is about what it was made for: give --only, --skip and --scan to plan")
        return Choice.read(self.saved.choice)

    async def check(self, session: Session) -> None:
        fleet = session.project.fleet
        used = fleet.network.contracts.used(fleet.protocols)
        found, block = await asyncio.gather(deployed(session.rpc, used), self._block(session))
        for role, then in self.saved.contracts.items():
            now = found.get(role)
            if now is None:
                raise self._stale(f"the manifest has no {role} any more")
            for what, was, is_ in (
                ("address", then.address, now.address),
                ("implementation (ERC-1967)", then.implementation, now.implementation),
                ("code", then.code, now.code),
            ):
                if was != is_:
                    raise self._stale(f"contract {role} at {now.address}: its {what} is {is_} now; it was {was}")
        if block:
            raise self._stale(block)

    async def _block(self, session: Session) -> str:
        """Why the chain is not the one that was read, or ""."""
        number = int(self.saved.network.block)
        try:
            found = await session.chain.block(number)
        except Unreachable:
            # Nodes forget old blocks, and say so in many ways.
            found = None
        if found is not None and found.hash != self.saved.network.block_hash:
            return f"block {number} is another one now: the chain was reorganised, or begun anew"
        if found is None and (head := (await session.chain.head()).number) < number:
            return f"the chain is at block {head}, before block {number} of the plan"
        return ""

    def narrow(self, plan: Plan, scene: Scene) -> Plan:
        try:
            return approved(self.saved, plan, scene)
        except StalePlan as error:
            raise StalePlan(error.message, where=self.where, hint=error.hint) from None

    def _stale(self, why: str) -> StalePlan:
        return StalePlan(f"the plan is stale: {why}", where=self.where, hint=AGAIN)

    def check_project(self, project: Project) -> None:
        """All that can be compared without a network."""
        for why in self._misfits(project):
            raise self._stale(why)

    def _misfits(self, project: Project) -> Iterator[str]:
        fleet, saved = project.fleet, self.saved
        if saved.fleet != fleet.name:
            yield f"it is for fleet {saved.fleet}, not {fleet.name}"
        if saved.network.chain_id != str(fleet.network.chain_id):
            yield f"it is for chain {saved.network.chain_id}, and the manifest's is {fleet.network.chain_id}"
        if saved.manifest_digest != project.manifest.digest:
            files = ", ".join(path.name for path in project.manifest.files)
            yield f"the manifest changed since it was made ({files})"
        for name in sorted({*saved.operators, *fleet.operators}):
            then, now = saved.operators.get(name), fleet.operators[name].address if name in fleet.operators else None
            if str(then).lower() != str(now).lower():
                yield f"operator {name} is {now or 'not there'} now; it was {then or 'not there'}"


def approval_of(options: Options, project: Project, path: Path | None) -> Approval:
    """What the plan at `path` allows, or the manifest where there is none.

    Raises ConfigError for a damaged file, UnsafePlan for a bad or missing signature, StalePlan for another manifest.
    """
    required = project.fleet.guards.signed_plans == "required"
    if path is None:
        if required:
            message = "guards.signedPlans is required: only a signed, saved plan is applied"
            raise UnsafePlan(message, hint=HOW_TO_SIGN)
        return Anything()
    approval = JustThis(read_plan(path)[0], str(path))
    if required or approval.saved.signature is not None:
        _check_signature(project, approval)
    approval.check_project(project)
    _tell_commit(options, approval.saved)
    return approval


def read_plan(path: Path) -> tuple[SavedPlan, str]:
    """The plan and its text. Raises ConfigError where it cannot be read or is not what was written."""
    text = read_text(path)
    return read_saved(text, str(path)), text


def signed_by(saved: SavedPlan) -> str:
    """The address that signed, or "" where the signature does not fit."""
    if saved.signature is None:
        return ""
    try:
        return signer_of_message(saved.signed_text, saved.signature.signature)
    except ValueError:
        return ""


def _check_signature(project: Project, approval: JustThis) -> None:
    signature = approval.saved.signature
    if signature is None:
        message = "the plan is not signed, and guards.signedPlans is required"
        raise UnsafePlan(message, where=approval.where, hint=HOW_TO_SIGN)
    operator = project.fleet.operators.get(signature.operator)
    expected = None if operator is None else operator.address
    if expected is None or signed_by(approval.saved).lower() != expected.lower():
        message = f"the signature is not that of operator {signature.operator} ({expected or 'not in the manifest'})"
        raise UnsafePlan(message, where=approval.where, hint="do not apply it; ask who changed it, and plan again")


def _tell_commit(options: Options, saved: SavedPlan) -> None:
    """Merges and squashes change the commit of the same files, so the digest decides and this is only told."""
    now = checkout(options.file.parent)
    if saved.git is None or now is None or options.quiet or saved.git.commit == now.commit:
        return
    click.echo(f"Note: planned at commit {saved.git.commit[:12]}, applied at {now.commit[:12]}", err=True)
