"""What may not be meant is told with its place, and stops nothing."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from authority_harness import Serve
from e2e_harness import Yard

MakeYard = Callable[..., Yard]


@pytest.fixture
def yard(new_yard: MakeYard) -> Yard:
    return new_yard(2)


def notices(yard: Yard) -> list[str]:
    ran = yard.run("plan", "--output", "json")
    assert ran.code == 0, ran.said
    found: list[str] = ran.data["notices"]
    return [notice for notice in found if "fleet.yaml:" in notice]


def test_a_name_that_is_not_offered_is_told_with_the_nearest(yard: Yard) -> None:
    assert notices(yard) == []
    small = yard.manifest["delegationPolicies"]["small"]
    small |= {"allowedSkillKeys": ["pyth-price-feed", "walrus-stor"], "deniedServiceIds": ["svc_exa_serach", "zzz"]}
    skill, service, strange = notices(yard)
    line = next(n for n, text in enumerate(yard.file.read_text().splitlines(), 1) if "walrus-stor" in text)
    assert f"fleet.yaml:{line}:" in skill
    assert skill.endswith("Machine Markets offers no skill `walrus-stor`; did you mean `walrus-store`?")
    assert service.endswith("Machine Markets offers no service `svc_exa_serach`; did you mean `svc_exa_search`?")
    assert "no service `zzz`; it has no effect" in strange
    assert "did you mean `walrus-store`?" in yard.run("plan").out.replace("\n", " ")


def test_a_catalogue_that_cannot_be_read_says_nothing_and_hides_no_other(yard: Yard) -> None:
    small = yard.manifest["delegationPolicies"]["small"]
    small |= {"allowedSkillKeys": ["walrus-stor"], "deniedServiceIds": ["svc_exa_serach"]}
    path = "/markets/api/v1/skills*"
    yard.world.service_faults({"action": "status", "method": "GET", "path": path, "count": 100})
    (service,) = notices(yard)
    assert "svc_exa_search" in service


def test_nothing_is_asked_where_nothing_is_listed(yard: Yard, serve: Serve) -> None:
    asked: list[str] = []

    def empty(method: str, path: str, headers: Any, body: Any) -> tuple[int, Any]:
        asked.append(path)
        return 200, {"items": []}

    yard.manifest["services"]["markets"]["url"] = serve(empty)
    yard.manifest["delegationPolicies"]["small"]["allowedSkillKeys"] = []
    assert notices(yard) == []
    assert asked
    assert not [path for path in asked if "skills" in path or "services" in path]
    yard.manifest["delegationPolicies"]["small"]["allowedSkillKeys"] = ["pyth"]
    assert notices(yard) == [], "a catalogue of nothing knows nothing"
    assert [path for path in asked if "skills" in path]
    assert not [path for path in asked if "services" in path]


def test_labels_that_the_sdk_rewrites_are_told_once_and_kept(yard: Yard) -> None:
    labels = {"site_id": "7", "siteName": "Berlin", "floor": "2", "peaq.io/zone-a": "x"}
    yard.manifest["defaults"]["market"]["labels"] = labels
    found = notices(yard)
    assert len(found) == 2, found
    assert all("under another name" in notice for notice in found)
    assert yard.run("apply", "--yes").code == 0
    (record,) = yard.records()["air-001"]
    assert record["labels"] == labels
    assert json.loads(yard.run("plan", "--output", "json").out)["summary"]["no-op"] > 0
    yard.check_quiet()
