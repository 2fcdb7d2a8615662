"""JUnit: what is wrong fails, what waits is skipped, and any XML reader can read it."""

from xml.etree.ElementTree import Element, fromstring

from hypothesis import HealthCheck, given, settings
from outputs_harness import APPLY, DRIFT, PLAN, Data, change, headings, hostile, plan, small, thousand

from reconciler.cli.render.blocks import Heading
from reconciler.cli.render.junit import render
from reconciler.core.change import Action


def read(data: Data, heading: Heading) -> Element:
    root = fromstring(render(data, heading).encode())
    cases = root.findall("./testsuite/testcase")
    for element in (root, root[0]):
        assert element.get("tests") == str(len(cases))
        for state in ("failure", "skipped"):
            told = element.get({"failure": "failures"}.get(state, state))
            assert told == str(sum(case.find(state) is not None for case in cases))
    return root


def states(data: Data, heading: Heading) -> dict[str, str]:
    """Passed, failure or skipped, by class and name."""
    cases = read(data, heading).findall("./testsuite/testcase")
    found = {}
    for case in cases:
        told = [child.tag for child in case if child.tag != "system-out"]
        found[f"{case.get('classname', '').removeprefix('fleetctl.')}/{case.get('name')}"] = "".join(told) or "passed"
    return found


def test_a_plan_fails_where_it_is_stuck() -> None:
    unreadable = change("machine_nft/air-006", Action.BLOCKED, reason="the node did not answer", unreadable=True)
    stray = change("agent_pairing/air-007/x", Action.UNMANAGED, reason="not declared")
    data = small()
    data["changes"] += [unreadable, stray]
    assert states(data, PLAN) == {
        "guard/guard 1": "failure",
        "machine_identity/air-002": "passed",
        "machine_identity/air-003": "passed",
        "machine_record/air-001": "passed",
        "agent_pairing/air-001/ops": "passed",
        "machine_did/air-004": "skipped",
        "machine_nft/air-005": "passed",
        "machine_nft/air-006": "failure",
        "agent_pairing/air-007/x": "skipped",
    }


def test_drift_is_a_failure() -> None:
    found = states(small(), DRIFT)
    assert found["machine_record/air-001"] == found["machine_identity/air-002"] == "failure"
    assert found["machine_nft/air-005"] == "passed"
    assert found["machine_did/air-004"] == "skipped"
    case = read(small(), DRIFT).find(".//testcase[@name='air-001']/failure")
    assert case is not None
    assert case.get("message") == "update: update it"
    assert case.text == "displayName: a|b → `c` (moved by the world)"


def test_an_apply_is_judged_by_its_outcomes() -> None:
    stages = {"a": "done", "b": "failed", "c": "skipped", "d": "parked", "e": "unknown"}
    changes = [change(f"machine_nft/{name}", Action.CREATE) for name in stages]
    outcomes = [
        {"address": f"machine_nft/{name}", "action": "create", "outcome": stage, "reason": "why", "hint": "do this"}
        for name, stage in stages.items()
    ]
    stuck = change("machine_nft/f", Action.BLOCKED, reason="foreign operator")
    result = {"headline": "Apply: 1 done", "outcomes": outcomes, "unsettled": ["0xab is open"]}
    found = states(plan(*changes, stuck, result=result), APPLY)
    assert found == {
        "journal/journal 1": "failure",
        "machine_nft/a": "passed",
        "machine_nft/b": "failure",
        "machine_nft/c": "skipped",
        "machine_nft/d": "skipped",
        "machine_nft/e": "failure",
        "machine_nft/f": "failure",
    }


def test_an_error_is_one_failing_test() -> None:
    error = {"code": "config.invalid", "message": "no key", "where": "", "hint": "set it"}
    assert states({"formatVersion": "1.0", "error": error, "exitCode": 3}, PLAN) == {"error/error 1": "failure"}


def test_a_thousand_machines_are_two_thousand_tests() -> None:
    root = read(thousand(), DRIFT)
    assert root.get("tests") == root.get("failures") == "2000"


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(hostile(), headings())
def test_whatever_the_names_it_is_good_xml(data: Data, heading: Heading) -> None:
    root = read(data, heading)
    assert {element.tag for element in root.iter()} <= {
        "testsuites", "testsuite", "testcase", "failure", "skipped", "system-out"
    }  # fmt: skip
