"""What stands beside a plan's fields: who moved them, and where their values come from."""

from collections.abc import Mapping

from reconciler.core.address import Address
from reconciler.core.moved import Moved, Movement, Movements
from reconciler.core.plan import PlannedChange
from reconciler.core.value import Value, field

WORDS = {Moved.MANIFEST: "the manifest moved", Moved.WORLD: "the world moved", Moved.BOTH: "both moved"}


class Remarks(Value):
    moved: Movements = field(default_factory=dict)
    sources: Mapping[Address, Mapping[str, str]] = field(default_factory=dict)
    """By resource and field; empty where nobody asked."""

    def on_resource(self, change: PlannedChange) -> str:
        """Where it came or went by itself: that the manifest adds or removes is what a plan says anyway."""
        movement = self.moved.get(change.address)
        if movement is None or not movement.entire or movement.whole is Moved.MANIFEST:
            return ""
        return _moved(movement.whole)

    def on_field(self, change: PlannedChange, name: str) -> str:
        movement = self.moved.get(change.address)
        told = "" if movement is None or movement.entire else _moved(movement.fields.get(name, Moved.UNKNOWN))
        source = self.sources.get(change.address, {}).get(name)
        return told + (f"  ← {source}" if source else "")

    def explains(self, change: PlannedChange) -> bool:
        return change.address in self.sources

    def signature(self, change: PlannedChange) -> object:
        """Equal for changes about which the same is remarked."""
        movement = self.moved.get(change.address, Movement(Moved.UNKNOWN))
        whole, fields = movement.whole, sorted(movement.fields.items())
        return movement.entire, whole, tuple(fields), tuple(self.sources.get(change.address, {}).items())


NONE = Remarks()


def _moved(mover: Moved) -> str:
    return f"  ({WORDS[mover]})" if mover in WORDS else ""
