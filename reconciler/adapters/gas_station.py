"""The Gas Station over HTTP: enrolment of owners, and coins for wallets against one-time codes."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from reconciler.adapters.exchange import SMALL, Reply, exchange, trouble
from reconciler.adapters.redact import host_of
from reconciler.adapters.tls import trusted
from reconciler.adapters.totp import Pace
from reconciler.core.effects import HttpRequest, Signer
from reconciler.core.errors import Ambiguous, Deferred, Rejected, Unreachable
from reconciler.core.ports import Clock

TIMEOUT = 30.0
RATE_PAUSE, LONGEST_PAUSE = 60.0, 600.0
"""Seconds to wait where a limit on the rate names none, and the most that is waited for at all."""
_FRESH = "the code was refused twice; check operator.totp and the clock of this machine, then apply again"
SENTENCES = {
    "INVALID_OWNER_ADDRESS": "the operator's address is refused; correct operator.address",
    "QR_GENERATION_FAILED": "the Gas Station could not make the QR code; run setup again",
    "2FA_ALREADY_CONFIGURED": "this owner is enrolled; keep using its secret, and name it under operator.totp",
    "INVALID_2FA": _FRESH,
    "TOTP_EXPIRED": _FRESH,
    "TWO_FA_EXPIRED": _FRESH,
    "2FA_EXPIRED": _FRESH,
    "2FA_NOT_CONFIGURED": "enrol this owner first: `fleetctl gas-station setup`",
    "2FA_NOT_ACTIVE": "finish the enrolment: `fleetctl gas-station confirm`",
    "2FA_LOCKED": "too many wrong codes: nothing more is asked for now; wait out the lock or ask peaq's support, "
    "check operator.totp, then apply again",
    "DUPLICATE_REQUEST": "the same request is still being worked on; apply again a little later",
    "REQUEST_ALREADY_PROCESSED": "this request was done earlier; plan again to see the balance",
    "RATE_LIMITED": "it takes no more requests for now; apply again later",
    "CAP_EXCEEDED_OWNER": "this owner's share of today is used up; apply again tomorrow, "
    "or declare v1.funding.fallback: operator",
    "CAP_EXCEEDED_WALLET": "this wallet's share of today is used up; apply again tomorrow, "
    "or declare v1.funding.fallback: operator",
    "TRANSFER_FAILED": "its transfer failed on chain; apply again, and the same request is sent again",
    "INVALID_PAYLOAD": "it refuses a field of the request; is this fleetctl too old for it?",
    "SUFFICIENT_BALANCE": "the wallet holds what the Gas Station thinks enough; lower v1.funding.below, "
    "or declare v1.funding.fallback: operator",
}
STALE = {"INVALID_2FA", "TOTP_EXPIRED", "TWO_FA_EXPIRED", "2FA_EXPIRED"}
CAPS = {"CAP_EXCEEDED_OWNER", "CAP_EXCEEDED_WALLET"}
ENDS = {"2FA_LOCKED", "2FA_NOT_CONFIGURED", "2FA_NOT_ACTIVE", "INVALID_OWNER_ADDRESS", "CAP_EXCEEDED_OWNER"}
"""Refusals that every later request of the owner would meet too."""


class GasStation:
    """Implements CodedApi. Requests of one owner go one after the other, each in a time step of its own."""

    def __init__(self, url: str, pace: Pace, clock: Clock) -> None:
        self._base = url.rstrip("/")
        self._pace, self._clock = pace, clock
        secure = url.startswith("https:")
        self._http = httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=False, verify=trusted(), http2=secure)
        self._turns: defaultdict[Signer, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._ended: dict[Signer, Rejected] = {}
        self._stale: set[Signer] = set()
        self._rest_until = 0.0
        self._skew: float | None = None

    async def aclose(self) -> None:
        await self._http.aclose()

    async def skew(self) -> float:
        """Seconds by which the server's clock is ahead of ours, as its last answer says; 0 where it does not."""
        if self._skew is None:
            self._skew = 0.0
            await self._exchange("GET", "", None)
        return self._skew

    async def setup(self, owner: str) -> str:
        """Enrol `owner`: its otpauth URI, which is a secret. Until it is confirmed, asking again gives another."""
        answer = self._read(await self._exchange("POST", "/2fa/setup", {"ownerAddress": owner, "format": "svg"}))
        data = answer.get("data")
        uri = data.get("otpauthUri") if isinstance(data, dict) else None
        if not isinstance(uri, str) or not uri.startswith("otpauth://totp/"):
            raise self._strange()
        return uri

    async def confirm(self, owner: str, code: str) -> None:
        body = {"ownerAddress": owner, "twoFactorCode": code}
        answer = self._read(await self._exchange("POST", "/2fa/confirm", body))
        if answer.get("code") != "2FA_ACTIVATED":
            raise self._strange()

    async def spend(self, owner: str) -> None:
        """No code of the present step is made any more: the owner has just used one."""
        self._pace.spend(owner, await self.skew())

    async def fresh_code(self, signer: Signer, owner: str) -> str:
        """A code that was never used; waits for the next time step where it must."""
        return await self._pace.code(signer, owner, await self.skew())

    async def send(self, signer: Signer, request: HttpRequest, code: str) -> None:
        async with self._turns[signer]:
            if signer in self._ended:
                raise self._ended[signer]
            await self._clock.sleep(max(0.0, self._rest_until - self._clock.now()))
            body = dict(request.body or {})
            body[code] = await self.fresh_code(signer, str(body["ownerAddress"]))
            try:
                await self._fund("/" + "/".join(map(str, request.path)), body, signer)
            except Rejected as error:
                if error.reason in ENDS | STALE:
                    self._ended[signer] = error
                raise

    async def _fund(self, path: str, body: Mapping[str, Any], signer: Signer) -> None:
        response = await self._exchange("POST", path, body)
        code = _word(_json(response), "code")
        if code not in STALE:
            self._stale.discard(signer)
        elif signer not in self._stale:
            # One more try in another step. More would only lock the owner out.
            self._stale.add(signer)
            raise Unreachable(f"{code}: trying once more with a fresh code", hint=SENTENCES[code])
        if code == "REQUEST_ALREADY_PROCESSED":
            return
        if code == "DUPLICATE_REQUEST":
            raise Ambiguous(f"{code}: the request is being worked on", hint=SENTENCES[code])
        if code == "TRANSFER_FAILED":
            raise Unreachable(f"{code}: the Gas Station's transfer failed", hint=SENTENCES[code])
        if response.status == 429 and code not in CAPS:
            self._rest(response)
        answer = self._read(response)
        if code == "SUFFICIENT_BALANCE":
            raise self._rejected(code, "")
        if code != "SUCCESS" or answer.get("status") != "success":
            raise self._strange()

    def _rest(self, response: Reply) -> None:
        """Raises: Unreachable where the wait it asks for is bearable, and then the next request waits."""
        seconds = _seconds(response.headers.get("retry-after"))
        if seconds > LONGEST_PAUSE:
            message = f"RATE_LIMITED: the Gas Station takes no request for {seconds:.0f} s"
            raise Deferred(message, reason="RATE_LIMITED", hint=SENTENCES["RATE_LIMITED"])
        self._rest_until = self._clock.now() + seconds
        raise Unreachable(f"RATE_LIMITED: the Gas Station asks to wait {seconds:.0f} s", hint=SENTENCES["RATE_LIMITED"])

    async def _exchange(self, method: str, path: str, body: Mapping[str, Any] | None) -> Reply:
        sent = self._clock.now()
        try:
            response = await exchange(self._http, method, self._base + path, most=SMALL, seconds=TIMEOUT, json=body)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            message = f"no answer from the Gas Station at {host_of(self._base)}: {trouble(error)}"
            raise Unreachable(message, hint="check services.gasStation.url") from None
        except httpx.HTTPError as error:
            raise self._ambiguous(trouble(error)) from None
        self._measure(response, (sent + self._clock.now()) / 2)
        return response

    def _measure(self, response: Reply, ours: float) -> None:
        try:
            theirs = parsedate_to_datetime(response.headers.get("date", "")).timestamp() + 0.5
        except ValueError:
            return
        # The header counts whole seconds, so a smaller difference says nothing.
        self._skew = theirs - ours if abs(theirs - ours) > 1 else 0.0

    def _read(self, response: Reply) -> Mapping[str, Any]:
        body = _json(response)
        code, message = _word(body, "code"), _word(body, "message")[:300]
        if response.status >= 400 and code in SENTENCES:
            raise self._rejected(code, message)
        if response.status >= 500:
            raise self._ambiguous(f"it answered {response.status} {code}".rstrip())
        if response.status >= 400:
            reason = code or f"HTTP_{response.status}"
            hint = "" if code else "check services.gasStation.url"
            raise Rejected(f"{reason}: {message}".rstrip(": "), reason=reason, where="the Gas Station", hint=hint)
        if response.redirects or body is None:
            raise self._strange()
        return body

    def _rejected(self, code: str, message: str) -> Rejected:
        kind = Deferred if code in CAPS else Rejected
        text = f"{code}: {message}" if message else code
        return kind(text, reason=code, where="the Gas Station", hint=SENTENCES[code])

    def _strange(self) -> Ambiguous:
        return self._ambiguous("it answered with something of another shape")

    def _ambiguous(self, why: str) -> Ambiguous:
        message = f"the Gas Station at {host_of(self._base)}: the outcome of a request is unknown: {why}"
        return Ambiguous(message, hint="apply again: the same request is sent again, and is done once")


def _json(response: Reply) -> Mapping[str, Any] | None:
    try:
        body = response.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _word(body: Mapping[str, Any] | None, name: str) -> str:
    """A text of an answer. The framework's own errors have a number for a code, which says nothing."""
    value = (body or {}).get(name)
    return value if isinstance(value, str) else ""


def _seconds(text: str | None) -> float:
    try:
        return max(1.0, float(text)) if text else RATE_PAUSE
    except ValueError:
        return RATE_PAUSE
