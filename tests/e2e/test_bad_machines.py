"""One bad machine never stops the others, and no money goes where nothing can come of it."""

from collections.abc import Callable

from e2e_harness import AT, PEAQ, Yard
from eth_account import Account

from reconciler.sandbox.chain import calldata

MakeYard = Callable[..., Yard]


def test_a_machine_of_another_operator_is_left_alone(new_yard: MakeYard) -> None:
    yard = new_yard(3)
    stranger = Account.create()
    yard.world.fund(stranger.address, 10)
    foreign = yard.accounts["air-002"].address
    yard.world.send(stranger, AT.identity_registry, calldata("registerFor(address)", foreign), PEAQ)
    yard.since = yard.world.head()

    ran = yard.run("apply", "--yes")
    assert ran.code == 5, ran.said
    assert yard.world.balance(foreign) == 0
    assert yard.world.nonce(foreign) == 0
    assert not yard.records()["air-002"]
    yard.check_converged("air-001", "air-003")
    said = [line for line in ran.out.splitlines() if line.startswith("machine_identity/air-002: blocked: ")]
    assert len(said) == 1
    assert stranger.address.lower() in " ".join(ran.out.lower().split())
    assert "6 more wait for these" in ran.out

    before = yard.footprint()
    assert yard.run("apply", "--yes").code == 5
    assert yard.footprint() == before
    assert yard.run("plan", "--detailed-exitcode").code == 2


def test_a_machine_without_its_key_is_parked(new_yard: MakeYard) -> None:
    yard = new_yard(2)
    away = yard.root / "keys/air-002.key"
    kept = away.rename(away.with_suffix(".away"))
    ran = yard.run("apply", "--yes")
    assert ran.code == 0, ran.said
    yard.check_converged("air-001")
    account = yard.accounts["air-002"].address.lower()
    calls = yard.effects()
    assert calls["registerFor", account] == calls["mint", account] == 1
    assert yard.world.nonce(account) == 0
    assert not yard.records()["air-002"]
    assert "machine_did/air-002: parked: the key of machine/air-002 is not at hand" in ran.out
    assert ", 4 parked;" in ran.out.splitlines()[-1]
    before = yard.footprint()
    assert yard.run("apply", "--yes").code == 0
    assert yard.footprint() == before

    kept.rename(away)
    assert yard.run("apply", "--yes").code == 0
    yard.check_converged()
    yard.check_quiet()


def test_a_squatted_attribute_blocks_its_machine_only(new_yard: MakeYard) -> None:
    yard = new_yard(3)
    squatter = Account.create()
    yard.world.fund(squatter.address, 10)
    account = yard.accounts["air-002"].address
    yard.world.control("setDidMode", mode="open")
    squat = calldata("addAttribute(address,bytes,bytes,uint32)", account, b"operator", b"did:peaq:evil", 0)
    yard.world.send(squatter, AT.did, squat)
    yard.world.control("setDidMode", mode="strict")
    yard.since = yard.world.head()

    ran = yard.run("apply", "--yes")
    assert ran.code == 5, ran.said
    yard.check_converged("air-001", "air-003")
    assert yard.world.attribute(account, "operator") == "did:peaq:evil"
    assert yard.world.nonce(account) == 0
    assert not yard.records()["air-002"]
    told = " ".join(ran.out.split())
    assert "machine_did/air-002: blocked: AttributeAuthorizationFailed: the attribute was put there by another" in told
    before = yard.footprint()
    assert yard.run("apply", "--yes").code == 5
    assert yard.footprint() == before


def test_all_of_it_at_once_and_what_is_left_is_listed(new_yard: MakeYard) -> None:
    yard = new_yard(4)
    stranger = Account.create()
    yard.world.fund(stranger.address, 10)
    foreign = yard.accounts["air-001"].address
    yard.world.send(stranger, AT.identity_registry, calldata("registerFor(address)", foreign), PEAQ)
    (yard.root / "keys/air-002.key").unlink()
    yard.since = yard.world.head()
    ran = yard.run("apply", "--yes", "--output", "json")
    assert ran.code == ran.data["exitCode"] == 5
    yard.check_converged("air-003", "air-004")
    left = {c["address"]: c["action"] for c in ran.data["changes"] if c["action"] in ("blocked", "parked")}
    assert left["machine_identity/air-001"] == "blocked"
    assert left["machine_did/air-002"] == "parked"
    assert {address.split("/")[1] for address in left} == {"air-001", "air-002"}
    assert {o["outcome"] for o in ran.data["result"]["outcomes"]} == {"done"}
