"""Faults of real life as data: named switches, and rules matched in order against requests."""

import asyncio
from collections import Counter
from dataclasses import asdict, dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any, Literal

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reconciler.sandbox.services.errors import invalid

Action = Literal["status", "dropBefore", "dropAfter", "delay", "rateLimit", "garbage"]
ACTIONS: tuple[Action, ...] = ("status", "dropBefore", "dropAfter", "delay", "rateLimit", "garbage")


@dataclass
class Switches:
    """Where the real behaviour is unknown, the default is the stricter reading."""

    # Machine Markets
    requireIdentityProof: bool = True
    requirePairingAuth: bool = True
    rejectUnknownFields: bool = True
    rejectUnknownPolicyIds: bool = True
    rejectUnknownSkillKeys: bool = False
    strictFastify: bool = False
    challengeTtlSeconds: int = 300
    storedProofTtlSeconds: int = 0
    operatorIsController: bool = False
    unresolvedIsUnavailable: bool = False
    archivedBlocksIdentity: bool = True
    archivedListed: bool = False
    listOmitsOnOutage: bool = False
    uniqueAgentPerMachine: bool = True
    revokedListed: bool = True
    sessionTtlSeconds: int = 3600
    sessionBumpsUpdatedAt: bool = False
    # MCR
    mcrUnavailable: bool = False
    mcrLagMs: int = 0
    mcrLagReads: int = 0
    mcrCacheSeconds: int = 0
    mcrFirstHundred: bool = True
    mcrRateLimitPerMinute: int = 0
    # Gas Station (amounts are wei, as decimal strings; 0 means no limit)
    fundAmount: str = "1000000000000000000"
    minGasBalance: str = "500000000000000000"
    ownerDailyCap: str = "1000000000000000000000"
    walletDailyCap: str = "5000000000000000000"
    fundRateLimitPerMinute: int = 0
    transferFails: bool = False
    totpLocked: bool = False
    totpReuse: bool = True
    totpWindow: int = 1
    totpPeriodSeconds: int = 30
    totpMaxFailures: int = 5
    totpLockSeconds: int = 900
    qrTtlSeconds: int = 120


@dataclass
class Rule:
    """The first rule with matches left wins. `path` is a glob over the whole path."""

    action: Action
    method: str = "*"
    path: str = "*"
    skip: int = 0
    """Matching requests let through first."""
    count: int = 1
    """Matching requests hit after that; -1 means for ever."""
    status: int = 503
    code: str = "INTERNAL_ERROR"
    message: str = "Injected fault"
    delayMs: int = 0
    retryAfter: int = 1
    body: str = "<html>bad gateway</html>"

    def takes(self, method: str, path: str) -> bool:
        if self.count == 0 or self.method not in ("*", method) or not fnmatchcase(path, self.path):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.count > 0:
            self.count -= 1
        return True


@dataclass
class Faults:
    switches: Switches = field(default_factory=Switches)
    rules: list[Rule] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    """Requests since the start by method and first segment of the path, such as `GET /markets`."""

    def describe(self) -> dict[str, Any]:
        return {"switches": asdict(self.switches), "rules": [asdict(rule) for rule in self.rules]}

    def reset(self) -> None:
        self.switches = Switches()
        self.rules = []

    def apply(self, switches: dict[str, Any], rules: list[Any]) -> None:
        """Merge switches and append rules; on any mistake change nothing."""
        known = {f.name: type(f.default) for f in fields(Switches)}
        for name, value in switches.items():
            if name not in known:
                raise invalid(f"switches.{name}", "unknown switch")
            if type(value) is not known[name]:
                raise invalid(f"switches.{name}", f"must be of type {known[name].__name__}")
        added = [_rule(index, value) for index, value in enumerate(rules)]
        for name, value in switches.items():
            setattr(self.switches, name, value)
        self.rules.extend(added)

    def pick(self, method: str, path: str) -> Rule | None:
        return next((rule for rule in self.rules if rule.takes(method, path)), None)


class FaultLayer:
    """Stands outermost, so that a dropped connection is dropped before or after everything else."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/sandbox/"):
            return await self._app(scope, receive, send)
        self._faults.calls[f"{scope['method']} /{scope['path'].split('/')[1]}"] += 1
        rule = self._faults.pick(scope["method"], scope["path"])
        if rule is None:
            return await self._app(scope, receive, send)
        if rule.delayMs:
            await asyncio.sleep(rule.delayMs / 1000)
        match rule.action:
            case "delay":
                return await self._app(scope, receive, send)
            case "dropBefore":
                return await _drop(receive, send)
            case "dropAfter":
                await self._app(scope, receive, _swallow)
                return await _drop(receive, send)
        return await _answer(rule, scope["path"])(scope, receive, send)


def _answer(rule: Rule, path: str) -> Response:
    if rule.action == "garbage":
        return Response(rule.body, status_code=rule.status, media_type="text/html")
    status = 429 if rule.action == "rateLimit" else rule.status
    code = "RATE_LIMITED" if rule.action == "rateLimit" else rule.code
    headers = {"Retry-After": str(rule.retryAfter)} if rule.action == "rateLimit" else {}
    if path.startswith("/mcr"):
        body: dict[str, Any] = {"detail": rule.message}
    elif path.startswith("/gas-station"):
        body = {"status": "error", "code": code, "message": rule.message}
    else:
        body = {"error": {"code": code, "message": rule.message}}
    return JSONResponse(body, status_code=status, headers=headers)


async def _swallow(message: Message) -> None:
    pass


async def _drop(receive: Receive, send: Send) -> None:
    """Cut the TCP connection without an answer."""
    transport = getattr(getattr(receive, "__self__", None), "transport", None)
    if transport is None:
        # Behind a wrapper the socket is out of reach: an answer cut short looks the same to a client.
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9999")]})
        return
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass


def _rule(index: int, value: Any) -> Rule:
    name = f"rules[{index}]"
    if not isinstance(value, dict):
        raise invalid(name, "must be an object")
    known = {f.name: f for f in fields(Rule)}
    for key, item in value.items():
        if key not in known:
            raise invalid(f"{name}.{key}", "unknown field")
        wanted = str if key == "action" else type(known[key].default)
        if type(item) is not wanted:
            raise invalid(f"{name}.{key}", f"must be of type {wanted.__name__}")
    if value.get("action") not in ACTIONS:
        raise invalid(f"{name}.action", f"must be one of {', '.join(ACTIONS)}")
    return Rule(**value)
