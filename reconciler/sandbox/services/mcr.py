"""The MCR API: scorecards, machine profiles, fleets and machine cards, read from the chain."""

import json
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reconciler.sandbox.services.chainview import ChainUnavailable, Facts, MachineFacts, MintedFacts
from reconciler.sandbox.services.identity import Reference, did_of, parse_reference
from reconciler.sandbox.services.web import Context

Body = dict[str, Any]
_VISIBILITIES = ("private", "onchain", "public")
_WINDOW = 100


class McrApi:
    """Handlers, and what they remember: cached scorecards and the times of recent requests."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._cache: dict[Reference, tuple[float, Body]] = {}
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
        did, reference = _named(request)
        lifetime = self._ctx.switches.mcrCacheSeconds
        cached = self._cache.get(reference)
        if cached and time.monotonic() - cached[0] < lifetime:
            return cached[1] | {"did": did}
        fact = await self._machine(reference)
        body = {
            "did": did,
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
        self._cache[reference] = (time.monotonic(), body)
        return body

    async def profile(self, request: Request) -> Body:
        did, reference = _named(request)
        return await self._profile(await self._machine(reference), did)

    async def metadata(self, request: Request) -> Body:
        machine_id = await self._ctx.chain.machine_of_token(_number(request.path_params["token_id"]))
        fact = await self._ctx.mcr.resolve_one(Reference(machine_id=machine_id)) if machine_id else None
        if fact is None:
            raise HTTPException(404, "Machine not found")
        return await self._profile(fact, fact.did)

    async def card(self, request: Request) -> Body:
        self._ctx.mcr.check_available()
        (fact,) = await self._ctx.chain.machines([_number(request.path_params["machine_id"])])
        if fact is None:
            raise HTTPException(404, "Machine wallet not found")
        return {
            "name": f"Machine #{fact.machine_id}",
            "machine_id": fact.machine_id,
            "did": fact.did,
            "wallet": fact.wallet,
            "owner": fact.owner,
            "operator": fact.operator,
            # The real card says so of every registered machine, a deactivated one too.
            "active": True,
            "bond_status": _bond(fact),
        }

    async def fleet(self, request: Request) -> Body:
        """Machines of v1 that the account published, then those of v2 that it owns or controls.

        `total` counts ids before unregistered ones are dropped: a page may be shorter than its limit.
        """
        self._ctx.mcr.check_available()
        offset = _query_number(request, "offset", 0, least=0, most=1 << 31)
        limit = _query_number(request, "limit", 20, least=1, most=20)
        did, reference = _named(request)
        if reference.address is None:
            raise HTTPException(400, "Invalid Ethereum address format")
        (published,) = await self._ctx.chain.attributes([(reference.address, "machines")])
        ids = _machine_ids(published)
        if self._ctx.switches.mcrFirstHundred:
            ids = ids[:_WINDOW]
        tokens = await self._ctx.chain.minted_for(reference.address)
        first, end = offset - len(ids), offset + limit
        facts: list[Facts | None] = [
            *await self._ctx.chain.machines(ids[offset:end]),
            *await self._ctx.chain.minted(tokens[max(0, first) : max(0, end - len(ids))]),
        ]
        return {
            "operator_did": did,
            "machines": [
                {
                    "did": fact.did,
                    **{name: _rating(fact)[name] for name in ("machine_id", "mcr_score", "mcr", "negative_flag")},
                }
                for fact in facts
                if fact is not None
            ],
            "pagination": {"offset": offset, "limit": limit, "total": len(ids) + len(tokens)},
        }

    async def _machine(self, reference: Reference) -> Facts:
        fact = await self._ctx.mcr.resolve_one(reference)
        if fact is None:
            raise HTTPException(404, "Machine not found")
        return fact

    async def _profile(self, fact: Facts, did: str) -> Body:
        if isinstance(fact, MintedFacts):
            return _minted_profile(fact)
        return await self._registered_profile(fact, did)

    async def _registered_profile(self, fact: MachineFacts, did: str) -> Body:
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


def _minted_profile(fact: MintedFacts) -> Body:
    peaqos = {
        "did": fact.did,
        **_rating(fact),
        "operator": fact.operator,
        "event_count": 0,
        "data_visibility": "private",
        "documentation_url": None,
    }
    return {"schema_version": "1.0", "name": f"Machine #{fact.machine_id}", "peaqos": peaqos}


def _rating(fact: Facts) -> Body:
    """No event history is kept here: a bonded machine is provisioned, any other is not rated."""
    return {
        "machine_id": fact.json_id,
        "mcr_score": 0,
        "mcr": "Provisioned" if fact.bonded else "NR",
        "bond_status": _bond(fact),
        "negative_flag": False,
    }


def _bond(fact: Facts) -> str:
    return "bonded" if fact.bonded else "unbonded"


def _machine_ids(published: str | None) -> list[int]:
    try:
        listed = json.loads(published or "[]")
    except ValueError:
        return []
    if not isinstance(listed, list):
        return []
    return [i for i in listed if isinstance(i, int) and not isinstance(i, bool) and 0 < i < 1 << 256]


def _named(request: Request) -> tuple[str, Reference]:
    """The DID of the path, which may be written without its prefix, and what it means."""
    given = request.path_params["did"]
    if not given.strip():
        raise HTTPException(400, "Empty DID")
    is_did = given.startswith("did:peaq:")
    reference = parse_reference(given if is_did else did_of(given))
    if reference is None or (reference.address is None and not is_did):
        raise HTTPException(400, "Invalid Ethereum address format")
    return given if is_did else did_of(reference.address or ""), reference


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
