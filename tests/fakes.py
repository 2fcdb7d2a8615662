"""A world in dictionaries: read by kinds through the Reader port, changed by a small interpreter of effects."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from reconciler.core.delegation import fingerprint
from reconciler.core.effects import (
    ChainCall,
    ChainGroup,
    CodedRequest,
    Effect,
    HttpRequest,
    SignedRequest,
    Signer,
    Touch,
)
from reconciler.core.errors import Rejected, Unreachable
from reconciler.core.ports import Json, Receipt, Stored
from reconciler.core.section import ZERO_ADDRESS
from reconciler.core.value import replace
from reconciler.kinds.peaq_v2.ground import token_id
from reconciler.manifest.networks import PRESETS

DEFAULTS = {"machineIdOfOwner": 0, "tokenIdOf": 0, "paused": False, "minBond": 10**18, "operatorOf": ZERO_ADDRESS}
"""What a contract says where a world says nothing."""
BOND, YEAR = 5 * 10**17, 365 * 24 * 3600
DEFAULTS_V2 = {
    "machineRegistry.ownerOf": "rejects ERC721NonexistentToken",
    "machineSubscription.isEconomicAuthority": True,
    "machineSubscription.requiredPeaqAmount": BOND,
    "machineSubscription.pendingVoucherCredit": 0,
    "machineSubscription.pendingBondingReward": 0,
    "machineStateAndSync.isTechnicalPausedGlobal": False,
    "machineStateAndSync.isOperatorPaused": False,
    "machineStateAndSync.isGeneralPaused": False,
    "machineStateAndSync.isTechnicalPaused": False,
    "machineStateAndSync.isRelocating": False,
    "crossChainMirror.isHomedLocally": True,
    "crossChainMirror.homeChainOf": 1,
    "infoDesk.peaqToken": "0x0000000000000000000000000000000000000809",
    "infoDesk.peer": PRESETS["sandbox"]["contracts"]["machineSubscription"],
    "infoDesk.subscriptionPeriodLength": YEAR,
    "peaqToken.allowance": 0,
}
"""The same of protocol v2, by contract and function."""
T = TypeVar("T")
OFF = "unreachable"
NO = "rejects "
"""Instead of an answer: `unreachable`, or `rejects <name of the error>`."""


@dataclass
class FakeWorld:
    """All that can be read. Keys of `views` are contract.function(args), those of `lists` and `items` are paths."""

    views: dict[str, Any] = field(default_factory=dict)
    balances: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    lists: dict[str, Any] = field(default_factory=dict)
    items: dict[str, Any] = field(default_factory=dict)
    receipts: dict[str, Receipt] = field(default_factory=dict)
    stored: dict[str, Stored] = field(default_factory=dict)
    signers: dict[str, str] = field(default_factory=dict)
    subjects: dict[str, str] = field(default_factory=dict)
    minted: dict[str, Any] = field(default_factory=dict)
    """Numbers of v2 machines by account."""
    now: float = 0.0


def _answer(value: Any) -> Any:
    if value == OFF:
        raise Unreachable("no answer")
    if isinstance(value, str) and value.startswith(NO):
        name = value.removeprefix(NO)
        raise Rejected(name, reason=name)
    return value


class FakeReader:
    """Implements the Reader port. Like the real one, it suspends at every question."""

    def __init__(self, world: FakeWorld) -> None:
        self._world = world

    @property
    def block(self) -> int:
        return 0

    async def view(self, contract: str, function: str, *args: object) -> tuple[Any, ...]:
        await asyncio.sleep(0)
        name = function.split("(", maxsplit=1)[0]
        key = f"{contract}.{name}({', '.join(map(str, args))})"
        known = {**DEFAULTS, **DEFAULTS_V2, **self._world.views}
        found = [known[question] for question in (key, f"{contract}.{name}", name) if question in known]
        if not found:
            raise AssertionError(f"this world does not say {key}")
        value = _answer(found[0])
        return tuple(value) if isinstance(value, list) else (value,)

    async def balance(self, address: str) -> int:
        await asyncio.sleep(0)
        return int(_answer(self._world.balances.get(address, 0)))

    async def attribute(self, account: str, name: str) -> str | None:
        await asyncio.sleep(0)
        found = _answer(self._world.attributes.get(account, {})).get(name)
        return None if found is None else str(_answer(found))

    async def attributes(self, account: str, names: Iterable[str]) -> Mapping[str, str | None]:
        return {name: await self.attribute(account, name) for name in names}

    async def items(self, *path: str) -> Sequence[Json]:
        await asyncio.sleep(0)
        found: Sequence[Json] = _answer(self._world.lists.get("/".join(path), []))
        return found

    async def find(self, field: str, value: str, *path: str) -> Json | None:
        found = await self.items(*path)
        return next((item for item in found if str(item.get(field)).lower() == value.lower()), None)

    async def item(self, *path: str) -> Json:
        await asyncio.sleep(0)
        found: Json = _answer(self._world.items.get("/".join(path), f"{NO}NOT_FOUND"))
        return found

    async def mcr(self, *path: str) -> Json:
        raise Unreachable("services.mcr is not set")

    async def together(self, reads: Iterable[Awaitable[T]]) -> Sequence[T]:
        return await asyncio.gather(*reads)

    async def minted_for(self, account: str) -> Collection[str]:
        await asyncio.sleep(0)
        found: Sequence[str] = _answer(self._world.minted.get(account, []))
        return found

    def signers(self) -> Sequence[tuple[str, str]]:
        return list(self._world.signers.items())

    def subjects(self, kind: str) -> Sequence[tuple[str, str]]:
        return [(address, did) for address, did in self._world.subjects.items() if address.startswith(f"{kind}/")]

    def now(self) -> float:
        return self._world.now

    def chain_time(self) -> float:
        return self._world.now

    def receipt(self, name: str) -> Receipt | None:
        return self._world.receipts.get(name)

    async def stored(self, name: str) -> Stored:
        return self._world.stored.get(name, Stored(True))


class Interpreter:
    """Does effects to a FakeWorld, as chain and Machine Markets would. `account` gives the address of a signer."""

    def __init__(self, world: FakeWorld, account: Callable[[Signer], str]) -> None:
        self.world = world
        self._account = account
        self._counter = 1000

    def perform(self, effect: Effect) -> None:
        match effect:
            case ChainGroup(calls=calls):
                for call in calls:
                    self._call(call)
            case HttpRequest():
                self._request(effect)
            case CodedRequest(account=account, wei=wei):
                self._spend(account, -wei)
            case SignedRequest(request=request, secret=secret):
                answer = self._request(request)
                if secret is not None:
                    self._deliver(secret.name, answer)

    def _next(self) -> int:
        self._counter += 1
        return self._counter

    def _stamp(self) -> str:
        return f"2026-01-01T{self._next() - 1000:06d}Z"

    def _spend(self, account: str, wei: int) -> None:
        self.world.balances[account] = self.world.balances.get(account, 0) - wei

    def _call(self, call: ChainCall) -> None:
        assert isinstance(call.signer, Signer), f"nobody signs {call}"
        assert isinstance(call.value, int), f"a value is not known in {call}"
        sender, views = self._account(call.signer), self.world.views
        assert isinstance(call.deposit, int), f"a deposit is not known in {call}"
        self._spend(sender, call.value + call.deposit)
        match call.function.split("(")[0], call.args:
            case "", ():
                self._spend(call.to, -call.value)
            case "register", ():
                self._register(sender, ZERO_ADDRESS)
            case "registerFor", (str(machine),):
                self._register(machine, sender)
            case "mint", (machine_id, str(recipient)):
                token = self._next()
                assert not views.get(f"machineNft.tokenIdOf({machine_id})"), "minted twice"
                views[f"machineNft.tokenIdOf({machine_id})"] = token
                views[f"machineNft.ownerOf({token})"] = recipient
            case ("deactivateMachine" | "reactivateMachine") as verb, (machine_id,):
                key = f"identityRegistry.getVerificationInfo({machine_id})"
                views[key] = [*views[key][:3], 4 if verb == "deactivateMachine" else 2]
            case "approve", (spender, int(wei)):
                views[f"peaqToken.allowance({sender}, {spender})"] = wei
            case "activateMachine", (document, str(sort), bytes(subject), manufacturer, tier):
                number = token_id(sort, subject)
                assert str(views.get(f"machineRegistry.ownerOf({number})", NO)).startswith(NO), "activated twice"
                self._take(sender, call.deposit)
                views |= _activated(number, sender, document, manufacturer, tier, int(self.world.now))
            case "activate", (machine_id, tier):
                self._take(sender, call.deposit)
                start = int(self.world.now) or 1
                views[f"machineSubscription.subscriptions({machine_id})"] = [tier, start, start + YEAR, BOND, 0]
            case "renew", (machine_id,):
                self._take(sender, call.deposit)
                key = f"machineSubscription.subscriptions({machine_id})"
                tier, start, end, *rest = views[key]
                views[key] = [tier, start, end + YEAR, *rest]
            case ("suspend" | "resume") as verb, (machine_id,):
                views[f"machineStateAndSync.isOperatorPaused({machine_id})"] = verb == "suspend"
            case "safeTransferFrom", (giver, str(taker), machine_id):
                assert giver == sender == views[f"machineRegistry.ownerOf({machine_id})"], "somebody else's machine"
                views[f"machineRegistry.ownerOf({machine_id})"] = taker
            case "setController", (machine_id, controller):
                views[f"machineRegistry.controllerOf({machine_id})"] = controller
            case "setServiceEndpoints", (machine_id, endpoints):
                views[f"machineRegistry.serviceEndpointsOf({machine_id})"] = [endpoints]
            case "setVerificationMethods", (machine_id, methods):
                used = views[f"machineRegistry.authenticationOf({machine_id})"][0]
                assert max(used, default=-1) < len(methods), "a method that is used for authentication went away"
                views[f"machineRegistry.verificationMethodsOf({machine_id})"] = [methods]
            case "setAuthentication", (machine_id, places):
                methods = views[f"machineRegistry.verificationMethodsOf({machine_id})"][0]
                assert max(places, default=-1) < len(methods), "no such method"
                views[f"machineRegistry.authenticationOf({machine_id})"] = [places]
            case function, (str(account), bytes(name), *value):
                assert account == sender, "somebody else's DID"
                self._attribute(function, account, name.decode(), value)
            case other:
                raise AssertionError(f"nobody knows {other}")

    def _take(self, payer: str, wei: int) -> None:
        key = f"peaqToken.allowance({payer}, {PRESETS['sandbox']['contracts']['machineSubscription']})"
        left = self.world.views.get(key, 0) - wei
        assert left >= 0, "more than was allowed"
        self.world.views[key] = left

    def _register(self, machine: str, operator: str) -> None:
        key = f"identityRegistry.machineIdOfOwner({machine})"
        assert not self.world.views.get(key), "registered twice"
        number = self._next()
        self.world.views[key] = number
        self.world.views[f"identityRegistry.getVerificationInfo({number})"] = [machine, machine, True, 1]
        self.world.views[f"identityRegistry.operatorOf({number})"] = operator

    def _attribute(self, function: str, account: str, name: str, value: Sequence[object]) -> None:
        attributes = self.world.attributes.setdefault(account, {})
        assert (function == "addAttribute") == (name not in attributes), f"{function} of {name}"
        if function == "removeAttribute":
            del attributes[name]
        else:
            assert isinstance(value[0], str), f"{name} is not known"
            attributes[name] = value[0]

    def _request(self, request: HttpRequest) -> dict[str, Any]:
        assert all(isinstance(segment, str) for segment in request.path), f"a path is not known: {request.path}"
        path, body = [str(segment) for segment in request.path], json.loads(json.dumps(request.body or {}))
        match request.method, path:
            case "POST", [*_, str(pairing), "sessions"]:
                return self._issue(self._find(path[:-2], pairing))
            case "POST", _:
                return self._create(path, body)
            case "PUT", [*parent, str(key)]:
                items = self.world.lists.setdefault("/".join(parent), [])
                items[:] = [*(i for i in items if i["providerKey"] != key), {**body, "providerKey": key}]
                return {}
            case "PATCH", [*parent, str(key)]:
                found = self._find(parent, key)
                found |= {**body, "updatedAt": self._stamp()}
                if isinstance(request.touches, Touch):
                    self._follow(request.touches, found["updatedAt"])
                return found
            case "DELETE", [*parent, str(key)]:
                items = self.world.lists["/".join(parent)]
                items[:] = [i for i in items if key not in (i.get("id"), i.get("providerKey"))]
                return {}
            case other:
                raise AssertionError(f"nobody knows {other}")

    def _find(self, path: Sequence[str], key: str) -> dict[str, Any]:
        found: dict[str, Any] = next(item for item in self.world.lists["/".join(path)] if item["id"] == key)
        return found

    def _create(self, path: Sequence[str], body: Mapping[str, Any]) -> dict[str, Any]:
        items = self.world.lists.setdefault("/".join(path), [])
        living = [item for item in items if item.get("status") != "revoked"]
        for key in ("identityRef", "agentAddress", "name"):
            assert key not in body or all(item.get(key) != body[key] for item in living), f"{body[key]} exists"
        status = "draft" if path[-1] == "machines" else "active"
        created: dict[str, Any] = {"status": status, **body, "id": f"{path[-1]}_{self._next()}"}
        items.append(created)
        return self._issue(created) if path[-1] == "agent-pairings" else created

    def _issue(self, pairing: dict[str, Any]) -> dict[str, Any]:
        number = self._next()
        session = {"hasAuthToken": True, "tokenLastFour": str(number), "sessionIssuedAt": self._stamp()}
        pairing |= {**session, "updatedAt": self._stamp()}
        return pairing

    def _deliver(self, name: str, pairing: Mapping[str, Any]) -> None:
        last, updated, issued = (pairing[k] for k in ("tokenLastFour", "updatedAt", "sessionIssuedAt"))
        digest = hashlib.sha256(last.encode()).hexdigest()
        self.world.stored[name] = Stored(True, digest, last)
        self.world.receipts[name] = Receipt(
            name, pairing["id"], digest, last, "", updated, issued, fingerprint(pairing)
        )

    def _follow(self, touch: Touch, updated: str) -> None:
        receipt = self.world.receipts.get(touch.token)
        if receipt is not None and receipt.updated_at == touch.seen:
            self.world.receipts[touch.token] = replace(receipt, updated_at=updated)


def _activated(
    number: int, owner: str, document: Sequence[Any], manufacturer: str, tier: int, now: int
) -> dict[str, Any]:
    """What the contracts say of a machine that has just been activated."""
    _, controller, methods, authentication, endpoints = document
    registry = {
        "ownerOf": owner,
        "controllerOf": controller,
        "manufacturerOf": manufacturer,
        "verificationMethodsOf": [methods],
        "authenticationOf": [authentication],
        "serviceEndpointsOf": [endpoints],
    }
    return {
        **{f"machineRegistry.{name}({number})": value for name, value in registry.items()},
        f"machineSubscription.subscriptions({number})": [tier, now or 1, now + YEAR, BOND, 0],
        f"machineSubscription.subscriptionStatus({number})": 1,
    }
