"""Every exit code of the command line, and what it tells a script. docs/reference/exit-codes.md is made from this."""

from enum import IntEnum


class Exit(IntEnum):
    """A code, and what it means."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> "Exit":
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    DONE = 0, "done, or nothing to do; parked steps alone are no failure"
    ERROR = 1, "an error; a declined prompt; a plan with something unreadable in it"
    CHANGES = (
        2,
        "changes pending or blocked (`plan --detailed-exitcode`, `drift`, `import`); "
        "a file in another form (`fmt --check`) or an old one (`schema --check`)",
    )
    INVALID = 3, "the manifest or the configuration is invalid; nothing was done"
    REFUSED = (
        4,
        "a guard refused the plan (spending, removals, balance, authority, windows, legacy protocol, signature); "
        "nothing was done",
    )
    PARTLY = 5, "applied in part: something failed, is blocked, or what was signed for it is stale"
    UNKNOWN = 6, "the outcome of something is unknown, or a wait ran out; apply again"
    LOCKED = 7, "another fleetctl is using the same key on the same chain"
    STALE = 8, "the saved plan is stale: the message names what moved; nothing was done"
    USAGE = 64, "wrong usage"
    INTERRUPTED = 130, "interrupted; apply again"
    TERMINATED = 143, "told to stop by SIGTERM, as the shell shows it; apply again"
