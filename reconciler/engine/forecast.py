"""How many blocks an apply will take: its transactions in waves, as the kinds guess them and then as the node says.

A wave is what can be in a block at once, for all that it needs was in the waves before. Nobody waits for a whole wave:
what has all it needs goes on, so a wave ends when it and those before it are through.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from reconciler.core.address import Address
from reconciler.core.effects import ChainGroup
from reconciler.core.graph import Needs
from reconciler.core.plan import PlannedChange
from reconciler.core.ports import Label
from reconciler.core.value import Value
from reconciler.engine.events import Event, Stage

GAS_MARGIN = 1.25
"""Estimates are for the state of a moment; what is not used is not paid, but a block must have room for it."""
LONG = 120
"""Seconds from which on minutes are said."""


class Place(Value):
    """Where a step stands: in which wave, the first being 1, with how much gas by its kind's guess."""

    wave: int
    gas: int


Places = Mapping[Label, Place]


def places(
    acting: Collection[PlannedChange], needs: Needs, riders: Mapping[Address, Collection[PlannedChange]]
) -> Places:
    """Every step that is a transaction. `acting` is in order of need; `riders` share the transactions of their keys."""
    found: dict[Label, Place] = {}
    ends: dict[Address, int] = {change.address: 0 for change in acting}
    riding = {(rider.address, host) for host, changes in riders.items() for rider in changes}
    for change in acting:
        waited = [n.address for n in needs[change.address] if n.through is None or n.through in ends]
        wave = max((ends.get(host, 0) - ((change.address, host) in riding) for host in waited), default=0)
        for step in change.steps:
            if isinstance(step.effect, ChainGroup):
                wave += 1
                gas = sum(call.gas for call in step.effect.calls)
                found[Label(str(change.address), step.title)] = Place(wave, gas)
        ends[change.address] = wave
    return found


@dataclass
class Wave:
    """What is known of one. `left` is gas by guess; the rest is of transactions that were signed."""

    kinds: Counter[str]
    left: int = 0
    guessed: float = 0.0
    estimated: float = 0.0
    count: float = 0.0

    def blocks(self, limit: int) -> float:
        """How many blocks of so much gas take what is left, if the rest is as what was signed."""
        if not self.count:
            return self.left / limit
        # A block has room for a last transaction only with all the gas that it is given, margin included.
        fit = max(1, int(limit * self.count / self.estimated - (GAS_MARGIN - 1)))
        return self.left * self.count / self.guessed / fit


class Forecast:
    """Follows the transactions of a run, and tells when a wave begins and what of it is left."""

    def __init__(self, found: Places, emit: Callable[[Event], None], pace: Callable[[], float]) -> None:
        self._open = dict(found)
        self._found = found
        self._emit, self._pace = emit, pace
        self._waves = [Wave(Counter()) for _ in range(max((place.wave for place in found.values()), default=0))]
        for label, place in found.items():
            wave = self._waves[place.wave - 1]
            wave.kinds[label.address.partition("/")[0]] += 1
            wave.left += place.gas
        self._begun = 0
        self._limit = 0
        self._left = ""

    def signed(self, labels: Iterable[Label], guess: int, estimate: float, limit: int) -> None:
        """A transaction for these steps; gas by the kinds' guess and by the node's estimate, and that of a block."""
        shares: Counter[int] = Counter()
        for place in (self._found[label] for label in labels if label in self._found):
            shares[place.wave] += place.gas
        self._limit, total = limit, shares.total()
        for number, share in shares.items():
            wave, part = self._waves[number - 1], share / total
            wave.guessed += guess * part
            wave.estimated += estimate * part
            wave.count += part
        newest = max(shares, default=0)
        if newest > self._begun:
            self._begun = newest
            kinds = self._waves[newest - 1].kinds
            self._tell(", ".join(f"{n} {kind}" for kind, n in kinds.items()))

    def ended(self, labels: Iterable[Label]) -> None:
        """These steps are in a block, or will never be."""
        for label in labels:
            if place := self._open.pop(label, None):
                self._waves[place.wave - 1].left -= place.gas
        if self._begun:
            self._tell()

    def _tell(self, what: str = "") -> None:
        """`what` begins, or how much is left."""
        blocks = -int(-sum(wave.blocks(self._limit) for wave in self._waves[: self._begun]) // 1)
        number, lasting = f"{self._begun} of {len(self._waves)}", in_blocks(blocks, self._pace())
        left = f"{number}: {lasting} left" if blocks else f"{number}: all in blocks"
        if what or left != self._left:
            self._left = left
            text = f"{number}: {what}, about {lasting}" if what else left
            self._emit(Event(Stage.WAVE, text=text, data={"wave": self._begun, "left": left}))


def in_blocks(blocks: int, pace: float) -> str:
    """A number of blocks, and how long they take at so many seconds each, where that is known (not 0)."""
    seconds = round(blocks * pace)
    lasting = f"{round(seconds / 60)} min" if seconds >= LONG else f"{seconds} s"
    return f"{blocks} block{'s'[: blocks != 1]}" + (f", {lasting}" if pace else "")
