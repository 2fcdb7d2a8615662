"""A fleet of protocol v2 from nothing to running, whoever owns it, and every change after that."""

from collections.abc import Callable

from e2e_harness import PEAQ, Yard
from eth_account import Account
from v2_fleet import REGISTRY, chained, did, live_by_v2, since, with_keys

from reconciler.sandbox.chain import calldata

MakeYard = Callable[..., Yard]


def method(name: str) -> dict[str, str]:
    return {"id": name, "type": "Ed25519VerificationKey2020", "publicKeyMultibase": f"z6Mk{name[1:]}"}


def test_machines_that_the_operator_owns(new_yard: MakeYard) -> None:
    yard = new_yard(0)
    live_by_v2(yard, "a", "b", "c")
    before = yard.footprint()
    plan = yard.run("plan", "--detailed-exitcode")
    assert plan.code == 2, plan.said
    assert plan.out.splitlines()[-1].startswith("Plan: 3 to add, 1 to change, 0 to remove; 3 irreversible"), plan.out
    assert "1.5 bond" in plan.out
    assert yard.footprint() == before
    balance = yard.world.balance(yard.operator.address)
    did(yard)
    assert since(yard, yard.since) == {"approve": 1, "activateMachine": 3}
    assert yard.world.nonce(yard.operator.address) == 2
    assert balance - yard.world.balance(yard.operator.address) >= 3 * PEAQ // 2
    for name in ("a", "b", "c"):
        machine = chained(yard, name)
        assert machine.owner == machine.controller == yard.operator.address.lower()
        assert machine.endpoints == {"#documentation": f"https://docs.example.com/{name}"}


def test_machines_that_own_themselves(new_yard: MakeYard) -> None:
    yard = new_yard(0)
    live_by_v2(yard, "a", "b", custody="machine")
    with_keys(yard)
    for account in yard.accounts.values():
        yard.world.fund(account.address, 1)
    did(yard)
    assert since(yard, yard.since) == {"approve": 2, "activateMachine": 2}
    assert yard.world.nonce(yard.operator.address) == 0
    for name, account in yard.accounts.items():
        machine = chained(yard, name)
        assert (machine.owner, machine.controller) == (account.address.lower(), yard.operator.address.lower())
        assert yard.world.nonce(account.address) == 1, "what a machine allows and what that is for go together"


def test_a_machine_that_is_to_own_itself_waits_for_its_key_and_its_coins(new_yard: MakeYard) -> None:
    yard = new_yard(0)
    live_by_v2(yard, "a", "b", custody="machine")
    with_keys(yard)
    (yard.root / "keys" / "b.key").unlink()
    poor = yard.run("apply", "--yes")
    assert poor.code == 4, poor.said
    assert f"machine/a ({yard.accounts['a'].address}) holds 0 PEAQ" in poor.said, poor.said
    yard.world.fund(yard.accounts["a"].address, 1)
    applied = yard.run("apply", "--yes")
    assert applied.code == 0, applied.said
    assert "the key of machine/b is not at hand" in applied.out
    assert since(yard, yard.since) == {"approve": 1, "activateMachine": 1}


def test_bonds_count_as_spent(new_yard: MakeYard) -> None:
    yard = new_yard(0)
    live_by_v2(yard, "a", "b", "c")
    yard.manifest["guards"] = {"maxSpend": "1.4 PEAQ"}
    before = yard.footprint()
    refused = yard.run("apply", "--yes")
    assert refused.code == 4, refused.said
    assert "guards.maxSpend allows 1.4 PEAQ" in refused.said
    assert yard.footprint() == before


def test_machines_that_are_handed_over(new_yard: MakeYard) -> None:
    yard, customer = new_yard(0), Account.create()
    live_by_v2(yard, "a", "b", custody="handover", owner=customer.address, paused=True)
    did(yard)
    assert since(yard, yard.since) == {"approve": 1, "activateMachine": 2, "suspend": 2, "handOver": 2}
    for name in ("a", "b"):
        machine = chained(yard, name)
        assert (machine.owner, machine.controller) == (customer.address.lower(), yard.operator.address.lower())
        assert machine.paused
    head = yard.world.head()
    yard.manifest["defaults"]["v2"]["paused"] = False
    did(yard)
    assert since(yard, head) == {"resume": 2}


def test_an_edited_service_is_one_call(new_yard: MakeYard) -> None:
    yard = new_yard(0)
    live_by_v2(yard, "a", "b")
    did(yard)
    head = yard.world.head()
    yard.machine("a")["v2"]["serviceEndpoints"] = [{"id": "#api", "type": "Api", "url": "https://api.example.com"}]
    did(yard)
    assert since(yard, head) == {"setServiceEndpoints": 1}
    assert list(chained(yard, "a").endpoints) == ["#documentation", "#api"]


def test_methods_grow_and_shrink(new_yard: MakeYard) -> None:
    yard = new_yard(0)
    live_by_v2(yard, "a", verificationMethods=[method("#one")], authentication=["#one"])
    did(yard)
    block, machine = yard.manifest["defaults"]["v2"], chained(yard, "a")
    for names, chosen in ((("#one", "#two", "#three"), ("#three",)), (("#two",), ("#two",)), ((), ())):
        head = yard.world.head()
        block |= {"verificationMethods": [method(name) for name in names], "authentication": list(chosen)}
        did(yard)
        assert since(yard, head) == {"setVerificationMethods": 1, "setAuthentication": 1}
        assert machine.methods == list(names)
        assert machine.authentication == [names.index(name) for name in chosen]


def test_without_batch_they_are_written_in_the_right_order_too(new_yard: MakeYard) -> None:
    yard = new_yard(0)
    live_by_v2(yard, "a", verificationMethods=[method("#one"), method("#two")], authentication=["#two"])
    assert yard.run("apply", "--yes", "--no-batch").code == 0
    block, machine = yard.manifest["defaults"]["v2"], chained(yard, "a")
    for names in (("#two",), ("#one", "#two")):
        block |= {"verificationMethods": [method(name) for name in names], "authentication": ["#two"]}
        applied = yard.run("apply", "--yes", "--no-batch")
        assert applied.code == 0, applied.said
        assert (machine.methods, machine.authentication) == (list(names), [len(names) - 1])
    assert yard.run("plan", "--detailed-exitcode").code == 0


def test_a_controller_that_somebody_changed_is_put_back(new_yard: MakeYard) -> None:
    yard, other = new_yard(0), Account.create()
    live_by_v2(yard, "a")
    did(yard)
    machine = chained(yard, "a")
    yard.world.send(yard.operator, REGISTRY, calldata("setController(uint256,address)", machine.id, other.address))
    plan = yard.run("plan")
    assert f"controller: {other.address.lower()}" in plan.out, plan.out
    did(yard)
    assert machine.controller == yard.operator.address.lower()


def test_machines_are_suspended_and_retired(new_yard: MakeYard) -> None:
    yard = new_yard(0)
    live_by_v2(yard, "a", "b")
    did(yard)
    head = yard.world.head()
    yard.machine("a")["v2"]["paused"] = True
    yard.machine("b")["state"] = "retired"
    did(yard)
    assert since(yard, head) == {"suspend": 2}
    assert chained(yard, "a").paused
    assert chained(yard, "b").paused
    head = yard.world.head()
    del yard.machine("b")["state"]
    did(yard)
    assert since(yard, head) == {"resume": 1}
