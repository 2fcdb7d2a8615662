"""A sandbox that goes on with a saved world, and leaves what was saved as it was."""

import asyncio
from pathlib import Path

import httpx
import pytest
from eth_account import Account

from reconciler.sandbox.chain import Chain, calldata
from reconciler.sandbox.config import Contracts
from reconciler.sandbox.errors import SandboxError
from reconciler.sandbox.info import SandboxInfo
from reconciler.sandbox.lifecycle import running, up
from reconciler.sandbox.node import free_port, start_node
from reconciler.sandbox.rpc import NodeRpc
from reconciler.sandbox.services.store import Store
from reconciler.sandbox.snapshot import ABOUT, CHAIN, SERVICES, Snapshot, save_chain
from reconciler.sandbox.toolchain import anvil_binary

OPERATOR = Account.create()
KEY = "0x" + bytes(OPERATOR.key).hex()
WEALTH = 123 * 10**18


async def save(directory: Path, scratch: Path) -> None:
    node = start_node(anvil_binary(), scratch)
    rpc = NodeRpc(node.url)
    try:
        admin = (await rpc.call("eth_accounts"))[0]
        chain = Chain(rpc, Contracts(), admin)
        await chain.install()
        await chain.fund(OPERATOR.address, WEALTH)
        await save_chain(rpc, directory, Snapshot(KEY, admin))
    finally:
        await rpc.close()
        node.stop()
    store = Store(directory / SERVICES)
    store.put("policy", {"id": "pol_1", "name": "saved"})
    store.close()


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("saved")
    asyncio.run(save(directory, tmp_path_factory.mktemp("node")))
    return directory


def rpc(info: SandboxInfo, method: str, *params: object) -> str:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return str(httpx.post(info.rpc_url, json=body).json()["result"])


def control(info: SandboxInfo, **wanted: object) -> httpx.Response:
    return httpx.post(f"{info.url}/sandbox/control", json=wanted)


def test_it_goes_on_where_the_saved_world_stood(saved: Path, tmp_path: Path) -> None:
    before = {name: (saved / name).read_bytes() for name in (CHAIN, ABOUT, SERVICES)}
    for place in ("first", "second"):
        with running(tmp_path / place, port=free_port(), snapshot=saved) as info:
            assert info.operator_private_key == KEY
            assert int(rpc(info, "eth_getBalance", OPERATOR.address, "latest"), 16) == WEALTH
            policies = httpx.get(f"{info.markets_url}/api/v1/policies", headers={"x-api-key": info.api_key})
            assert [policy["name"] for policy in policies.json()["items"]] == ["saved"]
            # The owner of the saved contracts is theirs still.
            assert control(info, op="setMinBond", wei=str(3 * 10**18)).status_code == 200
            bond = rpc(info, "eth_call", {"to": info.contracts.identity_registry, "data": "0x831518b7"}, "latest")
            assert int(bond, 16) == 3 * 10**18
            # So are the contracts of v2.
            v2 = {"to": info.v2.machine_subscription, "data": calldata("requiredPeaqAmount(uint8)", 0)}
            assert int(rpc(info, "eth_call", v2, "latest"), 16) == 10**18 // 2
            assert control(info, op="setPeaqPrice", usd=str(10**18)).status_code == 200
            assert int(rpc(info, "eth_call", v2, "latest"), 16) == 10**18 // 50
            mined = int(rpc(info, "eth_blockNumber"), 16)
            assert control(info, op="mine").json()["blockNumber"] == mined + 1
    assert {name: (saved / name).read_bytes() for name in before} == before


def test_half_a_snapshot_is_refused(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="no snapshot"):
        up(tmp_path / "one", port=free_port(), snapshot=tmp_path)
    half = tmp_path / "half"
    half.mkdir()
    (half / ABOUT).write_bytes((saved / ABOUT).read_bytes())
    with pytest.raises(SandboxError, match="not whole"):
        up(tmp_path / "two", port=free_port(), snapshot=half)
