"""Machines of protocol v2 in Machine Markets and MCR: their token is their name, their controller signs."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chain_harness import World
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak
from services_harness import OPERATOR, STRANGER, Client, FakeChain, serving
from v2_harness import NOBODY, REGISTRY, activated

from reconciler.sandbox.chain import calldata
from reconciler.sandbox.services.chainview import MintedFacts

ACTIVE, TERMINATED = 1, 4


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with serving(tmp_path, FakeChain()) as running:
        yield running


def minted(client: Client, controller: LocalAccount | None, *, owner: str = OPERATOR.address) -> MintedFacts:
    token = int.from_bytes(keccak(text=f"machine {len(client.chain.tokens)}"), "big")
    client.chain.tokens[token] = MintedFacts(token, owner, controller.address if controller else None, ACTIVE)
    return client.chain.tokens[token]


def record(client: Client, fact: MintedFacts, signer: LocalAccount, ref: str = "", *, expect: int = 201) -> Any:
    ref = ref or fact.did
    body = {"displayName": "press", "ownerId": "acme", "machineType": "robot", "runtimeProfile": "linux"}
    proof = client.identity_proof(ref, signer)
    return client.api("POST", "/machines", {**body, "identityRef": ref, "identityProof": proof}, expect=expect)


@pytest.mark.parametrize("form", ["did:peaq:{}", "peaqos:machine:{}"])
def test_a_token_by_either_name_is_kept_by_its_did(client: Client, form: str) -> None:
    controller = client.account()
    fact = minted(client, controller)
    ref = form.format(fact.machine_id)
    challenge = client.api("POST", "/machine-identity/challenges", {"identityRef": ref}, expect=201)
    assert (challenge["identityRef"], challenge["controllerAddresses"]) == (fact.did, [controller.address])
    assert f"Identity: {fact.did}" in challenge["message"].split("\n")
    machine = record(client, fact, controller, ref)
    assert (machine["identityRef"], machine["identityProof"]["identityRef"]) == (fact.did, fact.did)
    active = client.api("PATCH", f"/machines/{machine['id']}", {"status": "active", "identityRef": ref}, expect=200)
    assert active["status"] == "active"
    assert [m["id"] for m in client.api("GET", "/machines", expect=200)["items"]] == [machine["id"]]
    assert record(client, fact, controller, expect=409) == "MACHINE_IDENTITY_EXISTS"
    other = {"identityRef": minted(client, controller).did}
    assert client.api("PATCH", f"/machines/{machine['id']}", other, expect=409) == "MACHINE_IDENTITY_IMMUTABLE"


def test_a_pairing_names_the_token(client: Client) -> None:
    controller = client.account()
    fact = minted(client, controller)
    machine = record(client, fact, controller)
    client.api("PATCH", f"/machines/{machine['id']}", {"status": "active"}, expect=200)
    body = {"agentAddress": STRANGER.address, "agentProvider": "anthropic", "agentRole": "ops"}
    path = f"/machines/{machine['id']}/agent-pairings"
    challenge = client.api("POST", f"{path}/challenges", body, expect=201)
    assert challenge["machineIdentityRef"] == fact.did
    paired = client.pair(machine["id"])
    assert client.search(paired["pairingToken"], expect=201)
    client.chain.tokens[fact.machine_id] = replace(fact, status=TERMINATED)
    assert client.api("POST", path, client.pairing_body(machine["id"], STRANGER), expect=409) == "MACHINE_NOT_ACTIVATED"


def test_only_the_controller_signs_and_only_while_it_is_one(client: Client) -> None:
    controller, successor = client.account(), client.account()
    fact = minted(client, controller)
    assert record(client, fact, OPERATOR, expect=403) == "MACHINE_IDENTITY_PROOF_INVALID"  # the owner
    machine = record(client, fact, controller)
    client.chain.tokens[fact.machine_id] = replace(fact, controller=successor.address)
    path = f"/machines/{machine['id']}"
    assert client.api("GET", path, expect=403) == "MACHINE_IDENTITY_PROOF_INVALID"
    proof = client.identity_proof(fact.did, successor)
    client.api("PATCH", path, {"identityProof": proof}, expect=200)
    assert client.api("GET", path, expect=200)["identityProof"]["signerAddress"] == successor.address
    orphan = {"identityRef": minted(client, None).did}
    assert client.api("POST", "/machine-identity/challenges", orphan, expect=403) == "MACHINE_IDENTITY_PROOF_INVALID"
    unknown = {"identityRef": "did:peaq:42"}
    assert client.api("POST", "/machine-identity/challenges", unknown, expect=409) == "MACHINE_NOT_ACTIVATED"


def test_mcr_writes_ids_as_text(client: Client) -> None:
    fact = minted(client, STRANGER)
    card = client.call("GET", f"/mcr/mcr/{fact.did}").json()
    assert (card["did"], card["machine_id"], card["mcr"]) == (fact.did, str(fact.machine_id), "Provisioned")
    peaqos = client.call("GET", f"/mcr/machine/{fact.did}").json()["peaqos"]
    assert (peaqos["machine_id"], peaqos["operator"]) == (str(fact.machine_id), OPERATOR.address)
    client.chain.tokens[fact.machine_id] = replace(fact, status=TERMINATED)
    assert client.call("GET", f"/mcr/mcr/{fact.did}").json()["bond_status"] == "unbonded"
    assert client.call("GET", "/mcr/mcr/did:peaq:7").status_code == 404
    assert client.call("GET", f"/mcr/mcr/{fact.machine_id}").status_code == 400
    assert client.call("GET", f"/mcr/operator/{fact.did}/machines").status_code == 400


def test_lag_holds_for_them_too(client: Client) -> None:
    client.faults(mcrLagReads=1)
    fact = minted(client, STRANGER)
    assert [client.call("GET", f"/mcr/mcr/{fact.did}").status_code for _ in range(2)] == [404, 200]


def test_a_fleet_is_what_was_published_then_what_is_held(client: Client) -> None:
    for _ in range(2):
        client.chain.add_machine(client.account())
    client.chain.dids[OPERATOR.address, "machines"] = json.dumps([1, 2])
    owned = minted(client, STRANGER)
    controlled = minted(client, OPERATOR, owner=STRANGER.address)
    minted(client, STRANGER, owner=STRANGER.address)
    path = f"/mcr/operator/did:peaq:{OPERATOR.address}/machines"
    expected = [1, 2, str(owned.machine_id), str(controlled.machine_id)]
    body = client.call("GET", path).json()
    assert ([m["machine_id"] for m in body["machines"]], body["pagination"]["total"]) == (expected, 4)
    for size in (1, 3):
        pages = [client.call("GET", f"{path}?limit={size}&offset={at}").json()["machines"] for at in range(0, 4, size)]
        assert [m["machine_id"] for page in pages for m in page] == expected


def test_the_chain_says_whose_they_are_now(world: World) -> None:
    owner, controller, buyer = world.user(), world.user(), world.user()
    first, second = (activated(owner, controller=controller.address) for _ in range(2))

    def fleet(address: str) -> list[str]:
        answer = world.http.get(f"{world.info.mcr_url}/operator/did:peaq:{address}/machines").json()
        return [machine["did"] for machine in answer["machines"]]

    both = [f"did:peaq:{machine.id}" for machine in (first, second)]
    assert fleet(owner.address) == fleet(controller.address) == both
    owner.send(REGISTRY, calldata("transferFrom(address,address,uint256)", owner.address, buyer.address, first.id))
    owner.send(REGISTRY, calldata("setController(uint256,address)", second.id, NOBODY))
    assert (fleet(owner.address), fleet(buyer.address)) == (both[1:], both[:1])
    assert fleet(controller.address) == both[:1]
    owner.send(REGISTRY, calldata("setController(uint256,address)", second.id, buyer.address))
    assert fleet(buyer.address) == both
