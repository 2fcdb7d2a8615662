"""`plan --explain` as people and scripts get it."""

from collections.abc import Callable

from e2e_harness import Yard

MakeYard = Callable[..., Yard]


def line_of(yard: Yard, text: str) -> int:
    lines = yard.file.read_text().splitlines()
    (found,) = [number for number, line in enumerate(lines, 1) if text in line]
    return found


def test_every_value_says_where_it_comes_from(new_yard: MakeYard) -> None:
    yard = new_yard(2)
    plan = yard.run("plan", "--explain")
    assert plan.code == 0, plan.said
    default = f"machineType: air-sensor  ← {yard.file}:{line_of(yard, 'machineType')} (default)"
    assert plan.out.count(default) == 2, plan.out
    assert f"account: {yard.accounts['air-001'].address}  ← {yard.file}:" in plan.out
    assert "bond: 1 PEAQ  ← registry/v1" in plan.out
    assert "←" not in yard.run("plan", "-v").out

    data = yard.run("plan", "--explain", "--output", "json").data
    (record,) = (change for change in data["changes"] if change["address"] == "machine_record/air-002")
    (shown,) = (field for field in record["fields"] if field["field"] == "machineType")
    assert default.endswith(shown["source"])
    assert record["sources"]["machineType"] == shown["source"]
    assert record["sources"]["status"] == "built in"
    plain = yard.run("plan", "--output", "json").data
    assert "sources" not in plain["changes"][0]
    assert all("source" not in field for change in plain["changes"] for field in change["fields"])
    assert plain["digest"] == data["digest"]


def test_what_is_as_declared_is_explained_when_asked_for_more(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    assert yard.run("apply", "--yes").code == 0
    yard.machine("air-001")["metadata"] = {"documentationUrl": "https://new.example.com"}
    calm = "machineType: air-sensor  ←"
    short = yard.run("plan", "--explain").out
    assert calm not in short
    where = f"{yard.file}:{line_of(yard, 'https://new.example.com')}"
    assert f"→ https://new.example.com  (the manifest moved)  ← {where}, over the default at {yard.file}:" in short
    long = yard.run("plan", "--explain", "-v").out
    assert calm in long
    assert "delegationPolicy.dailySpendLimit: 30.0  ←" in long
