"""The Gas Station: enrolment, codes, request ids, caps and refusals."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyotp
import pytest
from services_harness import AGENT, OPERATOR, STRANGER, TOTP_SECRET, Client, FakeChain, serving

PEAQ = 10**18


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with serving(tmp_path, FakeChain(), totp_secret=TOTP_SECRET) as running:
        yield running


def code(secret: str = TOTP_SECRET) -> str:
    return pyotp.TOTP(secret).now()


def fund(client: Client, *, expect: int = 200, **changes: Any) -> Any:
    body = {
        "ownerAddress": OPERATOR.address,
        "targetWalletAddress": AGENT.address,
        "chainId": "peaq",
        "twoFactorCode": code(),
        "requestId": str(uuid.uuid4()),
        **changes,
    }
    response = client.call("POST", "/gas-station/faucet/fund", body)
    assert response.status_code == expect, response.text
    answer = response.json()
    return answer if expect == 200 else answer["code"]


def test_funding_then_enough(client: Client) -> None:
    funded = fund(client)
    assert funded["status"] == "success" and funded["code"] == "SUCCESS"
    assert funded["data"]["fundedAmount"] == str(PEAQ) and funded["data"]["txHash"].startswith("0x")
    assert client.chain.transfers == [(AGENT.address, PEAQ)]
    skipped = fund(client)
    assert (skipped["status"], skipped["code"]) == ("skipped", "SUFFICIENT_BALANCE")
    assert skipped["data"] == {"currentBalance": str(PEAQ), "minGasBalance": str(PEAQ // 2)}
    assert len(client.chain.transfers) == 1


def test_a_request_is_processed_once(client: Client) -> None:
    request_id = str(uuid.uuid4())
    client.faults(transferFails=True)
    assert fund(client, expect=502, requestId=request_id) == "TRANSFER_FAILED"
    client.faults(transferFails=False)
    fund(client, requestId=request_id)
    assert fund(client, expect=409, requestId=request_id.upper()) == "REQUEST_ALREADY_PROCESSED"
    assert fund(client, expect=401, requestId=request_id, twoFactorCode="0") == "INVALID_2FA"
    assert len(client.chain.transfers) == 1


def test_enrolment(client: Client) -> None:
    owner = {"ownerAddress": STRANGER.address}
    assert fund(client, expect=400, **owner) == "2FA_NOT_CONFIGURED"
    answer = client.call("POST", "/gas-station/2fa/setup", owner | {"format": "svg"}).json()
    assert answer["status"] == "success" and answer["data"]["ownerAddress"] == STRANGER.address
    totp = pyotp.parse_uri(answer["data"]["otpauthUri"])
    image = client.http.get(answer["data"]["qrImageUrl"])
    assert image.headers["content-type"] == "image/svg+xml" and "otpauth://" in image.text
    assert fund(client, expect=403, **owner, twoFactorCode=totp.now()) == "2FA_NOT_ACTIVE"

    wrong = client.call("POST", "/gas-station/2fa/confirm", owner | {"twoFactorCode": "000000x"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "INVALID_2FA")
    right = client.call("POST", "/gas-station/2fa/confirm", owner | {"twoFactorCode": totp.now()})
    assert right.json() == {"status": "success", "code": "2FA_ACTIVATED"}
    assert fund(client, **owner, twoFactorCode=totp.now())["code"] == "SUCCESS"
    again = client.call("POST", "/gas-station/2fa/setup", owner)
    assert (again.status_code, again.json()["code"]) == (409, "2FA_ALREADY_CONFIGURED")
    client.faults(qrTtlSeconds=0)
    assert client.http.get(answer["data"]["qrImageUrl"]).status_code == 404


def test_png_image_and_bad_setup(client: Client) -> None:
    body = {"ownerAddress": STRANGER.address, "format": "png"}
    answer = client.call("POST", "/gas-station/2fa/setup", body).json()
    image = client.http.get(answer["data"]["qrImageUrl"])
    assert image.headers["content-type"] == "image/png" and image.content.startswith(b"\x89PNG")
    bad = client.call("POST", "/gas-station/2fa/setup", {"ownerAddress": "0x12"})
    assert (bad.status_code, bad.json()["code"]) == (400, "INVALID_OWNER_ADDRESS")


def test_too_many_bad_codes_lock(client: Client) -> None:
    for _ in range(5):
        assert fund(client, expect=401, twoFactorCode="bad") == "INVALID_2FA"
    assert fund(client, expect=423) == "2FA_LOCKED"
    assert fund(client, expect=423, ownerAddress=OPERATOR.address.lower()) == "2FA_LOCKED"
    client.faults(totpLockSeconds=0)  # counts from the next lock: this one stands
    assert fund(client, expect=423) == "2FA_LOCKED"


def test_the_lock_is_a_switch_too(client: Client) -> None:
    client.faults(totpLocked=True)
    assert fund(client, expect=423) == "2FA_LOCKED"
    client.faults(totpLocked=False)
    fund(client)


def test_a_good_code_forgives_bad_ones(client: Client) -> None:
    for _ in range(4):
        fund(client, expect=401, twoFactorCode="bad")
    fund(client)
    for _ in range(4):
        fund(client, expect=401, twoFactorCode="bad")
    fund(client)


def test_a_code_may_be_good_once_only(client: Client) -> None:
    client.faults(totpReuse=False)
    used = code()
    fund(client, twoFactorCode=used)
    assert fund(client, expect=401, twoFactorCode=used) == "INVALID_2FA"


@pytest.mark.parametrize(
    "changes",
    [
        {"requestId": "x"},
        {"requestId": None},
        {"chainId": "agung"},
        {"targetWalletAddress": "0x1"},
        {"twoFactorCode": 1},
    ],
)
def test_bad_payload(client: Client, changes: dict[str, Any]) -> None:
    assert fund(client, expect=400, **changes) == "INVALID_PAYLOAD"


def test_caps_and_rate_limit(client: Client) -> None:
    client.faults(walletDailyCap=str(PEAQ), minGasBalance=str(5 * PEAQ))
    fund(client)
    assert fund(client, expect=429) == "CAP_EXCEEDED_WALLET"
    client.faults(walletDailyCap="0", ownerDailyCap=str(PEAQ))
    assert fund(client, expect=429) == "CAP_EXCEEDED_OWNER"
    client.faults(ownerDailyCap="0", fundRateLimitPerMinute=1)
    assert fund(client, expect=429) == "RATE_LIMITED"


def test_the_chain_may_be_down(client: Client) -> None:
    client.chain.down = True
    assert fund(client, expect=502) == "TRANSFER_FAILED"


def test_unknown_paths_carry_a_numeric_code(client: Client) -> None:
    response = client.call("GET", "/gas-station/")
    assert response.status_code == 404
    assert response.json()["code"] == 404 and response.json()["name"] == "NotFound"
