"""Every error a user can meet, named for what the caller must do.

FleetError
├── ManifestError    fix the file: every problem at its place, all together
├── ConfigError      fix the surroundings: a key, a variable, an endpoint, a flag
├── PlanError        UnsafePlan: a guard refused · StalePlan: what was saved does not fit the world any more
├── WorldError       Unreachable: try again later · Rejected: permanent, decoded · Deferred: no for now, nothing done ·
│                Ambiguous: sent, result unknown
├── NotConverged     done, but reading back shows something else
└── JournalError     Locked · Corrupt · UnsettledIntent
"""

from collections.abc import Sequence

from reconciler.core.exits import Exit
from reconciler.core.value import Value


class FleetError(Exception):
    """Base of all. `code` is stable, `where` is a place, `hint` says what to do next.

    `remedy` is what to do about any error of the class, for docs/reference/errors.md.
    """

    code = "error"
    exit_code = Exit.ERROR
    remedy = "do what the message says"

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class Problem(Value, order=True):
    """One thing wrong in a manifest. `line` and `column` count from 1; 0 means the file as a whole."""

    file: str
    line: int
    column: int
    message: str
    hint: str = ""

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class ManifestError(FleetError):
    code = "manifest.invalid"
    exit_code = Exit.INVALID
    remedy = "correct the file at the places given"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class ConfigError(FleetError):
    code = "config.invalid"
    exit_code = Exit.INVALID
    remedy = "correct a key, a variable, an endpoint or an option"


class PlanError(FleetError):
    code = "plan.error"
    remedy = "the message names what is in the way"


class UnsafePlan(PlanError):
    code = "plan.unsafe"
    exit_code = Exit.REFUSED
    remedy = "a guard refused; the message names what would pass"


class StalePlan(PlanError):
    """A saved plan of another world than this one: nothing was done, plan again."""

    code = "plan.stale"
    exit_code = Exit.STALE
    remedy = "make a new plan, and have it approved"


class WorldError(FleetError):
    code = "world.error"
    remedy = "do what the message says"


class Unreachable(WorldError):
    """The other side did not answer, or answered that it cannot now. Trying again is safe."""

    code = "world.unreachable"
    remedy = "try again later"


class Rejected(WorldError):
    """A clear and permanent no. `reason` is the other side's own code or error name."""

    code = "world.rejected"
    remedy = "a clear no; the message says what to do"

    def __init__(self, message: str, *, reason: str = "", where: str = "", hint: str = "") -> None:
        super().__init__(message, where=where, hint=hint)
        self.reason = reason


class Deferred(Rejected):
    """A clear no that ends by itself, but not soon. Nothing was done, and what asked for it is parked."""

    code = "world.deferred"
    remedy = "not today; what asked for it is parked, so apply again later"


class Ambiguous(WorldError):
    """Sent, and the outcome is unknown. Never retry: look first."""

    code = "world.ambiguous"
    exit_code = Exit.UNKNOWN
    remedy = "apply again: what happened is looked up first"


class NotConverged(FleetError):
    code = "apply.not_converged"
    exit_code = Exit.PARTLY
    remedy = "plan again to see what differs"


class JournalError(FleetError):
    code = "journal.error"
    remedy = "the message says what to do; the world is never in doubt"


class Locked(JournalError):
    code = "journal.locked"
    exit_code = Exit.LOCKED
    remedy = "wait for the other run"


class Corrupt(JournalError):
    code = "journal.corrupt"
    remedy = "the message says what to do; the world is never in doubt"


class UnsettledIntent(JournalError):
    code = "journal.unsettled"
    exit_code = Exit.UNKNOWN
    remedy = "apply again, or see `fleetctl journal list`"
