"""Talking to the dev node behind the front."""

import itertools
from collections.abc import Sequence
from typing import Any

import httpx

Call = tuple[str, Sequence[Any]]
TIMEOUT_SECONDS = 120.0


class NodeError(Exception):
    """The node answered with an error object."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error.get("message", ""))
        self.error = error


class NodeRpc:
    """JSON-RPC to one node over kept-alive connections."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ids = itertools.count(1)
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
        self._client = httpx.AsyncClient(timeout=TIMEOUT_SECONDS, limits=limits, trust_env=False)

    async def call(self, method: str, *params: Any) -> Any:
        """The result; NodeError when the node says no."""
        return _result(await self.post(self.request(method, params)))

    async def batch(self, calls: Sequence[Call]) -> list[Any]:
        """The results of one JSON-RPC batch, in order."""
        if not calls:
            return []
        requests = [self.request(method, params) for method, params in calls]
        answers = {answer["id"]: answer for answer in await self.post(requests)}
        return [_result(answers[request["id"]]) for request in requests]

    async def post(self, body: Any) -> Any:
        """The parsed answer to this body, whatever it is."""
        response = await self._client.post(self._url, json=body)
        return response.json()

    def request(self, method: str, params: Sequence[Any]) -> dict[str, Any]:
        """A request object with an id of its own."""
        return {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}

    async def close(self) -> None:
        await self._client.aclose()


def _result(answer: dict[str, Any]) -> Any:
    if "error" in answer:
        raise NodeError(answer["error"])
    return answer["result"]
