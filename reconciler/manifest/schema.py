"""The manifest as JSON Schema, for editors: completion, descriptions and a red line under a typo."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from reconciler.core.kind import AnyKind
from reconciler.core.section import Section
from reconciler.manifest.assemble import NOT_DEFAULTS
from reconciler.manifest.model import PROTOCOLS, fleet_model
from reconciler.manifest.networks import PRESETS
from reconciler.manifest.schema_docs import describe
from reconciler.manifest.upgrade import CURRENT

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ID = "urn:fleetctl:schema:fleet:v1"
Schema = dict[str, Any]


def schema(kinds: Mapping[str, AnyKind]) -> Schema:
    """JSON Schema 2020-12 of a manifest. Written as `json.dumps(schema(kinds), indent=2) + "\\n"`."""
    fleet = fleet_model(kinds)
    model = fleet.model_json_schema(by_alias=True)
    definitions: Schema = model.pop("$defs")
    describe(model, definitions, fleet)
    properties = _properties(model["properties"], definitions)
    whole = {"properties": properties, "$defs": definitions}
    _without_titles(whole)
    _describe_references(whole, definitions)
    _describe_once(whole)
    return {
        "$schema": DIALECT,
        "$id": ID,
        "title": "fleetctl manifest",
        "description": "What should be true of a fleet of machines.",
        "type": "object",
        "additionalProperties": False,
        "required": ["apiVersion", "kind", "name", "network"],
        "oneOf": [{"required": ["operator"]}, {"required": ["operators"]}],
        "properties": properties,
        "$defs": definitions,
    }


def file_schema(file: type[Section]) -> Schema:
    """JSON Schema 2020-12 of a file that fleetctl writes."""
    found = file.model_json_schema(by_alias=True, mode="serialization")
    describe(found, found.get("$defs", {}), file)
    return {"$schema": DIALECT, "$id": f"urn:fleetctl:schema:{file.__name__}:1.0", **found}


def _properties(model: Schema, definitions: Schema) -> Schema:
    network = definitions["Network"]
    network["properties"].pop("name", None)
    definitions["NetworkOverride"] = _override(network)
    # What a block requires may come from the defaults, so a machine's own blocks require nothing.
    definitions["Machine"] = {**_loose(definitions["Machine"], definitions), "required": ["name"]}
    definitions["Defaults"] = _defaults(definitions["Machine"])
    definitions["MachineSet"] = _machine_set(definitions["Machine"])
    for secret in ("SecretRef", "KeyRef"):
        sources = [key for key in definitions[secret]["properties"] if key != "password"]
        definitions[secret]["oneOf"] = [{"required": [key]} for key in sources]
    head = {
        "apiVersion": {"const": CURRENT, "description": "The version of this format."},
        "kind": {"const": "Fleet", "description": "What this file is."},
        "name": model["name"],
        "network": _network(),
        "protocol": model["protocol"],
        "services": model["services"],
        "operator": {"$ref": "#/$defs/Operator", "description": "Shorthand for operators: {default: …}"},
        "operators": model["operators"],
    }
    tail = {
        "defaults": {"$ref": "#/$defs/Defaults"},
        "machines": model["machines"],
        "machineSets": {
            "type": "array",
            "items": {"$ref": "#/$defs/MachineSet"},
            "description": "Machines out of tables.",
        },
        "include": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Files with more machines, agents and policies; patterns relative to this file.",
            "examples": [["sites/*.yaml"]],
        },
    }
    rest = {key: value for key, value in model.items() if key not in head and key not in tail}
    return {**head, **rest, **tail}


def _network() -> Schema:
    return {
        "description": "A network by name, or a network of your own",
        "anyOf": [
            {"enum": list(PRESETS), "description": "A network that fleetctl knows"},
            {"$ref": "#/$defs/NetworkOverride"},
            {"$ref": "#/$defs/Network"},
        ],
    }


def _override(network: Schema) -> Schema:
    kept = {key: deepcopy(network["properties"][key]) for key in ("rpcUrl", "contracts", "confirmations", "didDeposit")}
    if reference := kept["contracts"].pop("$ref", None):
        kept["contracts"] = {"type": "object", "description": f"As in {reference.rpartition('/')[2]}; all optional"}
    preset = {"enum": list(PRESETS), "description": "The network to begin from"}
    return {
        "title": "Preset with changes",
        "type": "object",
        "additionalProperties": False,
        "required": ["preset"],
        "properties": {"preset": preset, **kept},
    }


def _defaults(machine: Schema) -> Schema:
    """A machine with everything optional, and nothing that is a machine's own."""
    found = deepcopy(machine)
    found.pop("required", None)
    for key in NOT_DEFAULTS:
        found["properties"].pop(key)
    found["title"] = "Defaults"
    found["description"] = "Merged under every machine; `{name}` and `{address}` are replaced in text."
    return found


def _loose(section: Schema, definitions: Schema) -> Schema:
    """The section with nothing required, down through its blocks; keys that refer to secrets stay as they are."""
    loose = deepcopy(section)
    loose.pop("required", None)
    for name, value in loose.get("properties", {}).items():
        if name != "key":
            loose["properties"][name] = _loose_value(value, definitions)
    return loose


def _loose_value(value: Schema, definitions: Schema) -> Schema:
    if "anyOf" in value:
        return {**value, "anyOf": [_loose_value(one, definitions) for one in value["anyOf"]]}
    if "$ref" not in value:
        return value
    target = definitions[value["$ref"].rpartition("/")[2]]
    rest = {key: item for key, item in value.items() if key not in ("$ref", "default")}
    return {**_loose(target, definitions), **rest} if target.get("type") == "object" else value


def _without_titles(node: Any) -> None:
    """Takes out the titles that only repeat a key."""
    if isinstance(node, dict):
        for value in node.get("properties", {}).values():
            if isinstance(value, dict) and isinstance(value.get("title"), str):
                del value["title"]
        for value in node.values():
            _without_titles(value)
    elif isinstance(node, list):
        for value in node:
            _without_titles(value)


def _keyed(node: Any) -> Iterator[tuple[str, Schema]]:
    """Every property anywhere in a schema, with its key."""
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _keyed(value)
    if isinstance(node, dict):
        yield from ((key, value) for key, value in node.get("properties", {}).items() if isinstance(value, dict))


def _describe_references(whole: Schema, definitions: Schema) -> None:
    """Gives a property that only refers to a section, or to one block of a protocol, the words of what it refers to."""
    for key, value in [pair for pair in _keyed(whole) if "description" not in pair[1]]:
        if said := f"What only protocol {key} has." if key in PROTOCOLS else _words(value, definitions):
            value["description"] = said


def _describe_once(whole: Schema) -> None:
    """Moves what an optional value says of its form up to the key, since editors show one description only."""
    for _, value in _keyed(whole):
        own = str(value.get("description", ""))
        for one in value.get("anyOf", ()) if own and {"type": "null"} in value.get("anyOf", ()) else ():
            if (said := one.pop("description", own)) != own:
                value["description"] = f"{own.rstrip('.')}. {said}"


def _words(value: Schema, definitions: Schema) -> str:
    for one in (value, *value.get("anyOf", ())):
        target = definitions.get(str(one.get("$ref", "")).rpartition("/")[2], one)
        if said := target.get("description"):
            return str(said)
    return ""


def _machine_set(machine: Schema) -> Schema:
    """Its template is a machine whose text may hold `{column}`, so patterns do not hold."""
    name = {"type": "string", "description": "What each is called.", "examples": ["air-{id}"]}
    address = {"type": "string", "description": "Its address; may be left out where the key gives it."}
    template = deepcopy(machine)
    template["title"], template["description"] = "Template", "A machine, with `{column}` for the cells of the table."
    template["properties"].update(name=name, address=address)
    return {
        "title": "MachineSet",
        "description": "One machine for each row of a table.",
        "type": "object",
        "additionalProperties": False,
        "required": ["from", "template"],
        "properties": {
            "from": {
                "type": "object",
                "description": "Where the rows come from.",
                "additionalProperties": False,
                "required": ["csv"],
                "properties": {"csv": {"type": "string", "description": "CSV file with a header row"}},
            },
            "template": template,
        },
    }
