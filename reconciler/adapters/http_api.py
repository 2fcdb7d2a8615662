"""Machine Markets and its sisters over HTTP: envelopes, pages, error codes, and which failures may be retried."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx

from reconciler.adapters.connections import Connections
from reconciler.adapters.exchange import Reply, pause_of, trouble
from reconciler.adapters.listing import Listings
from reconciler.adapters.redact import SHORTEST, credentials, host_of
from reconciler.adapters.retry import until_reached
from reconciler.core.errors import Ambiguous, ConfigError, Rejected, Unreachable
from reconciler.core.text import quoted

PAGE = 500
MAX_BODY = 16 * 1024 * 1024
"""Bytes of one answer."""
MAX_LIST = 256 * 1024 * 1024
MAX_PAGES = 2_000
"""Bytes and pages of a whole list: more are no list but a trap."""
SECONDS = 60.0
ATTEMPTS = 4
TEMPORARY = {
    "PEAQOS_IDENTITY_UNAVAILABLE": "the MCR API does not see the machine yet",
    "MACHINE_NOT_ACTIVATED": "the MCR API does not see the machine yet",
}
"""Refusals that pass by themselves: nothing was done, so asking again is safe (machine-markets-api §7.6)."""
_MARKET_ONLY = (
    "QUOTE_EXPIRED",
    "ORDER_CLOSED",
    "ORDER_NOT_DELIVERED",
    "EXECUTION_UNSUPPORTED",
    "PAYMENT_REQUIRED",
    "PAYMENT_RPC_REQUIRED",
    "PAYMENT_RPC_ERROR",
    "PAYMENT_NOT_MINED",
    "PAYMENT_TX_FAILED",
    "PAYMENT_TRANSFER_NOT_FOUND",
)
SENTENCES = {
    "AUTH_REQUIRED": "the platform key is missing; set services.markets.apiKey",
    "AUTH_INVALID": "the platform key is wrong; check what services.markets.apiKey refers to",
    "VALIDATION_ERROR": "Machine Markets refuses a field",
    "NOT_FOUND": "Machine Markets does not know it; plan again",
    "MACHINE_NOT_ACTIVE": "the machine's record is not active; plan again to see its status",
    "MACHINE_IDENTITY_EXISTS": "a record of this machine exists but is not shown; set market.recordId to its id",
    "MACHINE_IDENTITY_IMMUTABLE": "a record cannot change its identity; archive it and enrol anew",
    "MACHINE_IDENTITY_PROOF_REQUIRED": "a proof of identity is demanded; plan and apply again",
    "MACHINE_IDENTITY_PROOF_INVALID": "no controller of the machine signed the proof; check the machine's key",
    "MACHINE_IDENTITY_PROOF_EXPIRED": "the proof came too late; apply again",
    "AGENT_PAIRING_PROOF_REQUIRED": "a proof by the agent is demanded; apply again",
    "AGENT_PAIRING_PROOF_INVALID": "the proof was not signed by the agent's key; check agents.<name>.key and address",
    "AGENT_PAIRING_PROOF_EXPIRED": "the agent's proof came too late; apply again",
    "AGENT_PAIRING_UNAVAILABLE": "the agent is already paired to this machine; plan again to see it",
    "AGENT_PAIRING_INACTIVE": "the pairing is paused or revoked; plan again",
    "AGENT_PAIRING_REQUIRED": "there is no active pairing; plan again",
    "AGENT_AUTH_REQUIRED": "a session token is demanded, which fleetctl never sends; check services.markets.url",
    "AGENT_AUTH_INVALID": "the session token is not valid; `fleetctl rotate` makes a new one",
    "AGENT_AUTH_EXPIRED": "the session token has ended; `fleetctl rotate` makes a new one",
    "AGENT_POLICY_DENIED": "the pairing's delegation policy does not allow it; change delegationPolicies",
    "AGENT_SPEND_LIMIT_EXCEEDED": "it is over the pairing's perTransactionLimit; change delegationPolicies",
    "AGENT_DAILY_LIMIT_EXCEEDED": "it is over the pairing's dailySpendLimit; wait a day, or change delegationPolicies",
    **dict.fromkeys(_MARKET_ONLY, "this is an answer to buyers on the market; check services.markets.url"),
}


_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class HttpApi:
    """One HTTP API below `base`. Reads are retried; a write whose answer is lost raises Ambiguous, never twice.

    `writes` counts the requests sent that were not GETs.
    """

    def __init__(
        self,
        name: str,
        base: str,
        *,
        api_key: str | None = None,
        timeout: float = SECONDS,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._name = name
        self._base = base.rstrip("/")
        ours = (api_key,) if api_key and len(api_key) >= SHORTEST else ()
        self._hide = (*ours, *credentials(base))
        headers = {"x-api-key": _header(api_key, name)} if api_key else {}

        def connections() -> Connections:
            return Connections(self._base, headers=headers, seconds=timeout, longest=MAX_BODY, transport=transport)

        self._reading, self._writing = connections(), connections()
        self._sleep = sleep
        self.lists = Listings(self.items)
        self.writes = 0

    @property
    def hosts(self) -> tuple[str, ...]:
        parts = urlsplit(self._base)
        host = (parts.hostname or "").lower()
        return host, parts.netloc.rpartition("@")[2].lower()

    async def aclose(self) -> None:
        await self._reading.aclose()
        await self._writing.aclose()

    async def get(self, path: Sequence[str], **params: str | int) -> Mapping[str, Any]:
        """A JSON object; Unreachable after several attempts, Rejected for a clear no."""
        return (await self._read(path, params))[0]

    async def _read(self, path: Sequence[str], params: Mapping[str, str | int]) -> tuple[Mapping[str, Any], int]:
        """An object, and how many bytes it came in."""
        return await until_reached(lambda: self._get(path, params), attempts=ATTEMPTS, sleep=self._sleep)

    async def _get(self, path: Sequence[str], params: Mapping[str, str | int]) -> tuple[Mapping[str, Any], int]:
        query = f"?{urlencode(params)}" if params else ""
        try:
            reply = await self._reading.exchange("GET", _below(path) + query)
        except httpx.HTTPError as error:
            raise self._unreachable(trouble(error)) from None
        return self._answer(reply.without(self._hide)), len(reply.content)

    async def item(self, path: Sequence[str]) -> Mapping[str, Any]:
        """The object inside `{item: …}`."""
        return self._object((await self.get(path)).get("item"))

    async def items(self, path: Sequence[str]) -> list[Mapping[str, Any]]:
        """All pages of a list."""
        found: list[Mapping[str, Any]] = []
        seen: set[str] = set()
        cursor: str | None = None
        length = 0
        for _ in range(MAX_PAGES):
            page, size = await self._read(path, {"limit": PAGE, **({"cursor": cursor} if cursor else {})})
            length += size
            items = page.get("items")
            if not isinstance(items, list):
                raise self._unreachable("its list has no items")
            found.extend(self._object(item) for item in items)
            cursor = page.get("nextCursor")
            if not cursor or not isinstance(cursor, str):
                return found
            if cursor in seen:
                raise self._unreachable("its pages go round in a circle")
            if length > MAX_LIST:
                break
            seen.add(cursor)
        raise self._unreachable("its list does not end")

    async def send(self, method: str, path: Sequence[str], body: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """One write, sent once. The object inside `{item: …}`, or {} where there is no body.

        Unreachable only where the request surely did nothing; Ambiguous where it may have been done.
        """
        self.writes += 1
        try:
            reply = await self._writing.exchange(method, _below(path), None if body is None else _json(body))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise self._unreachable(trouble(error)) from None
        except httpx.HTTPError as error:
            raise self._ambiguous(method, path, trouble(error)) from None
        finally:
            self.lists.written(tuple(path))
        response = reply.without(self._hide)
        if response.status == 429:
            await self._sleep(pause_of(response))
            raise self._unreachable("it limits the rate (429)")
        if response.status == 204:
            return {}
        if response.status >= 500 and not self._coded(response):
            raise self._ambiguous(method, path, f"it answered {response.status}")
        answer = self._answer(response, Ambiguous)
        return self._object(answer.get("item"), Ambiguous)

    def _answer(self, reply: Reply, unclear: type[Ambiguous] | type[Unreachable] = Unreachable) -> Mapping[str, Any]:
        if reply.status >= 400:
            raise self._error(reply)
        if reply.redirects:
            raise self._strange(unclear, f"it answered with a redirect ({reply.status}), which is never followed")
        try:
            return self._object(reply.json(), unclear)
        except ValueError:
            raise self._strange(unclear, f"it answered {reply.status} without JSON") from None

    def _error(self, response: Reply) -> Rejected | Unreachable:
        code, message = _code(response)
        if code in TEMPORARY:
            return Unreachable(f"{code}: {TEMPORARY[code]}", hint="it appears some time after the DID is written")
        if response.status == 429 or response.status >= 500:
            return self._unreachable(f"it answered {response.status} {code}".rstrip())
        reason = code or ("NOT_FOUND" if response.status == 404 else f"HTTP_{response.status}")
        text = f"{reason}: {message}" if message else reason
        return Rejected(text, reason=reason, where=self._name, hint=SENTENCES.get(reason, ""))

    def _coded(self, response: Reply) -> bool:
        return bool(_code(response)[0])

    def _object(self, value: object, unclear: type[Ambiguous] | type[Unreachable] = Unreachable) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise self._strange(unclear, "it answered with something of another shape")
        return value

    def _strange(self, unclear: type[Ambiguous] | type[Unreachable], why: str) -> Ambiguous | Unreachable:
        return unclear(f"{self._name} at {host_of(self._base)}: {why}", hint="check the service's url in the manifest")

    def _unreachable(self, why: str) -> Unreachable:
        message = f"no answer from {self._name} at {host_of(self._base)}: {why}"
        return Unreachable(message, hint="check the service's url in the manifest")

    def _ambiguous(self, method: str, path: Sequence[str], why: str) -> Ambiguous:
        return Ambiguous(
            f"{self._name}: {method} /{'/'.join(path)} was sent and its outcome is unknown: {why}",
            hint="apply again: fleetctl looks what happened before it does anything",
        )


def _code(response: Reply) -> tuple[str, str]:
    """Error code and message of an error answer, "" where it has none."""
    try:
        body = response.json()
    except ValueError:
        return "", ""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return "", ""
    code, message = error.get("code"), error.get("message")
    known = code if isinstance(code, str) and _CODE.fullmatch(code) else ""
    return known, (quoted(message) if isinstance(message, str) else "")


def _below(path: Sequence[str]) -> str:
    return "".join(f"/{quote(segment, safe='')}" for segment in path)


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _header(secret: str, name: str) -> str:
    """`secret`, if a header can carry it; ConfigError where not."""
    if not (secret.isascii() and secret.isprintable()):
        raise ConfigError(f"the API key of {name} holds what no HTTP header can carry", hint="check services.*.apiKey")
    return secret
