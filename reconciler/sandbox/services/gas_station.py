"""The Gas Station: 2FA enrolment and gas for machine wallets, paid from the sandbox's faucet account."""

import json
import secrets
import time
import uuid
from collections import deque
from collections.abc import Mapping
from typing import Any

from eth_utils.address import is_hex_address, to_checksum_address
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reconciler.sandbox.services.chainview import ChainUnavailable, TransferRefused
from reconciler.sandbox.services.totp import GasError, SecondFactors, image
from reconciler.sandbox.services.web import Context

_CHAIN = "peaq"


class GasStation:
    """Handlers, and what need not outlive the process: requests in flight and image links."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._factors = SecondFactors(ctx.config, ctx.store, ctx.faults)
        self._in_flight: set[str] = set()
        self._links: dict[str, tuple[float, str, str]] = {}
        self._recent: deque[float] = deque()

    def app(self) -> Starlette:
        errors: Mapping[Any, Any] = {GasError: _refuse, HTTPException: _unknown}
        return Starlette(
            routes=[
                Route("/2fa/setup", self.setup, methods=["POST"]),
                Route("/2fa/confirm", self.confirm, methods=["POST"]),
                Route("/2fa/qr/{token}", self.qr, methods=["GET"]),
                Route("/faucet/fund", self.fund, methods=["POST"]),
            ],
            exception_handlers=errors,
        )

    async def setup(self, request: Request) -> Response:
        body = await _body(request)
        owner, kind = body.get("ownerAddress"), body.get("format", "svg")
        if not isinstance(owner, str) or not is_hex_address(owner) or not owner.startswith("0x"):
            raise GasError(400, "INVALID_OWNER_ADDRESS", "Invalid owner address")
        if kind not in ("svg", "png"):
            raise GasError(400, "INVALID_PAYLOAD", "format must be svg or png")
        uri = self._factors.enrol(owner)
        token = secrets.token_urlsafe(16)
        self._links[token] = (time.monotonic(), uri, kind)
        link = f"{request.url.scheme}://{request.url.netloc}/gas-station/2fa/qr/{token}"
        return _success(None, {"ownerAddress": owner, "otpauthUri": uri, "qrImageUrl": link})

    async def confirm(self, request: Request) -> Response:
        body = await _body(request)
        self._factors.confirm(_address(body, "ownerAddress"), _text(body, "twoFactorCode"))
        return _success("2FA_ACTIVATED", None)

    async def qr(self, request: Request) -> Response:
        made, uri, kind = self._links.get(request.path_params["token"], (0.0, "", ""))
        if not uri or time.monotonic() - made > self._ctx.switches.qrTtlSeconds:
            raise HTTPException(404)
        return Response(image(uri, kind), media_type="image/svg+xml" if kind == "svg" else "image/png")

    async def fund(self, request: Request) -> Response:
        body = await _body(request)
        owner, target = _address(body, "ownerAddress"), _address(body, "targetWalletAddress")
        code, request_id = _text(body, "twoFactorCode"), _request_id(body)
        if _text(body, "chainId") != _CHAIN:
            raise GasError(400, "INVALID_PAYLOAD", f"chainId must be {_CHAIN}")
        # The code comes first: a replay too must prove who asks.
        self._factors.check(owner, code)
        if request_id in self._in_flight:
            raise GasError(409, "DUPLICATE_REQUEST", "Request ID is already being processed")
        if self._ctx.store.get("fund_request", request_id) is not None:
            raise GasError(409, "REQUEST_ALREADY_PROCESSED", "Request ID has already been completed")
        self._check_rate()
        self._in_flight.add(request_id)
        try:
            return await self._pay(owner, target, request_id)
        finally:
            self._in_flight.discard(request_id)

    async def _pay(self, owner: str, target: str, request_id: str) -> Response:
        ctx, switches = self._ctx, self._ctx.switches
        amount, least = int(switches.fundAmount), int(switches.minGasBalance)
        try:
            balance = await ctx.chain.balance(target)
            if balance >= least:
                self._finish(request_id)
                data = {"currentBalance": str(balance), "minGasBalance": str(least)}
                return _success("SUFFICIENT_BALANCE", data, status="skipped")
            day = ctx.tick()[:10]
            self._check_cap(f"owner/{owner}/{day}", amount, int(switches.ownerDailyCap), "CAP_EXCEEDED_OWNER")
            self._check_cap(f"wallet/{target}/{day}", amount, int(switches.walletDailyCap), "CAP_EXCEEDED_WALLET")
            if switches.transferFails:
                raise TransferRefused("switched off")
            tx_hash = await ctx.chain.send(ctx.config.faucet_address, target, amount)
        except (ChainUnavailable, TransferRefused) as problem:
            # Not finished: the same request id may be sent again.
            raise GasError(502, "TRANSFER_FAILED", "On-chain transfer failed") from problem
        for account in (f"owner/{owner}/{day}", f"wallet/{target}/{day}"):
            ctx.store.put("funded", {"id": account, "wei": str(self._funded(account) + amount)})
        self._finish(request_id)
        return _success("SUCCESS", {"txHash": tx_hash, "fundedAmount": str(amount)})

    def _finish(self, request_id: str) -> None:
        self._ctx.store.put("fund_request", {"id": request_id})

    def _funded(self, account: str) -> int:
        return int((self._ctx.store.get("funded", account) or {"wei": "0"})["wei"])

    def _check_cap(self, account: str, amount: int, cap: int, code: str) -> None:
        if cap and self._funded(account) + amount > cap:
            raise GasError(429, code, "Daily funding cap exceeded")

    def _check_rate(self) -> None:
        most, now = self._ctx.switches.fundRateLimitPerMinute, time.monotonic()
        while self._recent and now - self._recent[0] > 60:
            self._recent.popleft()
        if most and len(self._recent) >= most:
            raise GasError(429, "RATE_LIMITED", "Faucet rate limit exceeded")
        self._recent.append(now)


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.body())
    except ValueError as problem:
        raise GasError(400, "INVALID_PAYLOAD", "body is not valid JSON") from problem
    if not isinstance(body, dict):
        raise GasError(400, "INVALID_PAYLOAD", "body must be a JSON object")
    return body


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise GasError(400, "INVALID_PAYLOAD", f"{name} must be a non-empty string")
    return value


def _address(body: Mapping[str, Any], name: str) -> str:
    value = _text(body, name)
    if not value.startswith("0x") or not is_hex_address(value):
        raise GasError(400, "INVALID_PAYLOAD", f"{name} must be an address")
    return str(to_checksum_address(value))


def _request_id(body: Mapping[str, Any]) -> str:
    value = _text(body, "requestId")
    try:
        return str(uuid.UUID(value))
    except ValueError as problem:
        raise GasError(400, "INVALID_PAYLOAD", "requestId must be a UUID") from problem


def _success(code: str | None, data: Mapping[str, str] | None, *, status: str = "success") -> Response:
    body: dict[str, Any] = {"status": status}
    if code is not None:
        body["code"] = code
    if data is not None:
        body["data"] = data
    return JSONResponse(body)


async def _refuse(request: Request, problem: GasError) -> Response:
    return JSONResponse({"status": "error", "code": problem.code, "message": str(problem)}, status_code=problem.status)


async def _unknown(request: Request, problem: HTTPException) -> Response:
    """The framework's own answer, whose code is a number."""
    body = {"name": "NotFound", "message": "Page not found", "code": 404, "className": "not-found", "errors": {}}
    return JSONResponse(body, status_code=404)
