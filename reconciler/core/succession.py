"""Whose place a machine takes, said in its credential subject: for whoever reads the chain, and for ever."""

import re

from reconciler.core.value import Value

_FORM = re.compile(r"peaqos:v1:(\d+):(0x[0-9a-fA-F]{40}):(\d+):(0x[0-9a-fA-F]{40})(?:/.*)?", re.DOTALL)


class Forerunner(Value):
    """A machine of protocol v1 as the chain knows it."""

    chain_id: int
    registry: str
    """Address of the IdentityRegistry that gave the id."""
    id: str
    account: str

    @property
    def text(self) -> str:
        """As a credential subject begins that says so; what may follow begins with a slash."""
        return f"peaqos:v1:{self.chain_id}:{self.registry.lower()}:{self.id}:{self.account.lower()}"

    @property
    def did(self) -> str:
        return f"did:peaq:{self.account}"

    @classmethod
    def read(cls, subject: bytes) -> "Forerunner | None":
        """What a credential subject says, or None where it says nothing of the sort."""
        found = _FORM.fullmatch(subject.decode("utf-8", "replace"))
        return cls(int(found[1]), found[2], found[3], found[4]) if found else None
