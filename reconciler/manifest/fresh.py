"""The text of a new manifest for machines that are there already, with comments on what nobody can read back."""

from collections.abc import Mapping
from typing import Any

from reconciler.core.fleet import Protocol
from reconciler.core.value import Value
from reconciler.manifest.adopted import Additions
from reconciler.manifest.emit import comment, entry
from reconciler.manifest.graft import machine_lines, named_lines
from reconciler.manifest.upgrade import CURRENT

NO_KEY = "Plans need no key. To apply, say where it is kept, for example `key: {env: PEAQOS_PRIVATE_KEY}`."
NO_FUNDING = "How wallets are topped up cannot be read back; to have it done, write under v1 for example:"
NO_AGENT_KEY = "To pair again and to rotate tokens, say where an agent's key is kept, for example `key: {file: …}`."
NO_TOKENS = "Tokens are shown once, so those in use are not known here: where they are written, for example:"
NO_MACHINE_KEY = "A machine's own steps want its key: add `key: {file: keys/<name>.key}` where you have it."
NO_RENEWAL = "To have subscriptions renewed, write under v2, of a machine or of defaults: `renewBefore: 30d`."
NO_MARKETS = "Machine Markets was not asked: name it with --markets to import records, policies and pairings."
_AGENT_NOTES = tuple(comment(text, 2) for text in (NO_AGENT_KEY, NO_TOKENS, "tokens: {sink: {directory: secrets/}}"))


class Head(Value):
    """What a manifest says before its machines."""

    network: str | Mapping[str, Any]
    services: Mapping[str, Any]
    operators: Mapping[str, str]
    """Account by name."""
    protocol: Protocol = "v1"


def skeleton(head: Head) -> str:
    """A manifest of nothing, through which the world can be read."""
    lines = [f"apiVersion: {CURRENT}", "kind: Fleet", "name: imported"]
    lines += [*entry("network", head.network), f"protocol: {head.protocol}", *entry("services", head.services)]
    return "\n".join([*lines, *entry("operators", {n: {"address": a} for n, a in head.operators.items()}), ""])


def fresh(head: Head, additions: Additions, said: str) -> str:
    """The whole manifest; `said` tells what it was made from."""
    lines = [comment(said), f"apiVersion: {CURRENT}", "kind: Fleet", "name: imported"]
    lines += [*entry("network", head.network), f"protocol: {head.protocol}", ""]
    lines += _services(head) + _operators(head)
    lines += [line for key, value in additions.fleet.items() for line in entry(key, value)]
    if head.protocol == "v1":
        lines += [comment(NO_FUNDING), comment("funding: {from: operator, below: 0.05 PEAQ, to: 0.2 PEAQ}"), ""]
    for place, named in sorted(additions.named.items(), key=lambda entries: entries[0] == "agents"):
        lines += [f"{place}:", *(_AGENT_NOTES if place == "agents" else ()), *named_lines(named, 2), ""]
    lines += ["machines:", comment(NO_MACHINE_KEY if head.protocol == "v1" else NO_RENEWAL, 2)]
    lines += [line for machine in additions.machines for line in machine_lines(machine, 2)]
    return "\n".join([*lines, ""])


def _services(head: Head) -> list[str]:
    missing = [] if "markets" in head.services else [comment(NO_MARKETS)]
    return [*missing, *(entry("services", head.services) if head.services else []), ""]


def _operators(head: Head) -> list[str]:
    accounts = {name: {"address": address} for name, address in head.operators.items()}
    shorthand = entry("operator", accounts["default"]) if set(accounts) == {"default"} else entry("operators", accounts)
    return [comment(NO_KEY), *shorthand, ""]
