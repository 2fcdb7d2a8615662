"""From a case, which is data, to the plan of its fleet in its world, and back to data."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fakes import FakeReader, FakeWorld
from ruamel.yaml import YAML

from reconciler.core.address import Address, Output
from reconciler.core.effects import ChainCall, ChainGroup, CodedRequest, HttpRequest, SignedRequest, Step
from reconciler.core.fleet import Fleet
from reconciler.core.ignoring import Ignoring
from reconciler.core.kind import Resource
from reconciler.core.money import format_amount, parse_amount
from reconciler.core.observation import Observation
from reconciler.core.plan import Plan, PlannedChange, Scene, build_plan
from reconciler.core.ports import Receipt, Stored
from reconciler.engine.survey import look_around, observe_all, quests
from reconciler.kinds import discover
from reconciler.kinds.peaq_v2.ground import token_id
from reconciler.manifest.expand import expand
from reconciler.manifest.networks import PRESETS
from reconciler.manifest.parse import load

HERE = Path(__file__).parent
KINDS = discover()
ACCOUNTS = {
    "op": "0x000000000000000000000000000000000000000e",
    "other": "0x00000000000000000000000000000000000000ff",
    "zero": "0x" + "0" * 40,
    "agent": "0x00000000000000000000000000000000000000a1",
    "agent2": "0x00000000000000000000000000000000000000a2",
    "m1": "0x00000000000000000000000000000000000000b1",
    "m2": "0x00000000000000000000000000000000000000b2",
    "UP1": "0x00000000000000000000000000000000000000B1",
    "UPOP": "0x000000000000000000000000000000000000000E",
    "UPAGENT": "0x00000000000000000000000000000000000000A1",
    "UPAGENT2": "0x00000000000000000000000000000000000000A2",
}
ACCOUNTS |= {
    "id1": str(token_id("sensor", b"m1")),
    "id2": str(token_id("sensor", b"m2")),
    "subs": PRESETS["sandbox"]["contracts"]["machineSubscription"],
}
HEAD = """\
apiVersion: fleetctl/v1
kind: Fleet
name: test
network: sandbox
services: {markets: {url: "http://127.0.0.1:9"}, gasStation: {url: "http://127.0.0.1:9"}}
operator: {address: "@op", key: {env: KEY}, totp: {env: TOTP}}
agents:
  ops: {address: "@agent", provider: anthropic, key: {env: KEY}}
  known: {address: "@agent2", did: "did:pkh:eip155:3338:@UPAGENT2", provider: anthropic, key: {env: KEY2}}
"""


def named(text: str) -> str:
    """`text` with accounts by name (@op, @m1) written out."""
    return re.sub(r"@(\w+)", lambda match: ACCOUNTS[match[1]], text)


def yaml(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(named(text))


LAYERS = yaml((HERE / "layers.yaml").read_text())


@lru_cache
def fleet_of(text: str, csv: str = "") -> tuple[Fleet, tuple[Resource, ...]]:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "fleet.yaml"
        path.write_text(named(HEAD + text))
        (Path(directory) / "machines.csv").write_text(csv)
        fleet = load(path, KINDS, None).fleet
    return fleet, expand(fleet, KINDS)


def world_of(layers: list[str], more: Mapping[str, Any]) -> FakeWorld:
    """Layers one upon the other, and the case's own words on top."""
    merged: dict[str, Any] = {}
    for layer in (*(LAYERS[name] for name in layers), more):
        for part, values in layer.items():
            merged[part] = values if part == "now" else {**merged.get(part, {}), **values}
    merged["balances"] = {
        account: amount if amount == "unreachable" else parse_amount(amount)
        for account, amount in merged.get("balances", {}).items()
    }
    merged["receipts"] = {name: Receipt(name, **values) for name, values in merged.get("receipts", {}).items()}
    merged["stored"] = {name: Stored(**values) for name, values in merged.get("stored", {}).items()}
    return FakeWorld(**merged)


@dataclass(frozen=True)
class Played:
    """One case, planned."""

    plan: Plan
    scene: Scene
    observations: Mapping[Address, Observation[Any]]
    notices: tuple[str, ...]

    def change(self, address: str) -> PlannedChange:
        return next(change for change in self.plan.changes if str(change.address) == address)


def observed(resources: tuple[Resource, ...], world: FakeWorld) -> dict[Address, Observation[Any]]:
    return asyncio.run(observe_all(resources, FakeReader(world)))


def play(case: Mapping[str, Any]) -> Played:
    fleet, resources = fleet_of(case["fleet"])
    world = world_of(case.get("given", []), case.get("world", {}))
    searches = quests(KINDS.values(), fleet, deep=case.get("scan", False))
    _, strays, unseen = asyncio.run(look_around((), searches, FakeReader(world)))
    resources = (*resources, *strays)
    observations = observed(resources, world)
    missing = set(case.get("missingKeys", ()))
    scene = Scene(
        resources,
        observations,
        has_key=lambda signer: f"{signer.role}/{signer.name}" not in missing,
        gas_price=case.get("gasPrice", 0),
        allow_token_loss=case.get("allowTokenLoss", False),
        unmanaged=frozenset(stray.address for stray in strays if not stray.kind.pruned(stray.spec, fleet)),
        ignoring=Ignoring.of(fleet),
    )
    notices = tuple(notice for kind in KINDS.values() for notice in kind.notices(fleet))
    notices += tuple(unseen)
    return Played(build_plan(scene), scene, observations, notices)


def shown(step: Step) -> dict[str, Any]:
    """The essence of a step as data; what is empty is left out."""
    effect = step.effect
    flags = [name for name in ("irreversible", "rotates") if getattr(step, name)]
    found: dict[str, Any] = {"title": step.title, "flags": flags, "probes": [_call(probe) for probe in step.probes]}
    match effect:
        case ChainGroup():
            found["calls"] = [_call(call) for call in effect.calls]
        case HttpRequest():
            found |= _request(effect)
        case CodedRequest():
            found |= _request(effect.request)
            found["signed"] = str(effect.signer)
            found["gives"] = f"{format_amount(effect.wei, 18)} to {effect.account}"
            found["otherwise"] = [_call(call) for call in effect.otherwise.calls] if effect.otherwise else []
        case SignedRequest():
            found |= _request(effect.request)
            found["signed"] = " or ".join(map(str, (effect.signer, *effect.others)))
            found["proof"] = effect.proof
            found["challenge"] = _request(effect.challenge)
            found["names"] = [_text(name) for name in effect.names]
            if effect.secret is not None:
                found["secret"] = f"{effect.secret.field} to {effect.secret.name}"
    return {key: value for key, value in found.items() if value not in ([], None)}


def _call(call: ChainCall) -> str:
    what = f"{call.to}.{call.function.split('(')[0]}({', '.join(map(_text, call.args))})" if call.function else ""
    value = format_amount(call.value, 18) if isinstance(call.value, int) else _text(call.value)
    parts = [what or f"transfer to {call.to}", *([f"+ {value}"] if call.value else [])]
    parts += [f"deposit {format_amount(call.taken, 18)}"] if call.taken else []
    return f"{_text(call.signer)}: {' '.join(parts)}"


def _request(request: HttpRequest) -> dict[str, Any]:
    touches, secret = request.touches, request.secret
    found = {
        "does": f"{request.method} {'/'.join(map(_text, request.path))}",
        "body": None if request.body is None else _plain(request.body),
        "carries": None if secret is None else f"{secret.field} from {dict(secret.kept)}",
        "touches": None if touches is None else f"{touches.token} at {_text(touches.seen)}",
    }
    return {key: value for key, value in found.items() if value is not None}


def _text(value: object) -> str:
    if isinstance(value, Output):
        return f"<{value.address}.{value.field}>"
    return value.decode() if isinstance(value, bytes) else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return _text(value) if isinstance(value, Output) else value
