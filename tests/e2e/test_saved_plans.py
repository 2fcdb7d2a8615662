"""A plan saved, and applied later: in the same world, in one that moved, after a kill, with and without a signature."""

import json
import os
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from e2e_harness import AT, Ran, World, Yard
from eth_account import Account
from eth_account.messages import encode_defunct

from reconciler.adapters.locks import locked
from reconciler.core.saved import checksum

MakeYard = Callable[..., Yard]


def plan_file(yard: Yard) -> Path:
    return yard.root / "plan.json"


def save(yard: Yard, *more: str) -> dict[str, Any]:
    ran = yard.run("plan", "--out", str(plan_file(yard)), *more)
    assert ran.code == 0, ran.said
    found: dict[str, Any] = json.loads(plan_file(yard).read_text())
    return found


def apply(yard: Yard, *more: str) -> Ran:
    return yard.run("apply", str(plan_file(yard)), *more)


def rewrite(yard: Yard, **changed: Any) -> None:
    """Change the file and make its checksum fit again."""
    data = {**json.loads(plan_file(yard).read_text()), **changed}
    plan_file(yard).write_text(json.dumps({**data, "checksum": checksum(data)}))


def check_stale(yard: Yard, *says: str) -> Ran:
    """Exit code 8 that says what moved; nothing was done, nor was a lock waited for; and `show` does not mind."""
    before = yard.footprint()
    accounts = [yard.operator.address, *(a.address for a in yard.accounts.values())]
    with ExitStack() as held:
        # A lock of the kernel's is the process's, so another process must ask for it.
        held.enter_context(locked(yard.home / "state/fleetctl/locks", yard.world.info.chain_id, accounts, "a test"))
        ran = yard.finish(yard.spawn("apply", str(plan_file(yard))))
    assert ran.code == 8, ran.said
    for text in says:
        assert text in ran.err, ran.said
    assert "→ make a new plan with `fleetctl plan --out FILE`" in ran.err
    assert "Traceback" not in ran.said
    assert yard.footprint() == before
    assert yard.run("show", str(plan_file(yard))).code == 0
    return ran


def test_saved_applied_finished(new_yard: MakeYard) -> None:
    yard = new_yard(2)
    plain = yard.run("plan")
    before = yard.footprint()
    saved = save(yard)
    assert yard.footprint() == before
    assert stat.S_IMODE(plan_file(yard).stat().st_mode) == 0o644
    assert sorted(p.name for p in yard.root.iterdir()) == ["fleet.yaml", "keys", "plan.json"]
    assert saved["formatVersion"] == "1.1"
    assert set(saved["contracts"]) == {"identityRegistry", "identityStaking", "machineNft", "did", "batch", "multicall"}
    shown = yard.run("show", str(plan_file(yard)))
    assert plain.out.strip() in shown.out
    # Without a terminal, and without --yes: it was approved when it was handed on.
    ran = yard.finish(yard.spawn("apply", str(plan_file(yard))))
    assert ran.code == 0, ran.said
    yard.check_converged()
    before = yard.footprint()
    again = apply(yard)
    assert again.code == 0, again.said
    count = sum(change["action"] != "no-op" for change in saved["changes"])
    assert f"the saved plan is finished: all its {count} changes are done" in again.out
    assert "Nothing to do: 0 transactions, 0 writes." in again.out
    assert yard.footprint() == before
    as_json = apply(yard, "--output", "json").data
    assert as_json["exitCode"] == 0
    assert as_json["result"]["transactions"] == 0
    assert yard.run("show", str(plan_file(yard))).out == shown.out


def test_a_world_that_somebody_moved(new_yard: MakeYard) -> None:
    yard = new_yard(2)
    assert yard.run("apply", "--yes").code == 0
    yard.machine("air-001")["metadata"] = {"dataApi": "https://data.example.com"}
    save(yard)
    (record,) = yard.records()["air-002"]
    assert yard.world.markets("PATCH", f"/machines/{record['id']}", {"displayName": "theirs"}).status_code == 200
    check_stale(yard, "1 resource moved:", "machine_record/air-002: displayName is theirs now; it was air-002")
    as_json = apply(yard, "--output", "json")
    assert as_json.code == 8
    assert as_json.data["error"]["code"] == "plan.stale"
    assert as_json.data["error"]["where"] == str(plan_file(yard))
    assert yard.world.markets("PATCH", f"/machines/{record['id']}", {"displayName": "air-002"}).status_code == 200
    ran = apply(yard)
    assert ran.code == 0, ran.said
    assert yard.world.attribute(yard.accounts["air-001"].address, "data_api") == "https://data.example.com"


def test_an_edited_manifest(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    (yard.root / "more.yaml").write_text("machines: []\n")
    yard.manifest["include"] = ["more.yaml"]
    save(yard)
    (yard.root / "more.yaml").write_text("machines: []  # edited\n")
    check_stale(yard, "the manifest changed since it was made (fleet.yaml, more.yaml)")


def test_another_contract_at_the_same_address(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    save(yard)
    code = yard.world.rpc("eth_getCode", AT.machine_nft, "latest")
    node(yard.world, "anvil_setCode", AT.machine_nft, code + "00")
    try:
        check_stale(yard, "contract machineNft at", "its code is 0x")
    finally:
        node(yard.world, "anvil_setCode", AT.machine_nft, code)
    assert apply(yard).code == 0


def test_another_implementation_behind_a_proxy(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    save(yard)
    slot = "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc"
    before = yard.world.rpc("eth_getStorageAt", AT.machine_nft, slot, "latest")
    node(yard.world, "anvil_setStorageAt", AT.machine_nft, slot, "0x" + "00" * 12 + "ab" * 20)
    try:
        check_stale(yard, "its implementation (ERC-1967) is 0x", "it was None")
    finally:
        node(yard.world, "anvil_setStorageAt", AT.machine_nft, slot, before)


def node(world: World, method: str, *params: Any) -> None:
    """What the node does for nobody but those who stand beside it."""
    words = Path(f"/proc/{world.info.node_pid}/cmdline").read_text().split("\0")
    url = f"http://127.0.0.1:{words[words.index('--port') + 1]}"
    answer = world.http.post(url, json={"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}).json()
    assert "error" not in answer, answer


def test_another_block_operator_and_chain(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    network = save(yard)["network"]
    rewrite(yard, network={**network, "blockHash": "0x" + "ab" * 32})
    check_stale(yard, f"block {network['block']} is another one now")
    rewrite(yard, network={**network, "block": "99999999"})
    check_stale(yard, "before block 99999999 of the plan")
    rewrite(yard, network={**network, "chainId": "3338"})
    check_stale(yard, "it is for chain 3338")
    rewrite(yard, network=network, operators={"default": Account.create().address})
    check_stale(yard, f"operator default is {yard.operator.address} now")
    rewrite(yard, operators={"default": yard.operator.address})
    assert apply(yard).code == 0


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_stopped_in_the_middle_and_finished(new_yard: MakeYard, slow_world: World, sign: signal.Signals) -> None:
    yard = new_yard(2, world=slow_world)
    save(yard)
    stopped = 0
    for seconds in (1.2, 1.6, 2.0, 2.6):
        process = yard.spawn("apply", str(plan_file(yard)))
        time.sleep(seconds)
        process.send_signal(sign)
        ran = yard.finish(process)
        assert ran.code in (-sign, 130, 0), ran.said
        stopped += ran.code != 0
    assert stopped >= 2
    ran = apply(yard)
    assert ran.code == 0, ran.said
    yard.check_converged()
    before = {**yard.footprint(), "block": "its clock ticks"}
    third = apply(yard)
    assert third.code == 0
    assert "the saved plan is finished" in third.out
    assert {**yard.footprint(), "block": "its clock ticks"} == before


def test_more_authority_still_wants_consent(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    assert yard.run("apply", "--yes").code == 0
    yard.manifest["delegationPolicies"]["small"]["dailySpendLimit"] = 60
    save(yard)
    refused = yard.finish(yard.spawn("apply", str(plan_file(yard))))
    assert refused.code == 4, refused.said
    assert "--allow-widening" in refused.err
    assert apply(yard, "--allow-widening").code == 0
    assert yard.search(yard.token("air-001")) == 201


def test_the_spending_guard_still_holds(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    yard.manifest["guards"] = {"maxSpend": "0.5 PEAQ"}
    assert "guard.max_spend" in {refusal["code"] for refusal in save(yard)["refusals"]}
    assert "Refused: the plan may cost" in yard.run("show", str(plan_file(yard))).out
    assert apply(yard).code == 4


def test_a_signature(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    yard.manifest["guards"] = {"signedPlans": "required"}
    plain = yard.run("apply", "--yes")
    assert plain.code == 4, plain.said
    assert "→ make one with `fleetctl plan --out plan.json --sign`" in plain.err
    save(yard)
    assert apply(yard).code == 4
    saved = save(yard, "--sign")
    signature, digest = saved["signature"], saved["checksum"]
    text = f"fleetctl saved plan\nfleet: {yard.name}\nchain: {yard.world.info.chain_id}\nsha256: {digest}"
    assert Account.recover_message(encode_defunct(text=text), signature=signature["signature"]) == yard.operator.address
    assert f"signed by operator default ({yard.operator.address})" in yard.run("show", str(plan_file(yard))).out
    # Whoever changes the file and makes the checksum fit cannot make the signature fit.
    rewrite(yard, notices=["all is well"])
    bad = apply(yard)
    assert bad.code == 4, bad.said
    assert f"the signature is not that of operator default ({yard.operator.address})" in bad.err
    assert "NOT signed by" in yard.run("show", str(plan_file(yard))).out
    other = Account.create()
    forged = other.sign_message(encode_defunct(text=text)).signature.hex()
    plan_file(yard).write_text(json.dumps({**saved, "signature": {**signature, "signature": "0x" + forged[-130:]}}))
    assert apply(yard).code == 4
    plan_file(yard).write_text(json.dumps(saved))
    ran = apply(yard)
    assert ran.code == 0, ran.said
    yard.check_converged()


def test_a_bad_signature_is_refused_where_none_is_required(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    saved = save(yard, "--sign")
    plan_file(yard).write_text(json.dumps({**saved, "signature": {**saved["signature"], "operator": "nobody"}}))
    refused = apply(yard)
    assert refused.code == 4
    assert "operator nobody (not in the manifest)" in refused.err


def test_signing_wants_the_key_and_a_file(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    assert yard.run("plan", "--sign").code == 64
    yard.manifest["operator"] = {"address": yard.operator.address, "key": {"env": "NOT_SET"}}
    ran = yard.run("plan", "--out", str(plan_file(yard)), "--sign")
    assert ran.code == 3, ran.said
    assert "operator/default cannot sign" in ran.err
    assert not plan_file(yard).exists()


def test_a_file_that_cannot_be_written_or_is_none(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    ran = yard.run("plan", "--out", str(yard.root / "no/such/place.json"))
    assert ran.code == 3, ran.said
    assert "cannot write" in ran.err
    assert "→ check --out" in ran.err
    plan_file(yard).write_text("{")
    for given in (["apply"], ["show"]):
        ran = yard.run(*given, str(plan_file(yard)))
        assert ran.code == 3, ran.said
        assert f"Error: {plan_file(yard)}: it is no JSON" in ran.err


def test_a_commit_is_told_and_decides_nothing(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    yard.save()
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(yard.root), *identity, *arguments]
        environ = {"PATH": os.environ["PATH"], "HOME": str(yard.home)}
        return subprocess.run(command, check=True, capture_output=True, text=True, env=environ).stdout.strip()

    git("init", "-q")
    git("add", "fleet.yaml")
    git("commit", "-qm", "one")
    saved = save(yard)
    first = git("rev-parse", "HEAD")
    assert saved["git"] == {"commit": first, "dirty": False}
    assert f"from commit {first[:12]}" in yard.run("show", str(plan_file(yard))).out
    git("commit", "-q", "--amend", "-m", "squashed")
    ran = apply(yard)
    assert ran.code == 0, ran.said
    assert f"Note: planned at commit {first[:12]}, applied at {git('rev-parse', 'HEAD')[:12]}" in ran.err


def test_show_needs_nothing_but_the_file(new_yard: MakeYard, tmp_path: Path) -> None:
    yard = new_yard(1)
    save(yard)
    shown = yard.run("show", str(plan_file(yard)))
    yard.environ = {"HOME": str(yard.home)}
    yard.file.unlink()
    assert yard.run_as_is("show", str(plan_file(yard))).out == shown.out
    as_json = yard.run_as_is("show", str(plan_file(yard)), "--output", "json")
    assert as_json.data == json.loads(plan_file(yard).read_text())
