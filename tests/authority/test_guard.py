"""A policy that is widened wants a yes of its own, from whoever applies."""

import io
import sys
from collections.abc import Callable

import pytest
from e2e_harness import Ran, Yard

MakeYard = Callable[..., Yard]
REFUSED = 4
PAIRING = "agent_pairing/air-001/ops"


def limit(yard: Yard, daily: int) -> None:
    yard.manifest["delegationPolicies"]["small"]["dailySpendLimit"] = daily


def granted(yard: Yard) -> float:
    (record,) = yard.records()["air-001"]
    (pairing,) = yard.world.items(f"/machines/{record['id']}/agent-pairings")
    found: float = pairing["delegationPolicy"]["dailySpendLimit"]
    return found


def refused(yard: Yard, *options: str) -> Ran:
    """One apply that is refused and does nothing."""
    before = yard.footprint()
    ran = yard.run("apply", "--yes", *options)
    assert ran.code == REFUSED, ran.said
    assert yard.footprint() == before
    return ran


def test_a_widening_is_shown_refused_and_done_once_it_is_allowed(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    assert yard.run("apply", "--yes").code == 0  # pairing an agent is no widening
    limit(yard, 40)
    plan = yard.run("plan")
    assert "▲" in plan.out
    assert "1 policy widening" in plan.out.splitlines()[-1]

    data = yard.run("plan", "--output", "json").data
    widening = {change["address"]: change["widens"] for change in data["changes"]}
    assert {address for address, widens in widening.items() if widens} == {PAIRING}
    (change,) = (change for change in data["changes"] if change["address"] == PAIRING)
    assert [(field["field"], field["widens"]) for field in change["fields"]] == [
        ("delegationPolicy.dailySpendLimit", True)
    ]
    assert data["refusals"] == []

    assert "--allow-widening" in refused(yard).err
    assert refused(yard, "--output", "json").data["error"]["code"] == "plan.unsafe"

    yard.manifest["guards"] = {"policyWidening": "deny"}
    assert "guards.policyWidening is deny" in refused(yard, "--allow-widening").err
    (refusal,) = yard.run("plan", "--output", "json").data["refusals"]
    assert refusal["code"] == "guard.policy_widening"

    del yard.manifest["guards"]
    assert granted(yard) == 30
    old = yard.token("air-001")
    ran = yard.run("apply", "--yes", "--allow-widening")
    assert ran.code == 0, ran.said
    assert granted(yard) == 40
    assert (yard.search(old), yard.search(yard.token("air-001"))) == (401, 201)

    yard.manifest["guards"] = {"policyWidening": "deny"}
    limit(yard, 10)
    assert yard.run("apply", "--yes").code == 0  # narrowing is nobody's concern
    assert granted(yard) == 10

    yard.manifest["guards"] = {"policyWidening": "allow"}
    limit(yard, 50)
    assert yard.run("apply", "--yes").code == 0
    assert granted(yard) == 50
    yard.check_quiet()


class Terminal(io.StringIO):
    """A person who types this."""

    def isatty(self) -> bool:
        return True


def test_on_a_terminal_it_is_a_question_of_its_own(new_yard: MakeYard, monkeypatch: pytest.MonkeyPatch) -> None:
    yard = new_yard(1)
    assert yard.run("apply", "--yes").code == 0
    limit(yard, 40)

    def typed(answers: str, *options: str) -> Ran:
        monkeypatch.setattr(sys, "stdin", Terminal(answers))
        return yard.run("apply", *options)

    before = yard.footprint()
    assert typed("n\n").code == REFUSED
    assert typed("n\n", "--yes").code == REFUSED
    declined = typed("y\nn\n")
    assert declined.code == 1, declined.said
    assert "Declined" in declined.err
    assert yard.footprint() == before
    agreed = typed("y\n", "--yes")
    assert agreed.code == 0, agreed.said
    assert granted(yard) == 40
    limit(yard, 50)
    assert typed("y\n", "--allow-widening").code == 0  # the flag answers one of the two questions
    assert granted(yard) == 50
