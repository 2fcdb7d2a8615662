"""An answer as JUnit XML, for CI systems that show tests: one test case a resource, one for each refusal or error.

Blocked, unreadable and failed are failures, parked is skipped, and so is what only waits. Under `drift` whatever would
have to change is a failure too, because there nothing should.
"""

from collections.abc import Iterator, Mapping
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from reconciler.cli.render.blocks import Data, Heading, edited, headlines, line, marks, notes, troubles, value, what
from reconciler.core.change import Action
from reconciler.core.value import Value

SKIPPED = ("parked", "skipped", "unmanaged")
PASSED = ("done", "no-op")
TROUBLES = {"Error": "error", "Invalid": "manifest", "Refused": "guard", "Unsettled": "journal"}
"""Troubles that are no resource's own, and the class under which they are shown."""


class _Case(Value):
    group: str
    name: str
    state: str
    """`failure`, `skipped` or nothing."""
    message: str
    detail: str


def render(data: Data, heading: Heading) -> str:
    """One suite. Times are not known for each resource, and so are left out."""
    cases = [*_general(data), *_resources(data, heading)]
    counts = {
        "tests": len(cases),
        "failures": _count(cases, "failure"),
        "errors": 0,
        "skipped": _count(cases, "skipped"),
    }
    told = {name: str(count) for name, count in counts.items()}
    root = Element("testsuites", {"name": "fleetctl", **told})
    suite = SubElement(root, "testsuite", {"name": heading.title, **told})
    for case in cases:
        _add(suite, case)
    if sums := headlines(data):
        SubElement(suite, "system-out").text = "\n".join(sums)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode")


def _count(cases: list[_Case], state: str) -> int:
    return sum(case.state == state for case in cases)


def _add(suite: Element, case: _Case) -> None:
    element = SubElement(suite, "testcase", {"classname": case.group, "name": case.name})
    if case.state:
        SubElement(element, case.state, {"message": case.message}).text = case.detail
    elif case.message:
        SubElement(element, "system-out").text = "\n".join(filter(None, (case.message, case.detail)))


def _general(data: Data) -> Iterator[_Case]:
    for name, told in troubles(data).items():
        for number, (text, hint) in enumerate(told, 1):
            if group := TROUBLES.get(name):
                yield _Case(f"fleetctl.{group}", f"{group} {number}", "failure", line(text), line(hint))


def _resources(data: Data, heading: Heading) -> Iterator[_Case]:
    outcomes = {outcome["address"]: outcome for outcome in data.get("result", {}).get("outcomes", ())}
    for change in data.get("changes", ()):
        kind, _, name = change["address"].partition("/")
        outcome = outcomes.get(change["address"], {})
        state, message = _verdict(change, outcome, heading)
        detail = "\n".join(filter(None, (line(outcome.get("hint", "")), *_details(change))))
        yield _Case(f"fleetctl.{line(kind)}", line(name), state, line(message), detail)


def _verdict(change: Data, outcome: Mapping[str, str], heading: Heading) -> tuple[str, str]:
    """How the resource is shown, and why."""
    found = outcome["outcome"] if outcome else change["action"]
    said = outcome["reason"] if outcome else what(change)
    message = f"{found}: {said}" if said else found
    if found in SKIPPED:
        return "skipped", message
    planned = not outcome and Action(change["action"]).acts and heading.command != "drift"
    return ("" if found in PASSED or planned else "failure"), message


def _details(change: Data) -> Iterator[str]:
    yield from marks(change)
    for field in edited(change):
        yield f"{line(field['field'])}: {value(field.get('before'))} → {value(field.get('after'))}{notes(field)}"
