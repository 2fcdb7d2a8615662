"""The MCR API: scorecards, machine profiles, fleets and machine cards, read from the chain."""

import json
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from eth_utils.address import is_hex_address, to_checksum_address
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reconciler.sandbox.services.chainview import ChainUnavailable, MachineFacts
from reconciler.sandbox.services.identity import Reference, did_of
from reconciler.sandbox.services.web import Context

Body = dict[str, Any]
_VISIBILITIES = ("private", "onchain", "public")
_WINDOW = 100


class McrApi:
    """Handlers, and what they remember: cached scorecards and the times of recent requests."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._cache: dict[str, tuple[float, Body]] = {}
        self._recent: deque[float] = deque()

    def app(self) -> Starlette:
        table: dict[str, Callable[[Request], Awaitable[Body]]] = {
            "/mcr/{did}": self.scorecard,
            "/machine/{did}": self.profile,
            "/metadata/{token_id}": self.metadata,
            "/machines/{machine_id}": self.card,
            "/operator/{did}/machines": self.fleet,
            "/health": self.health,
            "/ready": self.ready,
            "/mcr/": self.empty,
            "/machine/": self.empty,
        }
        errors: Mapping[Any, Any] = {HTTPException: _refuse, ChainUnavailable: _unavailable}
        return Starlette(routes=[self._route(path, get) for path, get in table.items()], exception_handlers=errors)

    async def health(self, request: Request) -> Body:
        return {"status": "ok"}

    async def ready(self, request: Request) -> Body:
        self._ctx.mcr.check_available()
        problem = await self._ctx.chain.problem()
        if problem:
            raise HTTPException(503, problem)
        return {"status": "ready"}

    async def empty(self, request: Request) -> Body:
        raise HTTPException(400, "Empty DID")

    async def scorecard(self, request: Request) -> Body:
        did = request.path_params["did"]
        address = _address(did)
        lifetime = self._ctx.switches.mcrCacheSeconds
        cached = self._cache.get(address)
        if cached and time.monotonic() - cached[0] < lifetime:
            return cached[1] | {"did": _echo(did, address)}
        fact = await self._machine(address)
        body = {
            "did": _echo(did, address),
            **_rating(fact),
            "event_count": 0,
            "revenue_event_count": 0,
            "activity_event_count": 0,
            "revenue_trend": "insufficient",
            "total_revenue": 0,
            "average_revenue_per_event": 0,
            "last_updated": None,
            "mcr_degraded": False,
        }
        self._cache[address] = (time.monotonic(), body)
        return body

    async def profile(self, request: Request) -> Body:
        did = request.path_params["did"]
        address = _address(did)
        return await self._profile(await self._machine(address), _echo(did, address))

    async def metadata(self, request: Request) -> Body:
        machine_id = await self._ctx.chain.machine_of_token(_number(request.path_params["token_id"]))
        fact = await self._ctx.mcr.resolve_one(Reference(machine_id=machine_id)) if machine_id else None
        if fact is None:
            raise HTTPException(404, "Machine not found")
        return await self._profile(fact, did_of(fact.wallet))

    async def card(self, request: Request) -> Body:
        self._ctx.mcr.check_available()
        (fact,) = await self._ctx.chain.machines([_number(request.path_params["machine_id"])])
        if fact is None:
            raise HTTPException(404, "Machine wallet not found")
        return {
            "name": f"Machine #{fact.machine_id}",
            "machine_id": fact.machine_id,
            "did": did_of(fact.wallet),
            "wallet": fact.wallet,
            "owner": fact.owner,
            "operator": fact.operator,
            # The real card says so of every registered machine, a deactivated one too.
            "active": True,
            "bond_status": _bond(fact),
        }

    async def fleet(self, request: Request) -> Body:
        """`total` counts ids before unregistered ones are dropped: a page may be shorter than its limit."""
        self._ctx.mcr.check_available()
        offset = _query_number(request, "offset", 0, least=0, most=1 << 31)
        limit = _query_number(request, "limit", 20, least=1, most=20)
        did = request.path_params["did"]
        address = _address(did)
        (published,) = await self._ctx.chain.attributes([(address, "machines")])
        ids = _machine_ids(published)
        if self._ctx.switches.mcrFirstHundred:
            ids = ids[:_WINDOW]
        facts = await self._ctx.chain.machines(ids[offset : offset + limit])
        return {
            "operator_did": _echo(did, address),
            "machines": [
                {
                    "did": did_of(fact.wallet),
                    **{name: _rating(fact)[name] for name in ("machine_id", "mcr_score", "mcr", "negative_flag")},
                }
                for fact in facts
                if fact is not None
            ],
            "pagination": {"offset": offset, "limit": limit, "total": len(ids)},
        }

    async def _machine(self, address: str) -> MachineFacts:
        fact = await self._ctx.mcr.resolve_one(Reference(address=address))
        if fact is None:
            raise HTTPException(404, "Machine not found")
        return fact

    async def _profile(self, fact: MachineFacts, did: str) -> Body:
        names = ("operator", "documentation_url", "data_api", "data_visibility")
        values = await self._ctx.chain.attributes([(fact.wallet, name) for name in names])
        operator, documentation, data_api, visibility = values
        if visibility not in _VISIBILITIES:
            visibility = "private"
        peaqos: Body = {
            "did": did,
            **_rating(fact),
            "operator": operator or None,
            "event_count": 0,
            "data_visibility": visibility,
            "documentation_url": documentation or None,
        }
        if visibility == "private" and data_api:
            peaqos["data_api"] = data_api
        elif visibility == "onchain":
            peaqos["event_data"] = []
        elif visibility == "public" and data_api:
            # Nothing leaves the sandbox, so the partner is never asked.
            peaqos["partner_data_error"] = "partner data is not fetched in the sandbox"
        name = f"Machine #{fact.token_id}" if fact.token_id else "Machine (no NFT)"
        return {"schema_version": "1.0", "name": name, "peaqos": peaqos}

    def _route(self, path: str, get: Callable[[Request], Awaitable[Body]]) -> Route:
        async def endpoint(request: Request) -> Response:
            if path not in ("/health", "/ready"):
                self._check_rate()
            return JSONResponse(await get(request))

        return Route(path, endpoint, methods=["GET"])

    def _check_rate(self) -> None:
        most, now = self._ctx.switches.mcrRateLimitPerMinute, time.monotonic()
        while self._recent and now - self._recent[0] > 60:
            self._recent.popleft()
        if most and len(self._recent) >= most:
            raise HTTPException(429, "Rate limit exceeded", {"Retry-After": str(int(61 - now + self._recent[0]))})
        self._recent.append(now)


def _rating(fact: MachineFacts) -> Body:
    """No event history is kept here: a bonded machine is provisioned, any other is not rated."""
    return {
        "machine_id": fact.machine_id,
        "mcr_score": 0,
        "mcr": "Provisioned" if fact.bonded else "NR",
        "bond_status": _bond(fact),
        "negative_flag": False,
    }


def _bond(fact: MachineFacts) -> str:
    return "bonded" if fact.bonded else "unbonded"


def _machine_ids(published: str | None) -> list[int]:
    try:
        listed = json.loads(published or "[]")
    except ValueError:
        return []
    if not isinstance(listed, list):
        return []
    return [i for i in listed if isinstance(i, int) and not isinstance(i, bool) and 0 < i < 1 << 256]


def _address(did: str) -> str:
    if not did.strip():
        raise HTTPException(400, "Empty DID")
    address = did.removeprefix("did:peaq:")
    if not address.startswith("0x") or not is_hex_address(address):
        raise HTTPException(400, "Invalid Ethereum address format")
    return str(to_checksum_address(address))


def _echo(did: str, address: str) -> str:
    return did if did.startswith("did:peaq:") else did_of(address)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) >= 1 << 256:
        raise HTTPException(404, "Machine wallet not found")
    return int(text)


def _query_number(request: Request, name: str, default: int, *, least: int, most: int) -> int:
    raw = request.query_params.get(name, str(default))
    if not (raw.isascii() and raw.isdigit()) or not least <= int(raw) <= most:
        raise _Unprocessable(name, f"must be an integer from {least} to {most}")
    return int(raw)


class _Unprocessable(HTTPException):
    """FastAPI's own shape for a bad query parameter."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(422, problem)
        self.body = {"detail": [{"type": "value_error", "loc": ["query", name], "msg": problem}]}


async def _refuse(request: Request, problem: HTTPException) -> Response:
    body = problem.body if isinstance(problem, _Unprocessable) else {"detail": problem.detail}
    return JSONResponse(body, status_code=problem.status_code, headers=problem.headers)


async def _unavailable(request: Request, problem: ChainUnavailable) -> Response:
    return JSONResponse({"detail": f"Chain unavailable: {problem}"}, status_code=503)
