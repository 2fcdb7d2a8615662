"""One file per resource kind, grouped by the world it lives in; nothing else belongs here.

A kind may import `core`, never another kind: it names others by address. What the kinds of one protocol share is the
`ground` beside them. A new file is found by itself.
"""

from importlib import import_module
from pkgutil import walk_packages

from reconciler.core.kind import AnyKind, Kind


def discover() -> dict[str, AnyKind]:
    """Every kind by name, in the order of their modules. Raises ValueError where two share a name."""
    found: dict[str, AnyKind] = {}
    for info in walk_packages(__path__, f"{__name__}."):
        module = import_module(info.name)
        for value in vars(module).values():
            own = isinstance(value, type) and issubclass(value, Kind) and value.__module__ == info.name
            if own:
                kind = value()
                if kind.name in found:
                    raise ValueError(f"two kinds are called {kind.name}")
                found[kind.name] = kind
    return found
