"""The world as kinds read it: one block, one moment, every question asked once."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from reconciler.adapters import reverts
from reconciler.adapters.answers import Answers
from reconciler.adapters.http_api import HttpApi
from reconciler.adapters.listing import Listing
from reconciler.adapters.views import Question, Views
from reconciler.core.errors import Rejected, Unreachable
from reconciler.core.fleet import ContractAddresses
from reconciler.core.ports import Json, Memory, Receipt, Sink, Stored
from reconciler.core.text import visible

READ_ATTRIBUTE = "readAttribute(address,bytes)((bytes,bytes,uint32,uint256))"
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
        self._answers = Answers()

    @property
    def block(self) -> int:
        return self._views.block

    def now(self) -> float:
        return self._now

    def chain_time(self) -> float:
        return max(self._now, self._views.moment)

    def view(self, contract: str, function: str, *args: object) -> Awaitable[tuple[Any, ...]]:
        return self._views.ask(Question(contract, self._contracts.at(contract), function, args))

    async def balance(self, address: str) -> int:
        return await self._views.balance(address)

    async def attribute(self, account: str, name: str) -> str | None:
        return await _text(self._attribute(account, name))

    async def attributes(self, account: str, names: Iterable[str]) -> Mapping[str, str | None]:
        # All are asked for before the first is waited for.
        asked = [(name, self._attribute(account, name)) for name in names]
        return {name: await _text(answer) for name, answer in asked}

    def _attribute(self, account: str, name: str) -> Awaitable[tuple[Any, ...]]:
        return self.view("did", READ_ATTRIBUTE, account, name.encode())

    async def items(self, *path: str) -> Sequence[Json]:
        return (await self._list(path)).items

    async def find(self, field: str, value: str, *path: str) -> Json | None:
        return (await self._list(path)).find(field, value)

    def _list(self, path: tuple[str, ...]) -> Awaitable[Listing]:
        api = _configured(self._markets, "services.markets")
        return self._answers.get(("items", path), lambda: api.lists.get(path, self.block))

    async def item(self, *path: str) -> Json:
        api = _configured(self._markets, "services.markets")
        return await self._answers.get(("item", path), lambda: api.item(path))

    async def mcr(self, *path: str) -> Json:
        api = _configured(self._mcr, "services.mcr")
        return await self._answers.get(("mcr", path), lambda: api.get(path))

    async def together(self, reads: Iterable[Awaitable[T]]) -> Sequence[T]:
        return await asyncio.gather(*reads)

    async def minted_for(self, account: str) -> Collection[str]:
        return await self._answers.get(("minted", account.lower()), lambda: self._minted(account, self.block))

    def signers(self) -> Sequence[tuple[str, str]]:
        return self._receipts.signers()

    def subjects(self, kind: str) -> Sequence[tuple[str, str]]:
        return self._receipts.subjects(kind)

    def receipt(self, name: str) -> Receipt | None:
        return self._receipts.receipt(name)

    async def stored(self, name: str) -> Stored:
        return self._sink.stored(name)


async def _text(answer: Awaitable[tuple[Any, ...]]) -> str | None:
    """That of an attribute, or None where the chain says clearly that there is none."""
    try:
        ((_, value, _, _),) = await answer
    except Rejected as error:
        if error.reason in reverts.NOT_THERE:
            return None
        raise
    return visible(bytes(value).decode("utf-8", "backslashreplace"))


def _configured(api: HttpApi | None, setting: str) -> HttpApi:
    if api is None:
        raise Unreachable(f"{setting} is not set", hint=f"set {setting}.url in the manifest")
    return api
