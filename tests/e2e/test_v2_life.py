"""A fleet of protocol v2 from nothing to running, and every change after that."""

import json
from collections.abc import Callable
from typing import Any

from e2e_harness import Ran, Yard

MakeYard = Callable[..., Yard]


def fleet(yard: Yard, count: int, **block: Any) -> list[dict[str, Any]]:
    """`count` machines of protocol v2 in place of the yard's."""
    yard.manifest["protocol"] = "v2"
    yard.manifest.pop("v1", None)
    yard.manifest["defaults"] = {
        "metadata": {"documentationUrl": "https://docs.example.com/{name}"},
        "v2": {"machineType": "air-sensor", "credentialSubject": f"{yard.operator.address} {{name}}", **block},
    }
    machines = [{"name": f"sensor-{number}", "address": "0x%040x" % (0xabc + number)} for number in range(count)]
    yard.manifest["machines"] = machines
    return machines


def test_operator_owned(new_yard: MakeYard) -> None:
    yard = new_yard(0)
    fleet(yard, 3)
    plan = yard.run("plan", "--detailed-exitcode")
    print(plan.said)
    assert plan.code == 2, plan.said
    applied = yard.run("apply", "--yes")
    print(applied.said)
    assert applied.code == 0, applied.said
    again = yard.run("plan", "--detailed-exitcode")
    print(again.said)
    assert again.code == 0
    print(yard.world.effects(yard.senders(), yard.since))
