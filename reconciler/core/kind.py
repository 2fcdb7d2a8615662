"""The plug-point: what a resource kind is. One kind is one file in `kinds/`, and nothing else must change for it."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from reconciler.core.address import Address
from reconciler.core.adoption import Adopted, Found
from reconciler.core.change import FieldChange
from reconciler.core.diff import same
from reconciler.core.effects import Signer, Step
from reconciler.core.fleet import Fleet, Mistake, Prunable
from reconciler.core.fleet import Protocol as FleetProtocol
from reconciler.core.observation import Observation
from reconciler.core.ports import Reader
from reconciler.core.section import Loc, Section
from reconciler.core.value import Value, replace


class Spec(Protocol):
    """The desired state of one resource: a frozen dataclass that knows its address."""

    @property
    def address(self) -> Address: ...


SpecT = TypeVar("SpecT", bound=Spec)
StateT = TypeVar("StateT")


class Strength(StrEnum):
    HARD = "hard"
    """Must be converged first; if it cannot be, neither can this."""
    SOFT = "soft"
    """Must be dealt with first, however it ended."""
    RIDES = "rides"
    """As hard, and shares its atomic transaction where it can."""


class Need(Value):
    address: Address
    strength: Strength = Strength.HARD
    triggers: bool = False
    """A step of the needed resource marked `rotates` makes this one change too (`Kind.triggered`)."""
    through: Address | None = None
    """The need is that one's, and is shared only while that one is to change."""


class Search(Value, Generic[SpecT]):
    """Where there may be strays: resources that no entry of the manifest stands for."""

    where: str
    find: Callable[[Reader], Awaitable[Iterable[SpecT]]]
    """Their specs, which are not wanted. May fail as `observe` may."""
    machine: str = ""
    """The machine whose resources alone are looked for, if it is one's."""
    deep: bool = False
    """True where it takes the whole chain: only done when asked for."""


class Kind(ABC, Generic[SpecT, StateT]):
    """How one sort of resource is declared, read, compared and changed.

    `observe` must not change anything and must return Unreadable, or raise, for anything that is not a clear answer.
    Everything else is pure and total. `diff` compares declared fields only, so a server's defaults are never drift.
    """

    name: ClassVar[str]
    sections: ClassVar[Mapping[str, type[Section]]] = {}
    """What the kind adds to the manifest: place (`fleet`, `fleet.v1`, `machine`, `machine.market`, …) to fields."""
    prunable: ClassVar[Prunable | None] = None
    """The word under `prune` that removes strays of this kind."""
    fields: ClassVar[tuple[str, ...]] = ()
    """What `diff` compares, for `ignore` to name; patterns."""
    within: ClassVar[str] = ""
    """The manifest's word above these fields, by which `ignore` may name them too."""
    protocol: ClassVar[FleetProtocol | None] = None
    """The protocol whose machines alone it is about; None where it is about all machines."""
    of_machine: ClassVar[bool] = True
    """Whether the name of each resource begins with that of a machine."""

    @abstractmethod
    def expand(self, fleet: Fleet) -> Iterable[SpecT]:
        """The resources of this kind that the fleet wants."""

    def check(self, fleet: Fleet) -> Iterable[Mistake]:
        """Mistakes across sections, such as a name that nothing declares."""
        return ()

    def notices(self, fleet: Fleet) -> Iterable[str]:
        """What the user should know of this plan although nothing is wrong."""
        return ()

    async def advise(self, fleet: Fleet, read: Reader) -> Iterable[Mistake]:
        """What may not be meant, told with its place and never in the way: what cannot be read is not told."""
        return ()

    def needs(self, spec: SpecT) -> Iterable[Need]:
        return ()

    def precedes(self, spec: SpecT) -> Iterable[Need]:
        """What waits for this, if it is there: a need of the other's, said from this side."""
        return ()

    @abstractmethod
    async def observe(self, spec: SpecT, read: Reader) -> Observation[StateT]: ...

    def refuse(self, spec: SpecT, state: StateT | None) -> str | None:
        """Why this must not be touched as it stands (state is None where absent), or None."""
        return None

    @abstractmethod
    def diff(self, spec: SpecT, state: StateT) -> tuple[FieldChange, ...]: ...

    @abstractmethod
    def steps(self, spec: SpecT, state: StateT | None, fields: tuple[FieldChange, ...]) -> tuple[Step, ...]:
        """What to do: to create where state is None, else to change just `fields`."""

    def triggered(self, spec: SpecT) -> tuple[FieldChange, ...]:
        """What changes here when a triggering need does."""
        return ()

    def wanted(self, spec: SpecT) -> bool:
        """False where the manifest says that the resource must not exist."""
        return True

    def unwanted(self, spec: SpecT, state: StateT) -> str:
        """Why it must not exist, where it does and is not wanted."""
        return "declared absent"

    def remedy(self, spec: SpecT) -> str:
        """What to do about a stray that is only shown."""
        return f"add it to the manifest, or let `prune: [{self.prunable}]` remove it"

    def searches(self, fleet: Fleet) -> Iterable[Search[SpecT]]:
        """Where to look for what exists under what the fleet manages, and the manifest does not name."""
        return ()

    async def members(self, operator: str, fleet: Fleet, read: Reader) -> Iterable[str]:
        """Accounts that may be machines of this operator, by all that this kind can read; may fail as `observe`."""
        return ()

    async def identify(self, account: str, read: Reader) -> Found | None:
        """The machine of this account, its attributes aside; None where this kind knows none. May fail as `observe`."""
        return None

    async def adopt(self, machine: Found, fleet: Fleet, read: Reader) -> Adopted:
        """What a manifest must say of a machine that is there already for its plan to be empty; may fail as `observe`.

        `fleet` is the manifest that the machine is to join: what it declares already is referred to by its name.
        """
        return Adopted()

    def pruned(self, spec: SpecT, fleet: Fleet) -> bool:
        """True where a stray is to be removed, and not only shown."""
        return self.prunable in fleet.prune

    def accounts(self, spec: SpecT) -> Iterable[tuple[Signer, str]]:
        """Who signs for a stray, with its address: the manifest does not say."""
        return ()

    def unfinished(self, field: FieldChange) -> bool:
        """True where a creation that was interrupted may leave this difference."""
        return False

    def wears(self, field: FieldChange) -> bool:
        """True where time alone makes this difference."""
        return False

    def outputs(self, spec: SpecT, state: StateT) -> Mapping[str, object]:
        """Fields of the verified state that others may name in an Output."""
        return {}

    def creates(self, spec: SpecT) -> tuple[FieldChange, ...]:
        """What a creation shows in the plan."""
        declared = self.declared(spec).items()
        return tuple(FieldChange(name, None, value) for name, value in declared if value not in (None, [], ()))

    def declared(self, spec: SpecT) -> Mapping[str, object]:
        """The value of every field that `diff` may name; None where nothing must be there.

        What the manifest leaves to the server is not in it. Never a secret: this is what is remembered of an apply.
        """
        return {}

    def subject(self, spec: SpecT) -> str:
        """Which one thing in the world is meant, such as an account, where the address alone does not say so."""
        return ""

    def kept(self, field: str, declared: object, observed: object) -> bool:
        """Whether a field that was seen as declared still is: `observed` is as `diff` shows it, before a change."""
        return same(declared, observed)

    def written(self, spec: SpecT, field: str) -> Iterable[Loc]:
        """Where the manifest may give the field's value: the first place that is there does. None means it never does.

        Machines are named, not counted: machines, press-07, market, displayName.
        """
        return (("machines", spec.address.name.split("/")[0]),)

    def equal(self, spec: SpecT, state: StateT) -> str:
        """Why there is nothing to do."""
        return "as declared"


AnyKind = Kind[Any, Any]


class Resource(Value):
    """One desired resource: its kind and its spec."""

    kind: AnyKind
    spec: Spec
    after: str = ""
    """The machine of which everything must be converged before this may leave, or ""."""

    @classmethod
    def of(cls, fleet: Fleet, kind: AnyKind, spec: Spec) -> "Resource":
        """As the fleet has it."""
        found = cls(kind, spec)
        return replace(found, after=fleet.awaited.get(found.machine, "")) if fleet.awaited else found

    @property
    def address(self) -> Address:
        return self.spec.address

    @property
    def machine(self) -> str:
        """The machine it belongs to, or "" where it is the fleet's."""
        return self.address.name.partition("/")[0] if self.kind.of_machine else ""
