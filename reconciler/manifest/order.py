"""The usual order of keys: who and where first, then rules, then the machines."""

from collections.abc import Callable, Iterator

from ruamel.yaml.nodes import MappingNode, Node

from reconciler.core.section import Loc
from reconciler.manifest.source import trail

FLEET = (
    *("apiVersion", "kind", "name", "network", "protocol", "services", "operator", "operators", "v1", "v2", "tokens"),
    *("guards", "windows", "ignore", "prune", "formerKeys", "delegationPolicies", "machinePolicies", "agents", "moved"),
)
LAST = ("defaults", "machines", "machineSets", "include")
MACHINE = (
    *("name", "protocol", "address", "key", "operator", "labels", "state", "protect", "suspended", "ignore"),
    *("metadata", "v1", "v2", "market", "pairings", "runtimeEndpoints"),
)

Rank = Callable[[str], int]
"""Where a key comes; keys of one rank stay in the order they are in."""


def of_fleet(key: str) -> int:
    """A key that is not named here, such as that of a new kind, comes before the machines."""
    if key in LAST:
        return len(FLEET) + 1 + LAST.index(key)
    return FLEET.index(key) if key in FLEET else len(FLEET)


def of_machine(key: str) -> int:
    return MACHINE.index(key) if key in MACHINE else len(MACHINE)


def ordered_mappings(root: Node) -> Iterator[tuple[MappingNode, Rank]]:
    """Every mapping of a manifest whose keys have a usual order, inner ones first."""
    for _, node in machine_mappings(root):
        yield node, of_machine
    if isinstance(root, MappingNode):
        yield root, of_fleet


def machine_mappings(root: Node) -> Iterator[tuple[Loc, MappingNode]]:
    """Every mapping that has the keys of a machine, and where it stands: defaults, machines, templates."""
    places: list[Loc] = [("defaults",)]
    places += [("machines", index) for index in _indexes(root, "machines")]
    places += [("machineSets", index, "template") for index in _indexes(root, "machineSets")]
    for place in places:
        steps = trail(root, place)
        if len(steps) == len(place) + 1 and isinstance(node := steps[-1][1], MappingNode):
            yield place, node


def _indexes(root: Node, key: str) -> range:
    steps = trail(root, (key,))
    return range(len(steps[1][1].value) if len(steps) == 2 and isinstance(steps[1][1].value, list) else 0)
