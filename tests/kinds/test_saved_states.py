"""A saved plan in worlds that went on: what our own interrupted apply leaves is finished, what others did is stale."""

from copy import deepcopy
from typing import Any

import pytest
from kinds_harness import ACCOUNTS, LAYERS, Played, play
from saved_harness import later, left_to_do, saved_of, stale

from reconciler.core.change import Action
from reconciler.core.effects import Signer
from reconciler.core.plan import build_plan
from reconciler.core.staleness import Verdict, approved, compare_plans
from reconciler.core.value import replace

ALL = ["operator", "identity", "nft", "funded", "did", "published", "record", "pairing"]
FUNDING = "v1: {funding: {from: operator, below: 0.05 PEAQ, to: 0.2 PEAQ}}\n"
POLICY = "delegationPolicies: {small: {allowedSkillKeys: [weather], perTransactionLimit: %s, currency: USD}}\n"


def fleet(limit: int = 5, *, market: str = "", pairing: str = "", more: str = "", head: str = "") -> str:
    return (
        f"{head}{POLICY % limit}"
        f'machines: [{{name: m1, address: "@m1", market: {{machineType: sensor, runtimeProfile: linux{market}}}, '
        f"pairings: [{{agent: ops, role: ops, delegationPolicy: small{pairing}}}]{more}}}]"
    )


def world(given: list[str], text: str, changed: dict[str, Any] | None = None, **more: Any) -> Played:
    return play({"fleet": text, "given": given, "world": changed or {}, **more})


def record(**changed: Any) -> dict[str, Any]:
    (found,) = deepcopy(LAYERS["record"]["lists"]["machines"])
    return {"lists": {"machines": [{**found, **changed}]}}


def pairing(**changed: Any) -> dict[str, Any]:
    (found,) = deepcopy(LAYERS["pairing"]["lists"]["machines/mach_1/agent-pairings"])
    return {"lists": {"machines/mach_1/agent-pairings": [{**found, **changed}]}}


UNTOKENED = {"stored": {"m1/ops": {"readable": True}}}
NEW = world([], fleet())
BELOW = ["operator", "identity", "nft", "funded", "did", "published"]


@pytest.mark.parametrize("count", range(len(ALL) + 1))
def test_a_creation_can_be_finished_from_wherever_it_stopped(count: int) -> None:
    now = world(ALL[:count], fleet())
    found = later(NEW, now)
    assert set(found.values()) <= {"do", "done"}, found
    acting = {str(change.address) for change in now.plan.acting}
    assert set(left_to_do(NEW, now)) == acting
    assert {address for address, how in found.items() if how == "do"} == acting


def test_a_finished_plan_says_so_and_does_nothing() -> None:
    now = world(ALL, fleet())
    plan = approved(saved_of(NEW.plan), now.plan, now.scene)
    assert not plan.acting
    count = len(NEW.plan.acting)
    assert plan.notices[-1] == f"the saved plan is finished: all its {count} changes are done"


def test_an_untouched_world_leaves_all_to_do() -> None:
    again = world([], fleet())
    plan = approved(saved_of(NEW.plan), again.plan, again.scene)
    assert plan.digest == NEW.plan.digest
    assert plan.notices == again.plan.notices


BETWEEN = [
    ("a record left as draft", fleet(), BELOW, record(status="draft"), "machine_record/m1"),
    (
        "a pairing that was to be paused",
        fleet(pairing=", paused: true"),
        [*BELOW, "record"],
        pairing(delegationPolicy=LAYERS["pairing"]["lists"]["machines/mach_1/agent-pairings"][0]["delegationPolicy"]),
        "agent_pairing/m1/ops",
    ),
    ("a token that was lost before it was stored", fleet(), [*BELOW, "record", "pairing"], UNTOKENED, "session_token"),
    (
        "attributes written one by one",
        fleet(),
        ["operator", "identity", "nft", "funded"],
        {"attributes": {ACCOUNTS["m1"]: {"machineId": "42"}}},
        "machine_did/m1",
    ),
]


@pytest.mark.parametrize(("name", "text", "given", "changed", "address"), BETWEEN, ids=[b[0] for b in BETWEEN])
def test_what_an_interrupted_creation_leaves(
    name: str, text: str, given: list[str], changed: dict[str, Any], address: str
) -> None:
    found = left_to_do(world([], text), world(given, text, changed))
    assert any(done.startswith(address) and action == "update" for done, action in found.items()), found


def test_a_policy_that_was_sent_before_its_token_was_rotated() -> None:
    before = world(ALL, fleet(9))
    assert {str(c.address.kind): c.action for c in before.plan.acting} == {
        "agent_pairing": Action.UPDATE,
        "session_token": Action.UPDATE,
    }
    policy = {"allowedSkillKeys": ["weather"], "perTransactionLimit": 9, "currency": "USD"}
    now = world(ALL, fleet(9), pairing(delegationPolicy=policy, updatedAt="2026-01-01T10:04:00Z"))
    assert later(before, now) == {"agent_pairing/m1/ops": "done", "session_token/m1/ops": "do"}


def test_half_of_an_edit() -> None:
    before = world(ALL, fleet(market=", displayName: Press, labels: {a: b}"))
    now = world(ALL, fleet(market=", displayName: Press, labels: {a: b}"), record(displayName="Press"))
    assert left_to_do(before, now) == {"machine_record/m1": "update"}


MOVED = [
    ("another edit of what is to be edited", record(displayName="theirs"), "machine_record/m1: displayName is theirs"),
    ("an edit beside it", record(machineType="robot"), "machine_record/m1: machineType is robot now"),
    ("out of service", record(status="archived"), "machine_record/m1: record mach_1 is archived"),
    ("gone", {"lists": {"machines": []}}, "machine_record/m1: "),
    ("another policy", pairing(delegationPolicy={"perTransactionLimit": 6}), "agent_pairing/m1/ops: "),
    ("paused", pairing(status="paused"), "agent_pairing/m1/ops: status is paused now; it was active"),
    ("another session", pairing(sessionIssuedAt="2026-01-01T10:03:00Z"), "session_token/m1/ops: "),
]


@pytest.mark.parametrize(("name", "changed", "says"), MOVED, ids=[m[0] for m in MOVED])
def test_what_others_did_is_stale(name: str, changed: dict[str, Any], says: str) -> None:
    text = fleet(market=", displayName: Press")
    before = world(ALL, text)
    assert left_to_do(before, world(ALL, text)) == {"machine_record/m1": "update"}
    message = stale(before, world(ALL, text, changed))
    assert message.startswith("the plan is stale, ")
    assert says in message, message


def test_what_others_made_in_our_place_is_stale() -> None:
    theirs = {"lists": {"machines": [{**record()["lists"]["machines"][0], "displayName": "theirs"}]}}
    message = stale(NEW, world(BELOW, fleet(), theirs))
    assert "machine_record/m1: displayName is theirs now; it was (none) when the plan was made" in message
    message = stale(NEW, world(["operator", "foreign operator"], fleet()))
    assert "machine_identity/m1: registered by another operator" in message
    assert "machine_nft" not in message


def test_a_replacement_stopped_in_the_middle() -> None:
    text = fleet().replace("agent: ops", "agent: known")
    old = pairing(agentAddress=ACCOUNTS["agent2"], agentDid="did:pkh:eip155:3338:other")
    told = deepcopy(LAYERS["pairing"]["receipts"]["m1/ops"])
    stored = {"readable": True, "digest": "d1", "last_four": "abcd"}
    here = {**old, "receipts": {"m1/known": told}, "stored": {"m1/known": stored}}
    before = world([*BELOW, "record"], text, here)
    assert before.change("agent_pairing/m1/known").action is Action.REPLACE
    gone = world([*BELOW, "record"], text, {"receipts": {"m1/known": told}, "stored": {"m1/known": stored}})
    found = left_to_do(before, gone)
    assert found == {"agent_pairing/m1/known": "create", "session_token/m1/known": "create"}


def test_time_alone_makes_nothing_stale_and_is_not_acted_on() -> None:
    text = fleet(market=", displayName: Press", head="tokens: {mode: keepFresh, rotateBefore: 10m}\n")
    before = world(ALL, text, {"now": 1767261900})
    assert "session_token/m1/ops" not in {str(c.address) for c in before.plan.acting}
    now = world(ALL, text, {"now": 1767265000})
    assert now.change("session_token/m1/ops").action is Action.UPDATE
    assert left_to_do(before, now) == {"machine_record/m1": "update"}


# --- wallets ----------------------------------------------------------------------------------------------------------

GWEI = 10**9


def poor(amount: str) -> dict[str, Any]:
    return {"balances": {ACCOUNTS["m1"]: amount}}


def test_the_price_of_gas_makes_nothing_stale() -> None:
    text = fleet(head=FUNDING)
    given = ["operator", "identity", "nft"]
    before = world(given, text, poor("0.01 PEAQ"), gasPrice=GWEI)
    for price in (GWEI // 2, GWEI * 50):
        now = world(given, text, poor("0.01 PEAQ"), gasPrice=price)
        assert set(later(before, now).values()) == {"do"}
    # What is enough at one price is too little at another: that is no reason to send more than was approved.
    rich = world(given, text, poor("0.07 PEAQ"), gasPrice=GWEI)
    assert rich.change("wallet_funding/m1").action is Action.NO_OP
    now = world(given, text, poor("0.07 PEAQ"), gasPrice=GWEI * 100)
    assert now.change("wallet_funding/m1").action is Action.UPDATE
    assert "wallet_funding/m1" not in left_to_do(rich, now)


def test_a_wallet_may_need_less_than_was_approved_and_not_more() -> None:
    text = fleet(head=FUNDING)
    given = ["operator", "identity", "nft"]
    before = world(given, text, poor("0.01 PEAQ"))
    assert later(before, world(given, text, poor("0.03 PEAQ")))["wallet_funding/m1"] == "do"
    assert later(before, world(given, text, poor("1 PEAQ")))["wallet_funding/m1"] == "done"
    # With the DID written there is less to pay for.
    less = world([*given, "did"], text, poor("0.012 PEAQ"))
    assert later(before, less)["wallet_funding/m1"] == "do"
    assert "wallet_funding/m1: it would take" in stale(before, world(given, text, poor("0.001 PEAQ")))
    full = world(ALL, text)
    assert "wallet_funding/m1: balance is 0.01 PEAQ now" in stale(full, world(ALL, text, poor("0.01 PEAQ")))


def test_a_higher_bond_was_not_approved() -> None:
    dearer = {"views": {"identityRegistry.minBond()": 2 * 10**18}}
    message = stale(NEW, world([], fleet(), dearer))
    assert "machine_identity/m1: it would take 2 PEAQ now; the plan says 1 PEAQ" in message


def test_what_would_become_of_it_is_compared_too() -> None:
    """Such as by another version of fleetctl, which makes something else of the same manifest."""
    text = fleet(market=", displayName: Press")
    other = world(ALL, fleet(market=", displayName: Pressed"))
    message = stale(other, world(ALL, text))
    assert "machine_record/m1: displayName would become Press now; the plan says Pressed" in message


# --- what is left alone -----------------------------------------------------------------------------------------------


def test_what_was_parked_stays_so_and_what_is_parked_now_is_no_move() -> None:
    text, key = fleet(), ["machine/m1", "operator/default"]
    given = ["operator", "identity", "nft", "funded"]
    parked = world(given, text, missingKeys=key)
    assert parked.change("machine_did/m1").action is Action.PARKED
    now = world(given, text)
    assert not {"machine_did/m1", "machine_record/m1"} & set(left_to_do(parked, now))
    plan = approved(saved_of(parked.plan), now.plan, now.scene)
    left = next(c for c in plan.changes if str(c.address) == "machine_did/m1")
    assert (left.action, left.reason) == (Action.PARKED, "left out by the saved plan; plan again to do it")
    assert later(now, parked)["machine_did/m1"] == "left"


def test_a_signature_from_elsewhere_approves_what_was_parked() -> None:
    text, given = fleet(), ["operator", "identity", "nft", "funded"]
    parked = world(given, text, missingKeys=["machine/m1", "operator/default"])
    scene = replace(parked.scene, ahead=(Signer("machine", "m1"),))
    plan = approved(saved_of(parked.plan), build_plan(scene), scene)
    assert "machine_did/m1" in {str(change.address) for change in plan.acting}


def test_what_cannot_be_read_is_left_and_nothing_is_said_to_have_moved() -> None:
    text = fleet(market=", displayName: Press")
    before = world(ALL, text)
    dark = world(ALL, text, {"lists": {"machines": "unreachable"}})
    if not dark.change("machine_record/m1").unreadable:
        pytest.fail("the case reads it")
    found = later(before, dark)
    assert set(found.values()) == {"left"}, found
    assert left_to_do(before, dark) == {}


# --- strays -----------------------------------------------------------------------------------------------------------

PRUNED = "prune: [pairings]\n"


def strays(*ids: str) -> dict[str, Any]:
    ours = pairing()["lists"]["machines/mach_1/agent-pairings"]
    other = {"agentAddress": ACCOUNTS["other"], "status": "active", "updatedAt": ""}
    return {"lists": {"machines/mach_1/agent-pairings": [*ours, *({**other, "id": name} for name in ids)]}}


def test_a_stray_that_was_to_go_and_one_that_came() -> None:
    text = fleet(head=PRUNED)
    before = world(ALL, text, strays("p1", "p2"))
    one = "agent_pairing/m1/id:p1"
    assert left_to_do(before, world(ALL, text, strays("p1"))) == {one: "delete"}
    assert later(before, world(ALL, text, strays()))[one] == Verdict.DONE
    assert "agent_pairing/m1/id:p3: it is not in the plan" in stale(before, world(ALL, text, strays("p1", "p3")))


def test_a_stray_that_could_not_be_looked_for_is_not_said_to_be_gone() -> None:
    text = fleet(head=PRUNED)
    saved = saved_of(world(ALL, text, strays("p1")).plan)
    blind = replace(world(ALL, text, strays()).scene, unseen=("the pairings of m1",))
    assert Verdict.LEFT in compare_plans(saved, blind).verdicts.values()
