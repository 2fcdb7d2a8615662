"""The world as kinds read it: one block, one moment, every question asked once."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from reconciler.adapters import abi, reverts
from reconciler.adapters.http_api import HttpApi
from reconciler.adapters.listing import Listing
from reconciler.adapters.views import Views
from reconciler.core.errors import Rejected, Unreachable
from reconciler.core.fleet import ContractAddresses
from reconciler.core.ports import Json, Memory, Receipt, Sink, Stored
from reconciler.core.text import visible

READ_ATTRIBUTE = "readAttribute(address,bytes)((bytes,bytes,uint32,uint256))"
MOST_ANSWERS = 4_000
"""Answers that are kept to be given again: what is asked twice is asked about one machine, and soon."""
T = TypeVar("T")


class WorldReader:
    """Implements the Reader port for one snapshot of the world; make a new one to look again."""

    def __init__(
        self,
        views: Views,
        contracts: ContractAddresses,
        *,
        markets: HttpApi | None,
        mcr: HttpApi | None,
        receipts: Memory,
        sink: Sink,
        minted: Callable[[str, int], Awaitable[Collection[str]]],
        now: float,
    ) -> None:
        """`minted` searches the logs up to a block for the v2 machines of an account."""
        self._views = views
        self._contracts = contracts
        self._markets = markets
        self._mcr = mcr
        self._receipts = receipts
        self._sink = sink
        self._minted = minted
        self._now = now
        self._answers: OrderedDict[object, asyncio.Future[Any]] = OrderedDict()

    @property
    def block(self) -> int:
        return self._views.block

    def now(self) -> float:
        return self._now

    def chain_time(self) -> float:
        return max(self._now, self._views.moment)

    async def view(self, contract: str, function: str, *args: object) -> tuple[Any, ...]:
        key = (contract, function, args)
        return await self._of_block(key, lambda: self._view(contract, function, args))

    async def _view(self, contract: str, function: str, args: tuple[object, ...]) -> tuple[Any, ...]:
        to = self._contracts.at(contract)
        hint = f"is there a {contract} at {to} on this network? check network.contracts"
        try:
            return abi.results(function, await self._views.read(to, abi.question(function, args)))
        except ValueError as error:
            raise Unreachable(f"{contract}: {error}", hint=hint) from None
        except Unreachable as error:
            if reverts.EMPTY not in error.message:
                raise
            raise Unreachable(f"{contract}: {error.message}", hint=hint) from None

    async def balance(self, address: str) -> int:
        return await self._of_block(("balance", address), lambda: self._views.balance(address))

    async def _of_block(self, key: object, ask: Callable[[], Awaitable[T]]) -> T:
        """What holds for all who look at this block. That there was no answer holds only for those who asked."""
        try:
            return await _once(self._views.answers, key, ask)
        except (Unreachable, asyncio.CancelledError):
            self._views.answers.pop(key, None)
            raise

    async def attribute(self, account: str, name: str) -> str | None:
        try:
            ((_, value, _, _),) = await self.view("did", READ_ATTRIBUTE, account, name.encode())
        except Rejected as error:
            if error.reason in reverts.NOT_THERE:
                return None
            raise
        return visible(bytes(value).decode("utf-8", "backslashreplace"))

    async def attributes(self, account: str, names: Iterable[str]) -> Mapping[str, str | None]:
        wanted = list(names)
        values = await asyncio.gather(*(self.attribute(account, name) for name in wanted))
        return dict(zip(wanted, values, strict=True))

    async def items(self, *path: str) -> Sequence[Json]:
        return (await self._list(path)).items

    async def find(self, field: str, value: str, *path: str) -> Json | None:
        return (await self._list(path)).find(field, value)

    async def _list(self, path: tuple[str, ...]) -> Listing:
        api = _configured(self._markets, "services.markets")
        return await _once(self._answers, ("items", path), lambda: api.lists.get(path, self.block))

    async def item(self, *path: str) -> Json:
        api = _configured(self._markets, "services.markets")
        return await _once(self._answers, ("item", path), lambda: api.item(path))

    async def mcr(self, *path: str) -> Json:
        api = _configured(self._mcr, "services.mcr")
        return await _once(self._answers, ("mcr", path), lambda: api.get(path))

    async def together(self, reads: Iterable[Awaitable[T]]) -> Sequence[T]:
        return await asyncio.gather(*reads)

    async def minted_for(self, account: str) -> Collection[str]:
        return await _once(self._answers, ("minted", account.lower()), lambda: self._minted(account, self.block))

    def signers(self) -> Sequence[tuple[str, str]]:
        return self._receipts.signers()

    def subjects(self, kind: str) -> Sequence[tuple[str, str]]:
        return self._receipts.subjects(kind)

    def receipt(self, name: str) -> Receipt | None:
        return self._receipts.receipt(name)

    async def stored(self, name: str) -> Stored:
        return self._sink.stored(name)


async def _once(answers: OrderedDict[object, asyncio.Future[Any]], key: object, ask: Callable[[], Awaitable[T]]) -> T:
    if key not in answers:
        answers[key] = asyncio.ensure_future(ask())
    # The last to be asked for come last. An ordinary dict looks for its first one through all that went before.
    answers.move_to_end(key)
    answer: asyncio.Future[T] = answers[key]
    if len(answers) > MOST_ANSWERS:
        answers.popitem(last=False)
    return await answer


def _configured(api: HttpApi | None, setting: str) -> HttpApi:
    if api is None:
        raise Unreachable(f"{setting} is not set", hint=f"set {setting}.url in the manifest")
    return api
