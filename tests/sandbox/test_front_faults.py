"""Each fault does what it says, as often as it says, and no more."""

import time

import httpx
import pytest
from chain_harness import RpcFailure, World

CHAIN_ID = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"}


def test_rate_limit(world: World) -> None:
    world.faults({"action": "rateLimit", "count": 2, "retryAfter": 0.5})
    answers = [world.post(CHAIN_ID) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[0].headers["retry-after"] == "0.5"
    assert answers[0].json()["error"]["code"] == -32029


def test_rate_limit_of_given_methods(world: World) -> None:
    world.faults({"action": "rateLimit", "method": "eth_getTransaction*", "count": None})
    assert world.post(CHAIN_ID).status_code == 200
    for _ in range(3):
        assert world.post({**CHAIN_ID, "method": "eth_getTransactionCount"}).status_code == 429
    # One such call spoils the whole batch.
    assert world.post([CHAIN_ID, {**CHAIN_ID, "method": "eth_getTransactionReceipt"}]).status_code == 429


def test_other_statuses(world: World) -> None:
    world.faults({"action": "status", "status": 503})
    assert [world.post(CHAIN_ID).status_code for _ in range(2)] == [503, 200]


def test_a_connection_dropped_before_acceptance_sent_nothing(world: World) -> None:
    user = world.user()
    raw = user.sign(user.address)
    world.faults({"action": "dropBefore", "method": "eth_sendRawTransaction"})
    with pytest.raises(httpx.RemoteProtocolError):
        world.rpc("eth_sendRawTransaction", raw)
    assert user.nonce() == 0
    world.receipt(world.rpc("eth_sendRawTransaction", raw))


def test_a_connection_dropped_after_acceptance_sent_it(world: World) -> None:
    user = world.user()
    raw = user.sign(user.address)
    world.faults({"action": "dropAfter", "method": "eth_sendRawTransaction"})
    with pytest.raises(httpx.RemoteProtocolError):
        world.rpc("eth_sendRawTransaction", raw)
    assert user.nonce() == 1
    with pytest.raises(RpcFailure, match=r"already known|nonce too low"):
        world.rpc("eth_sendRawTransaction", raw)


def test_injected_errors(world: World) -> None:
    user = world.user()
    world.faults(
        {"action": "error", "method": "eth_sendRawTransaction", "code": -32000, "message": "nonce too low"},
        {"action": "error", "method": "eth_getLogs", "code": -32005, "message": "range", "data": "0x"},
    )
    raw = user.sign(user.address)
    with pytest.raises(RpcFailure, match="nonce too low") as found:
        world.rpc("eth_sendRawTransaction", raw)
    assert found.value.code == -32000
    assert user.nonce() == 0
    world.rpc("eth_sendRawTransaction", raw)
    with pytest.raises(RpcFailure, match="range"):
        world.rpc("eth_getLogs", {})


def test_latency_comes_on_top_of_other_faults(world: World) -> None:
    world.faults({"action": "delay", "ms": 200, "count": None}, {"action": "status", "status": 502})
    started = time.monotonic()
    assert world.post(CHAIN_ID).status_code == 502
    assert time.monotonic() - started >= 0.2


def test_late_receipts(world: World) -> None:
    user = world.user()
    hashes = [user.send(user.address)["transactionHash"] for _ in range(2)]
    world.faults({"action": "null", "method": "eth_getTransactionReceipt", "count": 2, "each": True})
    for tx_hash in hashes:
        seen = [world.rpc("eth_getTransactionReceipt", tx_hash) is None for _ in range(3)]
        assert seen == [True, True, False]


def test_stale_reads(world: World) -> None:
    user = world.user(7)
    world.control("mine", blocks=4)
    user.send(user.address)
    head = world.head()
    world.faults({"action": "stale", "blocks": 3, "count": None})
    assert world.head() == head - 3
    assert world.rpc("eth_getTransactionCount", user.address, "latest") == "0x0"
    assert int(world.rpc("eth_getBlockByNumber", "latest", False)["number"], 16) == head - 3
    assert int(world.rpc("eth_getTransactionCount", user.address, hex(head)), 16) == 1  # a named block is that block
    world.well_again()
    assert world.head() == head
    assert world.rpc("eth_getTransactionCount", user.address, "latest") == "0x1"


def test_unknown_blocks_strike_only_named_ones(world: World) -> None:
    user = world.user()
    world.faults({"action": "unknownBlock", "count": 1})
    assert world.balance(user.address)
    with pytest.raises(RpcFailure, match="header not found"):
        world.rpc("eth_getBalance", user.address, hex(world.head()))
    assert world.rpc("eth_getBalance", user.address, hex(world.head()))


def test_rules_can_be_seen_and_are_checked(world: World) -> None:
    url = f"{world.info.url}/sandbox/faults/rpc"
    world.faults({"action": "status", "count": 5}, errorShape="geth")
    world.post(CHAIN_ID)
    shown = world.http.get(url).json()
    assert shown["errorShape"] == "geth"
    assert shown["rules"][0]["struck"] == {"": 1}
    for wrong in (
        {"action": "nonsense"},
        {"action": "status", "tims": 3},
        {"errorShape": "x"},
        {"rules": [1]},
        3,
        {"action": "status", "count": "two"},
        {"action": "status", "status": 99},
        {"rules": 3},
    ):
        assert world.http.post(url, json=wrong).status_code == 400
    assert world.http.delete(url).json() == {"errorShape": "frontier", "rules": []}
    assert world.post(CHAIN_ID).status_code == 200
