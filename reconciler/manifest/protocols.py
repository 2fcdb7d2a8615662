"""Which protocol each machine lives by, and what it cannot carry under it, looked for in the plain data."""

from collections.abc import Mapping
from typing import Any

from reconciler.core.section import Loc
from reconciler.manifest.draft import Draft
from reconciler.manifest.model import PROTOCOLS

SIGNS = "machine"
"""The custody of a v2 machine that is an account of its own."""


def protocol_of(machine: Mapping[str, Any], fleet: Mapping[str, Any]) -> str:
    """As far as it can be read: what is no protocol is told by the model."""
    return str(machine.get("protocol") or fleet.get("protocol") or PROTOCOLS[0])


def fitting(defaults: Mapping[str, Any], machine: Mapping[str, Any], fleet: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults without the blocks of protocols that the machine does not live by."""
    mine = protocol_of({**defaults, **machine}, fleet)
    return {key: value for key, value in defaults.items() if key not in PROTOCOLS or key == mine}


def unused(defaults: Mapping[str, Any], draft: Draft) -> dict[str, Any]:
    """What of the defaults goes under no machine at all."""
    machines = [machine for machine in draft.raw["machines"] if isinstance(machine, dict)]
    used = {protocol_of(machine, draft.raw) for machine in machines}
    return {key: value for key, value in defaults.items() if not machines or (key in PROTOCOLS and key not in used)}


def has_account(machine: Mapping[str, Any], fleet: Mapping[str, Any]) -> bool:
    """Whether the machine is an account: always by v1, by v2 where its own key signs."""
    block = machine.get("v2")
    return protocol_of(machine, fleet) == "v1" or (isinstance(block, dict) and block.get("custody") == SIGNS)


def check_protocols(draft: Draft) -> None:
    """Problems: a block of another protocol, a v2 machine without its block, an account that nobody would use."""
    used = {protocol_of({}, draft.raw)}
    for index, machine in enumerate(draft.raw["machines"]):
        if isinstance(machine, dict):
            mine = protocol_of(machine, draft.raw)
            used.add(mine)
            _foreign(("machines", index), machine, mine, draft)
            if mine == "v2":
                _whole(("machines", index), machine, draft)
    for block in (name for name in PROTOCOLS if name in draft.raw and name not in used):
        said = f"no machine lives by {block}: a {block} block cannot be carried"
        draft.problems.add(draft.origins.place((block,), key=True), said, "take it out")


def _foreign(loc: Loc, machine: Mapping[str, Any], mine: str, draft: Draft) -> None:
    for block in (name for name in PROTOCOLS if name in machine and name != mine):
        said = f"{_name(machine)} lives by {mine}: a {block} block cannot be carried"
        hint = f"take it out, or write `protocol: {block}` here"
        draft.problems.add(draft.origins.place((*loc, block), key=True), said, hint)


def _whole(loc: Loc, machine: Mapping[str, Any], draft: Draft) -> None:
    if "v2" not in machine:
        said = f"{_name(machine)} lives by v2 and has no v2 block"
        hint = "write `v2: {machineType: …, credentialSubject: …}` here, or what is common under `defaults`"
        draft.problems.add(draft.origins.place((*loc, "name")), said, hint)
    elif not has_account(machine, draft.raw):
        for key in ("address", "key"):
            if key in machine:
                said = f"{_name(machine)} is no account of its own: `{key}` is of no use"
                hint = f"take it out; or write `v2: {{custody: {SIGNS}}}` to have the machine's key activate it"
                draft.problems.add(draft.origins.place((*loc, key), key=True), said, hint)


def _name(machine: Mapping[str, Any]) -> str:
    return f"`{machine['name']}`" if "name" in machine else "this machine"
