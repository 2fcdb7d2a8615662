"""What the commands beside plan and apply say of a fleet of protocol v2, and of one of both protocols."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from e2e_harness import AT, PEAQ, Yard
from v2_fleet import chained, live_by_v2

from reconciler.sandbox.config import AGUNG_V2

MakeYard = Callable[..., Yard]
V2 = {
    "infoDesk": AGUNG_V2.info_desk,
    "machineRegistry": AGUNG_V2.machine_registry,
    "machineStateAndSync": AGUNG_V2.machine_state_and_sync,
    "machineSubscription": AGUNG_V2.machine_subscription,
    "crossChainMirror": AGUNG_V2.cross_chain_mirror,
}

V1 = {
    "identityRegistry": AT.identity_registry,
    "identityStaking": AT.identity_staking,
    "machineNft": AT.machine_nft,
}


def on_a_network_of_its_own(yard: Yard, **contracts: str) -> None:
    own = {"rpcUrl": "${PEAQOS_RPC_URL}", "chainId": 31338, "contracts": {**V2, **contracts}}
    yard.manifest["network"] = own
    yard.save()


def findings(yard: Yard) -> tuple[int, dict[str, dict[str, Any]]]:
    ran = yard.run("preflight", "--output", "json")
    assert "findings" in ran.data, ran.said
    return ran.code, {found["what"]: found for found in ran.data["findings"]}


def test_status_and_preflight_know_the_new_protocol(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    old = {k: v for k, v in yard.manifest["machines"][0].items() if k in ("name", "address", "key")}
    live_by_v2(yard, "a")
    yard.world.fund(old["address"], 1)
    yard.manifest["protocol"] = "v1"
    yard.manifest["machines"] = [{"name": "a", "protocol": "v2", "v2": {}}, old]
    yard.save()
    assert yard.run("apply", "--yes").code == 0
    status = {found["name"]: found for found in yard.run("status", "--output", "json").data["machines"]}
    assert status["a"]["sync"] == status[old["name"]]["sync"] == "Synced"
    assert status["a"]["id"] == str(chained(yard, "a").id)
    assert int(status["a"]["bond"]) == PEAQ // 2
    assert int(status[old["name"]]["bond"]) > 0
    code, found = findings(yard)
    assert code == 0, found
    runs = f"this chain runs v2 (MachineRegistry at {AGUNG_V2.machine_registry}); v1 contracts are there as well"
    assert found["protocol"]["detail"] == runs
    assert "entry 0.5 PEAQ" in found["v2 bonds"]["detail"]
    assert "each for 365 days" in found["v2 bonds"]["detail"]
    assert found["v2 contracts"]["level"] == found["v2 state"]["level"] == "ok"
    assert found["registry"]["level"] == "ok"


def test_a_chain_without_v1_is_enough(new_yard: MakeYard) -> None:
    yard = new_yard(0)
    live_by_v2(yard, "a")
    on_a_network_of_its_own(yard)
    _, found = findings(yard)
    assert found["protocol"]["detail"].endswith("; no v1 contracts are known here")
    assert "registry" not in found
    assert yard.run("apply", "--yes", "--scan").code == 0
    yard.check_quiet("--scan")
    assert json.loads(yard.run("status", "--output", "json").out)["machines"][0]["sync"] == "Synced"
    yard.manifest["machines"] = [{"name": "a", "address": yard.operator.address[:-1] + "0", "protocol": "v1"}]
    yard.save()
    refused = yard.run("preflight")
    assert refused.code == 3
    assert "protocol v1 needs the addresses of identityRegistry" in refused.said


def test_contracts_that_are_not_those_of_the_chain_are_named(new_yard: MakeYard) -> None:
    yard = new_yard(0)
    live_by_v2(yard, "a")
    on_a_network_of_its_own(yard, crossChainMirror=AGUNG_V2.machine_registry)
    code, found = findings(yard)
    assert (code, found["v2 contracts"]["level"]) == (1, "failed")
    assert "correct network.contracts.crossChainMirror" in found["v2 contracts"]["detail"]
    on_a_network_of_its_own(yard, infoDesk="0x" + "7" * 40)
    refused = yard.run("preflight")
    assert refused.code == 3
    assert f"no contract at 0x{'7' * 40} (infoDesk), and protocol v2 needs it" in refused.said
    assert "correct network.contracts.infoDesk" in refused.said


def test_the_presses_of_the_example(new_yard: MakeYard) -> None:
    yard = new_yard(0)
    shutil.copytree(Path(__file__).parents[2] / "examples" / "presses", yard.root, dirs_exist_ok=True)
    plan = yard.run_as_is("plan", "--detailed-exitcode")
    assert plan.code == 2, plan.said
    assert "6 bond" in plan.out
    applied = yard.run_as_is("apply", "--yes")
    assert applied.code == 0, applied.said
    again = yard.run_as_is("plan", "--detailed-exitcode")
    assert again.code == 0, again.said


def test_where_real_money_moves_v1_is_called_legacy_and_v2_is_not(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    old = {key: yard.manifest["machines"][0][key] for key in ("name", "address", "key")}
    yard.world.fund(old["address"], 1)
    live_by_v2(yard, "a")
    on_a_network_of_its_own(yard, **V1)
    yard.manifest["network"]["live"] = True
    for name, machines, legacy in (("v2", [], False), ("both", [{**old, "protocol": "v1"}], True)):
        yard.manifest["machines"] = [{"name": "a", "v2": {}}, *machines]
        yard.save()
        assert ("legacy" in yard.run("validate").err) == legacy, name
        assert ("Warning: protocol v1 is peaq's legacy protocol" in yard.run("plan").out) == legacy, name
        code, found = findings(yard)
        assert (code, "protocol v1" in found) == (0, legacy), name
        assert found["protocol"]["detail"].endswith("v1 contracts are there as well (legacy)")
    before = yard.world.head()
    assert yard.run("apply", "--yes").code == 4
    assert yard.run("apply", "--yes", "--only", "a").code == 0
    assert yard.world.head() > before
