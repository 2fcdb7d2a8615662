"""The services on a real sandbox: what they say is what is on its chain."""

import json
import os
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pyotp
import pytest
from chain_harness import AT, PEAQ, User, World, add, batch, calldata, remove
from services_harness import API, Client, FakeChain

from reconciler.sandbox.info import SandboxInfo


class RealClient(Client):
    """A client with the platform key, and a user's hand on the chain."""

    def __init__(self, info: SandboxInfo) -> None:
        super().__init__(info.url, FakeChain())
        self.http.headers["x-api-key"] = info.api_key
        self.world = World(info, self.http)

    def user_machine(self, **attributes: str) -> tuple[User, int]:
        """A funded machine, registered by the operator, with its DID bound and the given attributes."""
        machine = self.world.user(5)
        machine_id = self.world.operator().register_for(machine.address)
        names = {"machineId": str(machine_id), **attributes}
        calls = [(AT.did, 0, add(machine.address, name, value)) for name, value in names.items()]
        assert machine.send(AT.batch, batch(*calls))["status"] == "0x1"
        return machine, machine_id


@pytest.fixture(scope="module")
def client(sandbox: SandboxInfo) -> Iterator[RealClient]:
    running = RealClient(sandbox)
    yield running
    running.call("DELETE", "/sandbox/faults/services")
    running.http.close()


def test_the_life_of_a_machine(client: RealClient) -> None:
    machine, machine_id = client.user_machine(data_visibility="onchain")
    record = client.machine(machine.account)
    assert record["identityRef"] == f"did:peaq:{machine.address}"
    pairing = client.pair(record["id"])
    client.search(pairing["pairingToken"], expect=201)
    scorecard = client.call("GET", f"/mcr/mcr/{record['identityRef']}").json()
    assert scorecard["machine_id"] == machine_id and scorecard["bond_status"] == "bonded"
    profile = client.call("GET", f"/mcr/machine/{record['identityRef']}").json()
    assert profile["name"] == "Machine (no NFT)" and profile["peaqos"]["data_visibility"] == "onchain"

    mint = calldata("mint(uint256,address)", machine_id, machine.address)
    client.world.operator().send(AT.machine_nft, mint)
    profile = client.call("GET", f"/mcr/machine/{record['identityRef']}").json()
    token_id = client.world.read(AT.machine_nft, "tokenIdOf(uint256)", machine_id)
    assert profile["name"] == f"Machine #{token_id}"
    assert client.call("GET", f"/mcr/metadata/{token_id}").json() == profile
    card = client.call("GET", f"/mcr/machines/{machine_id}").json()
    assert card["operator"] == client.world.operator().address

    assert machine.send(AT.did, remove(machine.address, "machineId"))["status"] == "0x1"
    assert client.search(pairing["pairingToken"], expect=409) == "MACHINE_NOT_ACTIVATED"
    assert client.call("GET", f"/mcr/machine/{record['identityRef']}").status_code == 404


def test_unbound_and_unregistered_machines_are_unknown(client: RealClient) -> None:
    stranger = client.world.user(0)
    body = {"identityRef": f"did:peaq:{stranger.address}"}
    assert client.api("POST", "/machine-identity/challenges", body, expect=409) == "MACHINE_NOT_ACTIVATED"
    client.world.operator().register_for(stranger.address)
    assert client.api("POST", "/machine-identity/challenges", body, expect=409) == "MACHINE_NOT_ACTIVATED"
    assert client.call("GET", "/mcr/machines/999999").status_code == 404
    assert client.call("GET", "/mcr/metadata/999999").status_code == 404


def test_fleet_of_an_operator(client: RealClient) -> None:
    machine, machine_id = client.user_machine()
    owner = client.world.user(5)
    published = json.dumps([machine_id, 999999])
    owner.send(AT.did, add(owner.address, "machines", published))
    body = client.call("GET", f"/mcr/operator/did:peaq:{owner.address}/machines").json()
    assert [entry["did"] for entry in body["machines"]] == [f"did:peaq:{machine.address}"]
    assert body["pagination"]["total"] == 2


def test_ready(client: RealClient) -> None:
    assert client.api("GET", "/readiness", expect=200)["status"] == "ready"
    assert client.call("GET", "/mcr/ready").status_code == 200
    anonymous = httpx.get(client.base + API + "/machines", trust_env=False)
    assert anonymous.json()["error"]["code"] == "AUTH_REQUIRED"


def test_gas_station_pays(client: RealClient, sandbox: SandboxInfo) -> None:
    target = client.world.user(0).address
    body: dict[str, Any] = {
        "ownerAddress": sandbox.operator_address,
        "targetWalletAddress": target,
        "chainId": "peaq",
        "twoFactorCode": pyotp.TOTP(sandbox.totp_secret).now(),
        "requestId": str(uuid.uuid4()),
    }
    answer = client.call("POST", "/gas-station/faucet/fund", body).json()
    assert answer["code"] == "SUCCESS"
    for _ in range(200):  # the node mines a moment after it answers
        if receipt := client.world.rpc("eth_getTransactionReceipt", answer["data"]["txHash"]):
            break
        time.sleep(0.05)
    assert receipt["status"] == "0x1" and client.world.balance(target) == PEAQ
    body["requestId"] = str(uuid.uuid4())
    assert client.call("POST", "/gas-station/faucet/fund", body).json()["code"] == "SUFFICIENT_BALANCE"


def test_connections_are_dropped_behind_the_front_too(client: RealClient) -> None:
    client.faults({"action": "dropAfter", "method": "POST", "path": f"{API}/policies"})
    name = f"dropped-{os.urandom(4).hex()}"
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        client.call("POST", f"{API}/policies", {"name": name})
    assert name in {policy["name"] for policy in client.api("GET", "/policies", expect=200)["items"]}
