"""Records of Machine Markets: taken out of service, and proofs that stop being good."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from e2e_harness import Ran, Yard
from eth_account.messages import encode_defunct

MakeYard = Callable[..., Yard]
PROOF_SECONDS = 2


@pytest.fixture
def yard(new_yard: MakeYard) -> Yard:
    yard = new_yard(1)
    assert yard.run("apply", "--yes").code == 0
    return yard


def record(yard: Yard) -> dict[str, Any]:
    (found,) = yard.records()["air-001"]
    return found


def test_archiving_and_what_is_possible_afterwards(yard: Yard) -> None:
    number = record(yard)["id"]
    machine = yard.machine("air-001")
    machine["market"] = {"status": "archived"}
    refused = yard.run("validate")
    assert refused.code == 3
    assert "an archived record has no pairings" in refused.err
    machine["pairings"] = []
    yard.manifest["prune"] = ["pairings"]
    plan = yard.run("plan")
    assert "archive the record (declared archived) !" in plan.out
    assert plan.out.splitlines()[-1].startswith("Plan: 0 to add, 0 to change, 2 to remove; 1 irreversible"), plan.out
    for listed in (False, True):
        yard.world.service_faults(archivedListed=listed)
        applied = yard.run("apply", "--yes")
        assert applied.code == 0, applied.said
        assert yard.world.markets("GET", f"/machines/{number}").json()["item"]["status"] == "archived"
        yard.check_quiet()
    del machine["market"]
    plan = yard.run("plan", "--detailed-exitcode")
    assert plan.code == 2, plan.said
    assert "no documented way back" in plan.out
    # Where the service shows no archived records, it is met when enrolling.
    yard.world.service_faults(archivedListed=False)
    applied = yard.run("apply", "--yes")
    assert applied.code == 5
    assert "set market.recordId to its id" in applied.said.replace("\n", " ")
    machine["market"] = {"recordId": number}
    assert "no documented way back" in yard.run("plan").out


def test_a_proof_that_ran_out_is_given_again(yard: Yard) -> None:
    first = record(yard)["identityProof"]
    yard.world.service_faults(storedProofTtlSeconds=PROOF_SECONDS)
    time.sleep(PROOF_SECONDS)
    yard.manifest["defaults"]["market"]["capabilities"] = ["price-feed", "weather"]
    applied = yard.run("apply", "--yes")
    assert applied.code == 0, applied.said
    assert record(yard)["capabilities"] == ["price-feed", "weather"]
    assert record(yard)["identityProof"]["challengeId"] != first["challengeId"]
    for change in ("rotate", "pair", "endpoint"):
        time.sleep(PROOF_SECONDS)
        before = record(yard)["identityProof"]
        done = CHANGES[change](yard)
        assert done.code == 0, (change, done.said)
        assert record(yard)["identityProof"]["challengeId"] != before["challengeId"], change
    yard.world.well()
    assert yard.search(yard.token("air-001")) == 201
    steps = [entry["step"] for entry in yard.run("journal", "list", "--all", "--output", "json").data["intents"]]
    assert steps.count("prove the identity again") == 4


def _pair(yard: Yard) -> Ran:
    yard.machine("air-001")["pairings"] = []
    yard.manifest["prune"] = ["pairings"]
    assert yard.run("apply", "--yes").code == 0
    yard.machine("air-001")["pairings"] = [{"agent": "ops", "role": "ops"}]
    return yard.run("apply", "--yes")


def _endpoint(yard: Yard) -> Ran:
    yard.machine("air-001")["runtimeEndpoints"] = {"qvac": {"endpointBaseUrl": "http://10.0.0.7:8080"}}
    return yard.run("apply", "--yes")


CHANGES: dict[str, Callable[[Yard], Ran]] = {
    "rotate": lambda yard: yard.run("rotate", "--all"),
    "pair": _pair,
    "endpoint": _endpoint,
}


def test_a_proof_of_a_former_controller_is_replaced(yard: Yard) -> None:
    """The operator gave the proof while it was a controller; since it is not, the record is shown to nobody."""
    found = record(yard)
    yard.world.service_faults(operatorIsController=True)
    challenge = yard.world.markets("POST", "/machine-identity/challenges", {"identityRef": found["identityRef"]})
    signed = yard.operator.sign_message(encode_defunct(text=challenge.json()["item"]["message"]))
    proof = {
        "challengeId": challenge.json()["item"]["challengeId"], "signature": signed.signature.to_0x_hex()
    }  # fmt: skip
    path = f"/machines/{found['id']}"
    assert yard.world.markets("PATCH", path, {"identityProof": proof}).status_code == 200
    yard.world.well()
    assert yard.records()["air-001"] == []

    yard.machine("air-001")["market"] = {"recordId": found["id"]}
    plan = yard.run("plan")
    assert "prove the identity again" in plan.out, plan.out
    assert "MACHINE_IDENTITY_PROOF_INVALID" in plan.out
    assert yard.run("apply", "--yes").code == 5, "what hangs on the record cannot be read before"
    assert record(yard)["identityProof"]["signerAddress"] == yard.accounts["air-001"].address
    yard.check_quiet()


def test_a_service_that_lags_is_waited_for_with_a_bound_and_a_reason(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    yard.world.service_faults(mcrLagReads=10_000)
    applied = yard.run("apply", "--yes", "--timeout", "4")
    assert applied.code == 5, applied.said
    assert "the MCR API does not see the machine yet; gave up after" in applied.said.replace("\n", " ")
    yard.world.well()
    assert yard.run("apply", "--yes").code == 0
    yard.check_quiet()
