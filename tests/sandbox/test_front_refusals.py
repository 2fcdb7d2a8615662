"""What the public RPC refuses, and how it words errors."""

import pytest
from chain_harness import AT, PEAQ, RpcFailure, World, add, calldata, register_for
from eth_account import Account

PRIVATE = [
    "eth_accounts", "eth_sendTransaction", "eth_sign", "anvil_setBalance", "anvil_nodeInfo", "evm_mine", "nonsense",
    "hardhat_impersonateAccount", "personal_listAccounts", "debug_traceCall", "txpool_content",
]  # fmt: skip
GETH = {"errorShape": "geth"}


@pytest.mark.parametrize("method", PRIVATE)
def test_only_public_methods(world: World, method: str) -> None:
    with pytest.raises(RpcFailure) as found:
        world.rpc(method)
    assert found.value.code == -32601


def test_a_batch_is_answered_in_order_whatever_is_in_it(world: World) -> None:
    calls = [("eth_chainId", "a"), ("eth_accounts", "a"), ("eth_blockNumber", None), ("net_version", 0)]
    body = [{"jsonrpc": "2.0", "id": number, "method": method} for method, number in calls]
    answers = world.post(body).json()
    assert [answer["id"] for answer in answers] == ["a", "a", None, 0]
    assert [("error" in answer) for answer in answers] == [False, True, False, False]
    assert answers[0]["result"] == hex(31338)


def test_not_json_and_not_requests(world: World) -> None:
    assert world.http.post(world.info.rpc_url, content=b"{").json()["error"]["code"] == -32700
    assert world.post([]).json()["error"]["code"] == -32600
    assert world.post([1]).json()["error"]["code"] == -32600
    assert world.http.get(world.info.rpc_url).status_code == 405


def test_transactions_of_other_chains_and_unprotected_ones(world: World) -> None:
    user = world.user()
    with pytest.raises(RpcFailure, match="have 3338 want 31338"):
        user.send(user.address, chainId=3338)
    legacy = {"gasPrice": 3 * 10**9, "maxFeePerGas": None, "maxPriorityFeePerGas": None}
    with pytest.raises(RpcFailure, match="EIP-155"):
        user.send(user.address, chainId=None, **legacy)
    with pytest.raises(RpcFailure, match="have 1 want 31338"):
        user.send(user.address, chainId=1, **legacy)
    assert user.send(user.address, **legacy)["status"] == "0x1"
    access = {**legacy, "accessList": [{"address": user.address, "storageKeys": []}]}
    assert user.send(user.address, **access)["status"] == "0x1"
    for nonsense in ("0x", "0x04", "zz", None, "0xc0", "0x02c0"):
        with pytest.raises(RpcFailure) as found:
            world.rpc("eth_sendRawTransaction", nonsense)
        assert found.value.code == -32602


def test_only_accounts_of_this_sandbox_may_send(world: World) -> None:
    stranger = world.user(0)
    with pytest.raises(RpcFailure, match="does not know the signer"):
        stranger.send(stranger.address)
    world.control("setBalance", address=stranger.address, wei=str(PEAQ))
    assert stranger.send(stranger.address)["status"] == "0x1"
    assert world.operator().send(stranger.address, value=1)["status"] == "0x1"


def test_pool_errors_in_both_wordings(world: World) -> None:
    user, poor = world.user(), world.user(0.0001)
    user.send(user.address)
    raw = user.sign(user.address)
    world.rpc("eth_sendRawTransaction", raw)
    for settings, code in (({}, -32603), (GETH, -32000)):
        world.faults(**settings)
        with pytest.raises(RpcFailure, match="nonce too low") as found:
            user.send(user.address, nonce=0, value=3)
        assert found.value.code == code
        with pytest.raises(RpcFailure, match="insufficient funds for gas"):
            poor.send(poor.address, value=PEAQ)


def test_replacements_pay_a_tenth_more(world: World) -> None:
    user = world.user()
    nonce = user.nonce() + 1  # a gap keeps it pending
    fees = {"maxFeePerGas": 10 * 10**9, "maxPriorityFeePerGas": 10**9}
    first = user.sign(user.address, nonce=nonce, **fees)
    tx_hash = world.rpc("eth_sendRawTransaction", first)
    assert world.rpc("eth_getTransactionByHash", tx_hash)["blockNumber"] is None
    with pytest.raises(RpcFailure, match="already known"):
        world.rpc("eth_sendRawTransaction", first)
    little = {"maxFeePerGas": 11 * 10**9, "maxPriorityFeePerGas": 10**9 + 1}
    with pytest.raises(RpcFailure, match="replacement transaction underpriced"):
        world.rpc("eth_sendRawTransaction", user.sign(user.address, nonce=nonce, **little))
    enough = {"maxFeePerGas": 11 * 10**9, "maxPriorityFeePerGas": 11 * 10**8}
    bumped = world.rpc("eth_sendRawTransaction", user.sign(user.address, nonce=nonce, **enough))
    user.send(user.address)
    assert world.receipt(bumped)["status"] == "0x1"
    assert world.rpc("eth_getTransactionReceipt", tx_hash) is None


def test_reverts_in_both_wordings(world: World) -> None:
    user = world.user()
    user.send(AT.did, add(user.address, "a"))
    for method in ("eth_call", "eth_estimateGas"):
        bare = {"from": user.address, "to": AT.identity_registry, "data": register_for("0x" + "0" * 40)}
        text = {"from": user.address, "to": AT.did, "data": add(user.address, "a")}
        world.faults(errorShape="frontier")
        with pytest.raises(RpcFailure) as found:
            world.rpc(method, bare)
        assert (found.value.code, found.value.data) == (-32603, "0x050cd25b")
        assert found.value.message == "VM Exception while processing transaction: revert"
        with pytest.raises(RpcFailure) as found:
            world.rpc(method, text)
        assert found.value.code == -32603
        assert found.value.message.startswith("VM Exception while processing transaction: revert Dispatched call")
        world.faults(errorShape="geth")
        with pytest.raises(RpcFailure) as found:
            world.rpc(method, text)
        assert found.value.code == 3
        assert found.value.message.startswith("execution reverted")
        assert found.value.data.startswith("0x08c379a0")


def test_running_out_of_gas_is_no_revert(world: World) -> None:
    user = world.user()
    call = {"from": user.address, "to": AT.identity_registry, "data": calldata("register()"), "value": hex(PEAQ)}
    with pytest.raises(RpcFailure) as found:
        world.rpc("eth_call", {**call, "gas": hex(60_000)}, "latest")
    assert found.value.message == "out of gas"
    assert not found.value.data


def test_blocks_that_are_not_there(world: World) -> None:
    with pytest.raises(RpcFailure, match="header not found"):
        world.rpc("eth_getBalance", Account.create().address, hex(world.head() + 1000))
    assert world.rpc("eth_getBlockByNumber", hex(world.head() + 1000), False) is None


def test_finality_lags_a_little(world: World) -> None:
    world.control("mine", blocks=3)
    head = world.head()
    heights = [int(world.rpc("eth_getBlockByNumber", tag, False)["number"], 16) for tag in ("safe", "finalized")]
    assert heights == [head - 1, head - 2]


def test_control_says_what_it_cannot_do(world: World) -> None:
    url = f"{world.info.url}/sandbox/control"
    bodies = [
        {"op": "nonsense"},
        {"op": "mine", "blocks": 0},
        {"op": "reorg", "depth": 10**6},
        {"op": "setMinBond"},
        [],
    ]
    for body in [*bodies, {"op": "setMinBond", "wei": 1}, {"op": "setDidMode", "mode": "x"}]:
        response = world.http.post(url, json=body)
        assert response.status_code == 400, body
        assert response.json()["error"]
