"""Codes in time that is told, not waited for; and what each word of the Gas Station means."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyotp
import pytest
from authority_harness import Serve

from reconciler.adapters import gas_station, http_api
from reconciler.adapters.gas_station import GasStation
from reconciler.adapters.keyring import HeldKeys
from reconciler.adapters.secrets import Secrets
from reconciler.adapters.totp import Pace, UsedSteps
from reconciler.core.effects import HttpRequest, Signer
from reconciler.core.errors import Ambiguous, ConfigError, Deferred, FleetError, Rejected, Unreachable
from reconciler.core.fleet import SecretRef

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
OWNER = "0x00000000000000000000000000000000000000AA"
SIGNER, OTHER = Signer("totp", "default"), Signer("totp", "other")
REQUEST = HttpRequest("POST", ("faucet", "fund"), {"ownerAddress": OWNER, "requestId": "1"})
NOON = 1_800_000_000.0
STATION = """INVALID_OWNER_ADDRESS QR_GENERATION_FAILED 2FA_ALREADY_CONFIGURED INVALID_2FA 2FA_NOT_CONFIGURED
2FA_NOT_ACTIVE 2FA_LOCKED DUPLICATE_REQUEST REQUEST_ALREADY_PROCESSED RATE_LIMITED CAP_EXCEEDED_OWNER
CAP_EXCEEDED_WALLET TRANSFER_FAILED INVALID_PAYLOAD TOTP_EXPIRED TWO_FA_EXPIRED 2FA_EXPIRED SUFFICIENT_BALANCE"""
MARKETS = """AUTH_REQUIRED AUTH_INVALID AGENT_AUTH_REQUIRED AGENT_AUTH_INVALID AGENT_AUTH_EXPIRED VALIDATION_ERROR
NOT_FOUND MACHINE_NOT_ACTIVE MACHINE_NOT_ACTIVATED MACHINE_IDENTITY_EXISTS MACHINE_IDENTITY_IMMUTABLE
MACHINE_IDENTITY_PROOF_REQUIRED MACHINE_IDENTITY_PROOF_INVALID MACHINE_IDENTITY_PROOF_EXPIRED
PEAQOS_IDENTITY_UNAVAILABLE AGENT_PAIRING_PROOF_REQUIRED AGENT_PAIRING_PROOF_INVALID AGENT_PAIRING_PROOF_EXPIRED
AGENT_PAIRING_UNAVAILABLE AGENT_PAIRING_REQUIRED AGENT_PAIRING_INACTIVE AGENT_POLICY_DENIED
AGENT_SPEND_LIMIT_EXCEEDED AGENT_DAILY_LIMIT_EXCEEDED QUOTE_EXPIRED ORDER_CLOSED ORDER_NOT_DELIVERED
EXECUTION_UNSUPPORTED PAYMENT_REQUIRED PAYMENT_RPC_REQUIRED PAYMENT_RPC_ERROR PAYMENT_NOT_MINED PAYMENT_TX_FAILED
PAYMENT_TRANSFER_NOT_FOUND"""
"""Every code of the fact sheet."""


class ToldClock:
    """Time that passes only while somebody sleeps."""

    def __init__(self, now: float) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds


def keys(text: str = SECRET) -> HeldKeys:
    ref = SecretRef(env="TOTP")
    return HeldKeys(Secrets(Path(), {"TOTP": text}), {}, {SIGNER: ref, OTHER: ref})


def pace(directory: Path, clock: ToldClock) -> Pace:
    return Pace(keys(), UsedSteps(directory), clock)


async def codes(many: int, given: Pace, skew: float = 0.0) -> list[str]:
    return [await given.code(SIGNER, OWNER, skew) for _ in range(many)]


async def test_one_code_a_step_over_all_processes(tmp_path: Path) -> None:
    clock = ToldClock(NOON + 10)
    first = await codes(3, pace(tmp_path, clock))
    assert 60 < clock.time - NOON < 65
    later = await codes(2, pace(tmp_path, clock))  # as another process would
    right = [pyotp.TOTP(SECRET).generate_otp(int(NOON) // 30 + step) for step in range(5)]
    assert first + later == right
    begun = clock.time
    await pace(tmp_path, clock).code(OTHER, OWNER.replace("AA", "BB"), 0.0)
    assert clock.time - begun < 30, "owners do not wait for each other"


async def test_codes_are_for_the_clock_of_the_server(tmp_path: Path) -> None:
    (code,) = await codes(1, pace(tmp_path, ToldClock(NOON + 10)), skew=300)
    assert code == pyotp.TOTP(SECRET).generate_otp(int(NOON) // 30 + 10)


@pytest.mark.parametrize(("into", "step"), [(0.1, 0), (29.9, 1)])
async def test_no_code_is_made_at_the_edge_of_a_step(tmp_path: Path, into: float, step: int) -> None:
    clock = ToldClock(NOON + into)
    (code,) = await codes(1, pace(tmp_path, clock))
    assert code == pyotp.TOTP(SECRET).generate_otp(int(NOON) // 30 + step)
    assert 1 < (clock.time - NOON) % 30 < 29


async def test_a_record_from_the_future_stops_nobody(tmp_path: Path) -> None:
    await codes(1, pace(tmp_path, ToldClock(NOON + 86_400)))
    clock = ToldClock(NOON + 10)
    await codes(1, pace(tmp_path, clock))
    assert clock.time == NOON + 10


@pytest.mark.parametrize("text", ["not base32!", f"otpauth://hotp/x?secret={SECRET}", "otpauth://nonsense"])
def test_what_is_no_secret_is_not_repeated(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        keys(text).has(SIGNER)
    assert text not in str(caught.value) and caught.value.__cause__ is None


def test_a_secret_too_short_to_be_safe_says_so() -> None:
    with pytest.raises(ConfigError, match="shorter than 112 bits"):
        keys("JBSWY3DPEHPK3PXP").has(SIGNER)


def station(directory: Path, url: str, clock: ToldClock) -> GasStation:
    return GasStation(url, pace(directory, clock), clock)


async def send(given: GasStation) -> FleetError | None:
    try:
        await given.send(SIGNER, REQUEST, "twoFactorCode")
    except FleetError as error:
        return error
    return None


def refusing(code: str, status: int, met: list[Any]) -> Callable[..., tuple[int, Any]]:
    def answer(method: str, path: str, headers: Any, body: Any) -> tuple[int, Any]:
        if method == "POST":
            met.append(body)
        return status, {"status": "error", "code": code, "message": "no"}

    return answer


async def test_the_clocks_are_compared_by_the_date_header(tmp_path: Path, serve: Serve) -> None:
    met: list[Any] = []
    url = serve(refusing("INVALID_PAYLOAD", 400, met))
    api = station(tmp_path, url, ToldClock(time.time() - 500))
    assert abs(await api.skew() - 500) < 3
    await send(api)
    now = int(time.time()) // 30
    assert met[0]["twoFactorCode"] in {pyotp.TOTP(SECRET).generate_otp(step) for step in range(now - 2, now + 3)}
    await api.aclose()


async def test_a_limit_without_a_time_is_waited_out_by_everybody(tmp_path: Path, serve: Serve) -> None:
    met: list[Any] = []
    clock = ToldClock(time.time())
    api = station(tmp_path, serve(refusing("RATE_LIMITED", 429, met)), clock)
    begun = clock.time
    assert isinstance(await send(api), Unreachable)
    told = clock.time
    assert isinstance(await send(api), Unreachable)
    assert clock.time - told >= 60 > told - begun
    await api.aclose()


FATES: dict[str, tuple[int, type[FleetError], int]] = {
    "2FA_LOCKED": (423, Rejected, 1),
    "2FA_NOT_CONFIGURED": (400, Rejected, 1),
    "2FA_NOT_ACTIVE": (403, Rejected, 1),
    "INVALID_2FA": (401, Rejected, 2),
    "2FA_EXPIRED": (401, Rejected, 2),
    "CAP_EXCEEDED_OWNER": (429, Deferred, 1),
    "CAP_EXCEEDED_WALLET": (429, Deferred, 4),
    "TRANSFER_FAILED": (502, Unreachable, 4),
    "DUPLICATE_REQUEST": (409, Ambiguous, 4),
    "INVALID_PAYLOAD": (400, Rejected, 4),
    "SOMETHING_NEW": (400, Rejected, 4),
    "INTERNAL_ERROR": (500, Ambiguous, 4),
}


@pytest.mark.parametrize("code", FATES)
async def test_what_a_refusal_means_for_those_that_follow(tmp_path: Path, serve: Serve, code: str) -> None:
    status, kind, most = FATES[code]
    met: list[Any] = []
    api = station(tmp_path, serve(refusing(code, status, met)), ToldClock(time.time()))
    errors = [await send(api) for _ in range(4)]
    assert type(errors[-1]) is kind and code in str(errors[-1])
    assert len(met) == most
    assert len({body["twoFactorCode"] for body in met}) == len(met), "a code was used twice"
    assert errors[-1].hint or code in ("SOMETHING_NEW",)  # type: ignore[union-attr]
    await api.aclose()


async def test_what_was_done_earlier_is_done(tmp_path: Path, serve: Serve) -> None:
    api = station(tmp_path, serve(refusing("REQUEST_ALREADY_PROCESSED", 409, [])), ToldClock(time.time()))
    assert await send(api) is None
    await api.aclose()


async def test_requests_of_one_owner_go_one_after_the_other(tmp_path: Path, serve: Serve) -> None:
    met: list[Any] = []
    api = station(tmp_path, serve(refusing("2FA_LOCKED", 423, met)), ToldClock(time.time()))
    errors = await asyncio.gather(*(send(api) for _ in range(5)))
    assert len(met) == 1 and all("2FA_LOCKED" in str(error) for error in errors)
    await api.aclose()


@pytest.mark.parametrize("code", STATION.split())
def test_every_code_of_the_station_has_its_sentence(code: str) -> None:
    assert len(gas_station.SENTENCES[code]) > 20


@pytest.mark.parametrize("code", MARKETS.split())
def test_every_code_of_the_markets_has_its_sentence(code: str) -> None:
    assert len({**http_api.SENTENCES, **http_api.TEMPORARY}[code]) > 20
