"""What peaq's SDK of protocol v2 made, fleetctl takes over as it is; and the SDK reads what fleetctl made."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_account import Account
from interop_harness import PEAQ, Fleetctl, Official, World

from reconciler.manifest.networks import written

NETWORK = {**written("agung"), "rpcUrl": "${PEAQOS_RPC_URL}", "confirmations": {"depth": 1}}
HEAD = f"""\
apiVersion: fleetctl/v1
kind: Fleet
name: both-ways
network: {json.dumps(NETWORK)}
protocol: v2
services:
  markets: {{url: "${{PEAQOS_ORCHESTRATION_URL}}", apiKey: {{env: PEAQOS_API_KEY}}}}
operator: {{key: {{env: PEAQOS_PRIVATE_KEY}}}}
"""
MINE = """\
machines:
  - name: dock-1
    metadata: {documentationUrl: "https://docs.example.com/dock-1"}
    v2:
      machineType: dock
      credentialSubject: "both ways dock-1"
      tier: basic
      verificationMethods: [{id: "#key-1", type: Ed25519VerificationKey2020, publicKeyMultibase: z6MkpTHR8VNsBxYAAWHu}]
      authentication: ["#key-1"]
      serviceEndpoints: [{id: "#telemetry", type: Telemetry, url: "https://t.example.com/dock-1"}]
"""
Both = tuple[Fleetctl, Official, str]


@pytest.fixture
def both(agung: World, official_v2: Path, tmp_path: Path) -> Iterator[Both]:
    """fleetctl and the SDK in the environment of one operator."""
    operator = agung.operator()
    environ = agung.environ("0x" + bytes(operator.key).hex())
    (tmp_path / "official").mkdir()
    with Official(official_v2, environ, tmp_path / "official", ["minting"]) as official:
        yield Fleetctl(tmp_path, environ), official, operator.address


def test_machines_of_the_sdk_are_adopted_as_they_are(agung: World, both: Both) -> None:
    fleetctl, official, operator = both
    made = [official.call("activate", subject=f"adopted {n} {operator}", controller=operator) for n in range(2)]
    endpoints = [["#docs", "documentation", "https://docs.example.com/b"]]
    key = fleetctl.environ["PEAQOS_PRIVATE_KEY"]
    official.call("set_endpoints", machine_id=made[0]["id"], endpoints=endpoints, key=key)
    fleetctl.manifest.write_text(HEAD)
    before = agung.state([operator])
    fleetctl.run("import", "--operator", operator, "--protocol", "v2")
    plan = fleetctl.plan(expect=0)
    assert [change["action"] for change in plan["changes"]] == ["no-op"] * len(plan["changes"])
    adopted = {change["reason"] for change in plan["changes"] if change["address"].startswith("machine_activation/")}
    assert adopted == {f"activated as did:peaq:{machine['id']}" for machine in made}
    assert agung.state([operator]) == before
    # From here on it is a fleet as any other.
    fleetctl.edit("https://docs.example.com/b", "https://docs.example.com/c")
    assert fleetctl.apply()["exitCode"] == 0
    document = official.call("state", machine_id=made[0]["id"])["did_document"]
    assert [endpoint["service_endpoint"] for endpoint in document["service_endpoints"]] == [
        "https://docs.example.com/c"
    ]


def test_the_sdk_reads_what_fleetctl_made(both: Both) -> None:
    fleetctl, official, operator = both
    subject = f"both ways {Account.create().address}"
    fleetctl.manifest.write_text(HEAD + MINE.replace("both ways dock-1", subject))
    assert fleetctl.apply()["exitCode"] == 0
    (change,) = [c for c in fleetctl.plan(expect=0)["changes"] if c["address"] == "machine_activation/dock-1"]
    state = official.call("state", machine_id=int(change["reason"].rpartition(":")[2]))
    assert (state["owner"], state["controller"], state["is_available"]) == (operator, operator, True)
    document = state["did_document"]
    assert [endpoint["id"] for endpoint in document["service_endpoints"]] == ["#documentation", "#telemetry"]
    assert [method["id"] for method in document["verification_methods"]] == ["#key-1"]
    assert list(document["authentication"]) == [0]
    paid = state["subscription"]["state"]
    assert (paid["tier"], paid["bonded_amount"]) == (1, 5 * PEAQ)
    renewed = official.call("renew", machine_id=state["machine_id"], key=fleetctl.environ["PEAQOS_PRIVATE_KEY"])
    assert renewed["after"] > renewed["before"]
    assert [c for c in fleetctl.plan(expect=0)["changes"] if c["action"] != "no-op"] == []
