"""Writing a plan to a file, with all that it is bound to."""

import json
import time
from pathlib import Path
from typing import Any

from reconciler.adapters.deployed import deployed
from reconciler.adapters.git import checkout
from reconciler.adapters.sinks import write_public
from reconciler.cli.options import Options
from reconciler.cli.planning import Planned
from reconciler.cli.render.as_json import dump, plan_data
from reconciler.cli.selecting import Choice
from reconciler.cli.wiring import Project, Session
from reconciler.core.effects import Signer
from reconciler.core.errors import ConfigError
from reconciler.core.saved import checksum, signed_text
from reconciler.core.value import Value, asdict

MOMENT = "%Y-%m-%dT%H:%M:%SZ"


class Keeping(Value):
    """Where a plan is to be kept, what it is about, and which operator signs it ("" where none does)."""

    path: Path
    choice: Choice
    signer: str = ""

    async def __call__(self, session: Session, planned: Planned, options: Options) -> None:
        """Write the file, whole or not at all. Raises ConfigError where it cannot be written or signed."""
        data = json.loads(dump({**plan_data(session, planned), **await _bindings(session, planned, options)}))
        data["choice"] = self.choice.data()
        for change, planned_change in zip(data["changes"], planned.plan.changes, strict=True):
            change["pays"] = str(planned_change.pays)
        data["checksum"] = checksum(data)
        if self.signer:
            data["signature"] = _signature(session.project, self.signer, data)
        try:
            write_public(self.path, dump(data) + "\n")
        except OSError as error:
            raise ConfigError(f"cannot write {self.path}: {error.strerror}", hint="check --out") from None


def chosen_signer(project: Project) -> str:
    """The operator that signs: `default`, or the first by name. ConfigError where its key is not at hand."""
    names = sorted(project.fleet.operators, key=lambda name: (name != "default", name))
    signer = Signer("operator", names[0])
    if not project.keyring.has(signer):
        why = project.keyring.why_missing(signer)
        raise ConfigError(f"{signer} cannot sign: {why}", hint="--sign needs the operator's key")
    return names[0]


async def _bindings(session: Session, planned: Planned, options: Options) -> dict[str, Any]:
    """What the plan is bound to, beside the digest of its manifest."""
    fleet, network = session.project.fleet, session.project.fleet.network
    block = await session.chain.block(planned.block)
    if block is None:
        hint = "plan again"
        raise ConfigError(f"the node does not show block {planned.block} any more, at which it was read", hint=hint)
    found = await deployed(session.rpc, network.contracts.used(fleet.protocols))
    origin = checkout(options.file.parent)
    numbers = {"chainId": str(network.chain_id), "block": str(block.number), "blockHash": block.hash}
    return {
        "kind": "Plan",
        "created": time.strftime(MOMENT, time.gmtime()),
        "network": {"name": network.name, **numbers},
        "git": None if origin is None else asdict(origin),
        "contracts": {role: asdict(each) for role, each in found.items()},
        "operators": {name: operator.address for name, operator in fleet.operators.items()},
        "gasPrice": str(planned.plan.gas_price),
    }


def _signature(project: Project, name: str, data: dict[str, Any]) -> dict[str, str]:
    signer = Signer("operator", name)
    text = signed_text(data["fleet"], data["network"]["chainId"], data["checksum"])
    signature = project.keyring.sign_message(signer, text)
    return {"operator": name, "address": project.keyring.address(signer), "signature": signature}
