"""The file of a saved plan: what it says, what its schema says, and what is refused."""

import json
import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from kinds_harness import KINDS, play
from rich.console import Console
from saved_harness import content_of, saved_of, text_of

from reconciler.cli.render.plan_text import render_plan
from reconciler.core.address import Address, Output
from reconciler.core.errors import ConfigError
from reconciler.core.plan import Plan
from reconciler.core.saved import read_saved

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas/plan.schema.json").read_text())
FLEET = """\
v1: {funding: {from: operator, below: 0.05 PEAQ, to: 0.2 PEAQ}}
delegationPolicies: {small: {allowedSkillKeys: [weather], perTransactionLimit: 9, currency: USD}}
machinePolicies: {eu: {regionRules: [eu]}}
machines:
  - name: m1
    address: "@m1"
    market: {machineType: sensor, runtimeProfile: linux, policies: [eu]}
    pairings: [{agent: ops, role: ops, delegationPolicy: small}]
  - {name: m2, address: "@m2", market: {machineType: sensor, runtimeProfile: linux}}
"""
ALL = ["operator", "identity", "nft", "funded", "did", "published", "record", "pairing"]
PLANS = {
    "new": play({"fleet": FLEET, "gasPrice": 10**9}).plan,
    "edited": play({"fleet": FLEET, "given": ALL, "gasPrice": 10**9}).plan,
    "parked": play({"fleet": FLEET, "given": ALL, "missingKeys": ["machine/m2", "agent/ops"]}).plan,
    "unreadable": play({"fleet": FLEET, "world": {"lists": {"machines": "unreachable"}}}).plan,
}

CHANGES = content_of(PLANS["edited"])["changes"]


def rendered(plan: Plan, *, verbose: bool) -> str:
    out = StringIO()
    render_plan(plan, Console(file=out, width=120), verbose=verbose)
    return out.getvalue()


@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("name", PLANS)
def test_a_plan_reads_the_same_from_its_file(name: str, verbose: bool) -> None:
    plan = PLANS[name]
    again = saved_of(plan).plan(KINDS)
    assert rendered(again, verbose=verbose) == rendered(plan, verbose=verbose)
    assert again.digest == plan.digest
    assert [change.pays for change in again.changes] == [change.pays for change in plan.changes]


def test_what_is_known_only_after_apply_comes_back_as_that() -> None:
    change = next(c for c in saved_of(PLANS["new"]).changes if c.address == "machine_did/m1")
    fields = {field.field: field.change().after for field in change.fields}
    assert fields["machineId"] == Output(Address("machine_identity", "m1"), "id")


def test_a_file_does_not_steer_the_terminal() -> None:
    evil = "\x1b[2J\u202eall is well"
    changes = [{**c, "reason": evil, "steps": [evil], "fields": [{"field": evil, "before": [evil]}]} for c in CHANGES]
    content = {**content_of(PLANS["edited"]), "notices": [evil], "changes": changes}
    shown = rendered(read_saved(text_of(content), "plan.json").plan(KINDS), verbose=True)
    assert "all is well" in shown
    assert not {"\x1b", "\u202e"} & set(shown)


# --- the schema -------------------------------------------------------------------------------------------------------


def faults(value: Any, schema: dict[str, Any], at: str = "") -> list[str]:
    """Where `value` is not as those parts of JSON Schema say that our schemas use."""
    if "$ref" in schema:
        return faults(value, SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")], at)
    if "anyOf" in schema:
        found = [faults(value, one, at) for one in schema["anyOf"]]
        return [] if [] in found else found[0]
    wrong = [f"{at}: {value!r} is no {schema['type']}"] if not is_a(value, schema.get("type")) else []
    wrong += [f"{at}: not {schema['const']}"] if value != schema.get("const", value) else []
    wrong += [f"{at}: {value!r}"] if value not in schema.get("enum", [value]) else []
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        wrong.append(f"{at}: {value!r} is not {schema['pattern']}")
    if isinstance(value, dict):
        wrong += [f"{at}: no {name}" for name in schema.get("required", ()) if name not in value]
        inner, rest = schema.get("properties", {}), schema.get("additionalProperties", {})
        for name, item in value.items():
            wrong += faults(item, inner.get(name, rest if isinstance(rest, dict) else {}), f"{at}.{name}")
    if isinstance(value, list):
        wrong += [fault for item in value for fault in faults(item, schema.get("items", {}), f"{at}[]")]
    return wrong


def is_a(value: Any, wanted: str | None) -> bool:
    kinds = {"string": str, "object": dict, "array": list, "boolean": bool, "integer": int, "null": type(None)}
    return wanted is None or isinstance(value, kinds[wanted])


@pytest.mark.parametrize("name", PLANS)
def test_the_file_is_as_its_schema_says(name: str) -> None:
    content = json.loads(text_of(content_of(PLANS[name])))
    assert faults(content, SCHEMA) == []
    # It would tell.
    assert faults({**content, "gasPrice": 5}, SCHEMA)
    assert faults({name: value for name, value in content.items() if name != "contracts"}, SCHEMA)
    assert faults({**content, "changes": [{**content["changes"][0], "action": "dance"}]}, SCHEMA)


# --- what is refused --------------------------------------------------------------------------------------------------

CONTENT = content_of(PLANS["new"])
GOOD = json.loads(text_of(CONTENT))
REFUSED = [
    ("empty", "", "it is no JSON, or was cut short"),
    ("cut short", text_of(CONTENT)[:-20], "it is no JSON, or was cut short"),
    ("deep", "[" * 100_000, "it is no JSON, or was cut short"),
    ("something else", "[]", "it is no saved plan"),
    ("the answer of plan --output json", json.dumps({"formatVersion": "1.0", "changes": []}), "it is no saved plan"),
    ("newer", text_of({**CONTENT, "formatVersion": "2.0"}), "it is of format 2.0, and this fleetctl reads 1.x"),
    ("no version", text_of({**CONTENT, "formatVersion": None}), "it is of format None"),
    ("damaged", text_of({**CONTENT, "gasPrice": -1}), "it is damaged: gasPrice: "),
    ("a part gone", text_of({**CONTENT, "network": {}}), "it is damaged: network.name: "),
    ("changed", json.dumps({**GOOD, "notices": ["all is well"]}), "it was changed since it was written"),
    ("added to", json.dumps({**GOOD, "more": 1}), "it was changed since it was written"),
]


@pytest.mark.parametrize(("name", "text", "says"), REFUSED, ids=[r[0] for r in REFUSED])
def test_what_is_refused_and_with_what_remedy(name: str, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_saved(text, "plan.json")
    assert str(caught.value).startswith(f"plan.json: {says}")
    assert caught.value.hint
    assert caught.value.exit_code == 3


def test_a_newer_minor_version_is_read_and_what_it_adds_is_under_the_checksum() -> None:
    newer = {**CONTENT, "formatVersion": "1.7", "later": {"more": 1}}
    newer["changes"] = [{**change, "why": "because"} for change in CONTENT["changes"]]
    found = read_saved(text_of(newer), "plan.json")
    assert [change.address for change in found.changes] == [change["address"] for change in CONTENT["changes"]]


def test_a_kind_of_a_later_fleetctl_is_named() -> None:
    other = {**CONTENT["changes"][0], "address": "space_station/mir"}
    with pytest.raises(ConfigError, match="space_station/mir"):
        read_saved(text_of({**CONTENT, "changes": [other]}), "plan.json").plan(KINDS)
