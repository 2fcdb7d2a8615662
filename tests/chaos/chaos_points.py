"""Points at which a run can be killed: just before and just after every act of every port, by name.

Wrappers stand around the real ports and report to a Tripwire, which takes notes or ends the process with SIGKILL.
A point is `<port method>/<when>/<kind>: <step or request>`; numbers and ids in it are left out.
"""

import os
import re
import signal
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from reconciler.core.ports import Json, Label, Mined, Receipt, Sent
from reconciler.core.value import replace
from reconciler.engine.world import World

TURNS = {"agent-pairings", "challenges", "runtime-endpoints", "machines", "machine-identity", "sessions", "policies"}
_LABEL: ContextVar[str] = ContextVar("label", default="")


def subject(label: Label) -> str:
    """What a step is about, the same for every resource of its kind."""
    step = re.sub(r"[0-9][0-9T:.Z-]*", "n", re.sub(r"[0-9]+ (\w+ \w+?)s?$", r"n \1s", label.step))
    return f"{label.address.split('/')[0] or 'nobody'}: {step}"


class Tripwire:
    """Takes notes of the points passed. Sends the process a signal at pass `turn` of `target`."""

    def __init__(
        self, notes: Path | None = None, target: str = "", turn: int = 1, number: int = signal.SIGKILL
    ) -> None:
        self._notes = notes
        self._target = target
        self._turn = turn
        self._number = number

    def passing(self, port: str, when: str, subjects: Iterable[str]) -> None:
        for about in dict.fromkeys(subjects):
            point = f"{port}/{when}/{about}"
            if self._notes is not None:
                with self._notes.open("a") as stream:
                    stream.write(point + "\n")
            if point == self._target:
                self._turn -= 1
                if self._turn == 0:
                    os.kill(os.getpid(), self._number)

    def around(self, world: World) -> World:
        """The same world, watched."""
        journal = WatchedJournal(world.journal, self)
        api = world.api and WatchedApi(world.api, self)
        chain = WatchedChain(world.chain, self, journal.about)
        return replace(world, journal=journal, chain=chain, api=api, sink=WatchedSink(world.sink, self))


class _Watched:
    def __init__(self, inner: Any, wire: Tripwire) -> None:
        self._inner = inner
        self._wire = wire

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class WatchedJournal(_Watched):
    """A Journal."""

    def __init__(self, inner: Any, wire: Tripwire) -> None:
        super().__init__(inner, wire)
        self._subjects: dict[str, list[str]] = {}
        self._requests: dict[int, str] = {}
        for sent in inner.unsettled():
            self._learn(sent)
        for number, label, _ in inner.unanswered():
            self._requests[number] = subject(label)

    def _learn(self, sent: Sent) -> list[str]:
        about = [subject(label) for label in sent.labels]
        self._subjects[sent.hash] = self._subjects[sent.raw] = about
        return about

    def about(self, key: str) -> list[str]:
        """Subjects of a transaction, by hash or by its bytes."""
        return self._subjects.get(key, ["unknown"])

    async def signed(self, sent: Sent) -> None:
        about = self._learn(sent)
        self._wire.passing("journal.signed", "before", about)
        await self._inner.signed(sent)
        self._wire.passing("journal.signed", "after", about)

    async def mined(self, mined: Mined) -> None:
        self._wire.passing("journal.mined", "before", self.about(mined.hash))
        await self._inner.mined(mined)
        self._wire.passing("journal.mined", "after", self.about(mined.hash))

    async def settled(self, tx_hash: str, outcome: str) -> None:
        self._wire.passing("journal.settled", "before", self.about(tx_hash))
        await self._inner.settled(tx_hash, outcome)
        self._wire.passing("journal.settled", "after", self.about(tx_hash))

    async def requested(self, label: Label, request: str) -> int:
        about = subject(label)
        _LABEL.set(about)
        self._wire.passing("journal.requested", "before", [about])
        number = int(await self._inner.requested(label, request))
        self._requests[number] = about
        self._wire.passing("journal.requested", "after", [about])
        return number

    async def answered(self, number: int, outcome: str) -> None:
        about = [self._requests.get(number, "unknown")]
        self._wire.passing("journal.answered", "before", about)
        await self._inner.answered(number, outcome)
        self._wire.passing("journal.answered", "after", about)

    async def keep(self, receipt: Receipt) -> None:
        self._wire.passing("journal.keep", "before", [_LABEL.get()])
        await self._inner.keep(receipt)
        self._wire.passing("journal.keep", "after", [_LABEL.get()])


class WatchedChain(_Watched):
    """A Chain."""

    def __init__(self, inner: Any, wire: Tripwire, about: Callable[[str], list[str]]) -> None:
        super().__init__(inner, wire)
        self._about = about

    async def broadcast(self, raw: str) -> None:
        self._wire.passing("chain.broadcast", "before", self._about(raw))
        await self._inner.broadcast(raw)
        self._wire.passing("chain.broadcast", "after", self._about(raw))


class WatchedApi(_Watched):
    """An Api."""

    async def send(self, method: str, path: Sequence[str], body: Json | None) -> Json:
        shown = f"{method} /{'/'.join(part if part in TURNS else '-' for part in path)}"
        if method == "PATCH":
            shown += f" {'+'.join(sorted(body or {}))}"
        self._wire.passing("api.send", "before", [shown])
        answer: Json = await self._inner.send(method, path, body)
        self._wire.passing("api.send", "after", [shown])
        return answer


class WatchedSink(_Watched):
    """A Sink."""

    def write(self, name: str, secret: str) -> None:
        self._wire.passing("sink.write", "before", [_LABEL.get()])
        self._inner.write(name, secret)
        self._wire.passing("sink.write", "after", [_LABEL.get()])
