"""The schema that editors use is the model that the parser uses."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from manifest_harness import KINDS

from reconciler.cli.commands.schema import SCHEMAS, text_of
from reconciler.manifest.schema import schema

DIRECTORY = Path(__file__).parents[2] / "schemas"
SCHEMA = schema(KINDS)


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_written_schema_is_fresh(name: str) -> None:
    written = (DIRECTORY / f"{name}.schema.json").read_text()
    assert written == text_of(name), "run: fleetctl schema --write schemas"


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nodes(inner)


def test_references_lead_somewhere_and_patterns_compile() -> None:
    for node in nodes(SCHEMA):
        if isinstance(reference := node.get("$ref"), str):
            assert reference.removeprefix("#/$defs/") in SCHEMA["$defs"]
        if isinstance(pattern := node.get("pattern"), str):
            re.compile(pattern)


def test_it_knows_what_the_parser_adds_to_the_model() -> None:
    properties = SCHEMA["properties"]
    assert {"apiVersion", "kind", "operator", "defaults", "machineSets", "include", "v1"} <= set(properties)
    assert properties["network"]["anyOf"][0]["enum"] == ["sandbox", "peaq", "agung"]
    assert not {"name", "address", "key"} & set(SCHEMA["$defs"]["Defaults"]["properties"])


def test_what_defaults_may_give_no_machine_must_write() -> None:
    machine = SCHEMA["$defs"]["Machine"]
    assert machine["required"] == ["name"]
    assert all("required" not in one for one in machine["properties"]["market"]["anyOf"])
    assert {"type": "null"} in machine["properties"]["market"]["anyOf"]


def test_every_property_says_what_it_is_for() -> None:
    silent = [
        name
        for node in nodes(SCHEMA)
        for name, value in _own_properties(node).items()
        if not (isinstance(value, dict) and len(str(value.get("description", ""))) > 5)
    ]
    assert not silent, "write a docstring below the field"


def _own_properties(node: dict[str, Any]) -> dict[str, Any]:
    found = node.get("properties", {})
    return found if isinstance(found, dict) and "type" in node else {}
