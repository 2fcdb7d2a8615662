"""From the world back to a manifest: what a kind has to say of a machine that is there already."""

from collections.abc import Mapping
from typing import Any

from reconciler.core.fleet import Protocol
from reconciler.core.value import Value, field


class Found(Value):
    """A registered machine that a manifest is to name. Accounts are checksummed."""

    id: str
    address: str
    """"" where it is known by its id alone, as machines of v2 are."""
    operator: str
    """Account that registered it, or that is to manage it where it registered itself."""
    attributes: frozenset[str] = frozenset()
    """Names of DID attributes that were ever written for it, as far as they are known."""

    @property
    def did(self) -> str:
        return f"did:peaq:{self.address or self.id}"

    @property
    def protocol(self) -> Protocol:
        return "v1" if self.address else "v2"


class Named(Value):
    """Something that a manifest keeps under a name of its own, and an entry refers to by that name."""

    place: str
    """agents, delegationPolicies, …"""
    key: str
    """The same for what is the same; entries with one key get one name."""
    name: str
    """What to call it, if nobody else is called so."""
    content: Mapping[str, Any]
    exact: bool = False
    """True where it must have just this name."""


class Adopted(Value):
    """Parts of a manifest, by the keys of its text. A `Named` stands where its name will."""

    machine: Mapping[str, Any] = field(default_factory=dict)
    fleet: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What the manifest cannot say, for a comment."""
    name: str = ""
    """What others call the machine."""
    follows: str = ""
    """DID of the machine whose place it takes, if it takes one's."""
