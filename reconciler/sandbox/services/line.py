"""The line to the dev node: what is asked while a request is under way goes along with the next one."""

import asyncio
from typing import Any

import httpx

Call = tuple[str, list[Any]]
TIMEOUT_SECONDS = 10


class Line:
    """One request to the node at a time, so that a service asked a thousand things does not ask it a thousand times."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False)
        self._waiting: list[tuple[Call, asyncio.Future[dict[str, Any]]]] = []
        self._worker: asyncio.Task[None] | None = None

    def ask(self, call: Call) -> asyncio.Future[dict[str, Any]]:
        """What the node answers to this, an error or a result, as things stand after it was asked.

        It raises httpx.HTTPError, ValueError, KeyError or TypeError where the node gives no answer, or no sensible one.
        """
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting.append((call, future))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.ensure_future(self._work())
        return future

    async def _work(self) -> None:
        while self._waiting:
            asked, self._waiting = self._waiting, []
            try:
                answers = await self._post([call for call, _ in asked])
            except Exception as problem:
                for _, future in asked:
                    if not future.done():
                        future.set_exception(problem)
                continue
            for (_, future), answer in zip(asked, answers, strict=True):
                if not future.done():
                    future.set_result(answer)

    async def _post(self, calls: list[Call]) -> list[dict[str, Any]]:
        batch = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            for number, (method, params) in enumerate(calls)
        ]
        response = await self._client.post(self._url, json=batch)
        by_id = {answer["id"]: answer for answer in response.raise_for_status().json()}
        return [by_id[call["id"]] for call in batch]
