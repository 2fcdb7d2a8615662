"""The limit on spending, kept where it signs: nothing that would go over it ever gets a signature."""

from reconciler.core.errors import UnsafePlan
from reconciler.core.money import format_amount


class Purse:
    """Counts what operators have committed at worst, in wei: values, deposits and gas at the highest fee signed."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._committed: dict[tuple[str, int], int] = {}
        self._total = 0

    def commit(self, sender: str, nonce: int, wei: int) -> None:
        """Reserve `wei` for this nonce; a bump replaces what its nonce had. UnsafePlan where that is too much."""
        total = self._total - self._committed.get((sender, nonce), 0) + wei
        if self._limit is not None and total > self._limit:
            limit = format_amount(self._limit)
            message = f"signing would commit {format_amount(total)}; guards.maxSpend is {limit}"
            raise UnsafePlan(message, hint="raise guards.maxSpend, or apply less at once")
        self._committed[sender, nonce], self._total = wei, total
