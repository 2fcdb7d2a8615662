"""Plan, apply and drift as documents and as events, on a real fleet: the same numbers, whoever reads them."""

import json
import signal
import time
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import pytest
from e2e_harness import World, Yard

from reconciler.core.lines import LINES

MakeYard = Callable[..., Yard]


def lines(path: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
    for each in found:
        LINES.validate_python(each)
    return found


def kinds(path: Path) -> Counter[str]:
    return Counter(each["type"] for each in lines(path))


def suite(text: str) -> Element:
    return fromstring(text.encode())


def test_a_fleet_from_plan_to_drift(new_yard: MakeYard) -> None:
    yard = new_yard(2)
    summary, events = yard.root / "summary.md", yard.root / "events.jsonl"
    summary.write_text("from an earlier step\n")
    yard.environ["GITHUB_STEP_SUMMARY"] = str(summary)
    data = yard.run("plan", "--output", "json", "--events", str(events)).data
    created = data["summary"]["create"]
    count = created + data["summary"]["update"]
    assert kinds(events)["planned_change"] == count > created > 10
    assert lines(events)[-1] == lines(events)[-1] | {"type": "result", "exitCode": 0}

    comment = yard.run("plan", "--output", "markdown", "-q").out
    assert comment.startswith(f"<!-- fleetctl:plan:{yard.name} -->\n## fleetctl plan: {yard.name}\n")
    assert f"**{data['headline']}**" in comment
    assert f"create: {created} resources" in comment
    text = summary.read_text()
    assert text.startswith("from an earlier step\n<!-- fleetctl:plan:")
    assert text.count(f"**{data['headline']}**") == 2

    page = yard.run("--output", "html", "plan").out
    HTMLParser().feed(page)
    assert data["headline"] in page
    assert suite(yard.run("plan", "--output", "junit").out).get("tests") == str(len(data["changes"]))
    refused = yard.run("apply", "--output", "junit")
    assert (refused.code, suite(refused.out).get("failures")) == (3, "1")

    applied = yard.run("apply", "--yes", "--output", "markdown", "--events", str(events))
    assert applied.code == 0, applied.said
    assert applied.out.startswith(f"<!-- fleetctl:apply:{yard.name} -->\n")
    assert f"**Apply: {count} done;" in applied.out
    assert summary.read_text().endswith(applied.out)
    found = kinds(events)
    # What rides in another's transaction, or comes with it, does not start by itself.
    assert 0 < found["apply_start"] < found["apply_complete"] == count
    assert found["transaction_signed"] == found["transaction_mined"] > 0
    assert found["version"] == found["apply_summary"] == found["result"] == 1
    assert not {"apply_errored", "interrupted"} & set(found)
    yard.check_converged()
    for secret in (yard.environ["PEAQOS_PRIVATE_KEY"], yard.token("air-001"), bytes(yard.agent.key).hex()):
        assert secret.removeprefix("0x") not in events.read_text() + summary.read_text() + applied.said

    calm = yard.run("drift", "--output", "junit")
    assert (calm.code, suite(calm.out).get("failures")) == (0, "0")
    yard.machine("air-001")["market"] = {"displayName": "another | name"}
    drifted = yard.run("drift", "--output", "junit", "--events", str(events))
    assert (drifted.code, suite(drifted.out).get("failures")) == (2, "1")
    assert kinds(events) == {"version": 1, "resource_drift": 1, "change_summary": 1, "result": 1}
    told = yard.run("drift", "--output", "markdown")
    assert told.out.startswith(f"<!-- fleetctl:drift:{yard.name} -->\n")
    assert "+     displayName: another | name" in told.out
    assert "another | name</ins>" in yard.run("drift", "--output", "html").out


def test_a_mistake_in_the_manifest_is_a_comment_too(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    yard.machine("air-001")["adress"] = "@octocat <b>"
    summary, events = yard.root / "summary.md", yard.root / "events.jsonl"
    yard.environ["GITHUB_STEP_SUMMARY"] = str(summary)
    ran = yard.run("plan", "--output", "markdown", "--events", str(events))
    assert ran.code == 3
    assert ran.out.startswith(f"<!-- fleetctl:plan:{yard.name} -->\n")
    assert "- **Invalid:** " in ran.out
    assert "1 problem; nothing was done." in ran.err
    assert summary.read_text() == ran.out
    assert kinds(events) == {"version": 1, "diagnostic": 1, "result": 1}
    assert "fleet.yaml:" in lines(events)[1]["where"]
    assert suite(yard.run("drift", "--output", "junit").out).get("failures") == "1"
    yard.file.write_text(f"name: {yard.name}\nmachines: [\n")
    assert yard.run_as_is("plan", "--output", "markdown").out.startswith(f"<!-- fleetctl:plan:{yard.name} -->\n")
    assert yard.run("plan", "--output", "html").out.startswith("<!doctype html>")
    assert yard.run("plan", "--output", "json").data["exitCode"] == 3


@pytest.mark.parametrize(
    "arguments",
    [["--output", "markdown", "status"], ["validate", "--output", "html"], ["plan", "--events", "-"]],
)
def test_what_has_no_such_form_says_so(new_yard: MakeYard, arguments: list[str]) -> None:
    ran = new_yard(1).run(*arguments)
    assert (ran.code, ran.out) == (64, "")
    assert "answers as text or json" in ran.err or "/dev/stderr is one" in ran.err


def test_a_summary_that_cannot_be_written_fails_nothing(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    yard.environ["GITHUB_STEP_SUMMARY"] = str(yard.root / "no" / "summary.md")
    ran = yard.run("plan")
    assert ran.code == 0
    assert "Warning: nothing was added to GITHUB_STEP_SUMMARY: No such file or directory" in ran.err
    full = yard.root / "full.md"
    full.write_text("x" * 1_000_000)
    yard.environ["GITHUB_STEP_SUMMARY"] = str(full)
    assert "it is full" in yard.run("plan").err
    assert full.stat().st_size == 1_000_000


def test_an_interrupted_apply_leaves_whole_lines(new_yard: MakeYard, slow_world: World) -> None:
    yard = new_yard(2, world=slow_world)
    events = yard.root / "events.jsonl"
    process = yard.spawn("apply", "--yes", "--events", str(events))
    end = time.monotonic() + 30
    while time.monotonic() < end and not (events.exists() and "transaction_signed" in events.read_text()):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert yard.finish(process).code == 130
    assert events.read_text().endswith("\n")
    assert lines(events)[-1]["type"] == "interrupted"
    assert kinds(events)["result"] == 0
