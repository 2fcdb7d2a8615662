"""Faults of real life during an apply: at most one plain re-run later all is there, and everything once."""

from collections.abc import Callable
from typing import Any

import pytest
from e2e_harness import Yard, count_writes

MakeYard = Callable[..., Yard]
Rules = list[dict[str, Any]]
POST_MACHINES = {"method": "POST", "path": "/markets/api/v1/machines"}
POST_PAIRING = {"method": "POST", "path": "/markets/api/v1/machines/*/agent-pairings"}
SEND = "eth_sendRawTransaction"
RECEIPTS = "eth_getBlockReceipts"

# Name, faults of the RPC, faults of the services, switches of the services, exit codes that are in order at first.
FAULTS: list[tuple[str, Rules, Rules, dict[str, Any], set[int]]] = [
    ("mcr lag", [], [], {"mcrLagMs": 1500}, {0}),
    (
        "rate limits of the node",
        [
            {"action": "rateLimit", "retryAfter": 0.2, "count": 2},
            {"action": "rateLimit", "retryAfter": 0.2, "method": SEND},
        ],
        [],
        {},
        {0},
    ),
    (
        "rate limits of markets",
        [],
        [{"action": "rateLimit", "path": "/markets/*"}, {"action": "rateLimit", **POST_MACHINES}],
        {},
        {0},
    ),
    ("dropped after acceptance", [{"action": "dropAfter", "method": SEND, "count": 2}], [], {}, {0}),
    ("dropped before acceptance", [{"action": "dropBefore", "method": SEND, "count": 2}], [], {}, {0}),
    (
        "answers 502",
        [{"action": "status", "status": 502, "count": 2}, {"action": "status", "status": 502, "method": SEND}],
        [],
        {},
        {0},
    ),
    ("late receipts", [{"action": "null", "method": RECEIPTS, "each": True, "count": 1}], [], {}, {0}),
    ("late receipts of blocks", [{"action": "null", "method": "eth_getBlockReceipts", "count": 3}], [], {}, {0}),
    ("nonce too low", [{"action": "error", "method": SEND, "message": "nonce too low"}], [], {}, {0, 5}),
    ("record dropped", [], [{"action": "dropAfter", **POST_MACHINES}], {}, {0, 6}),
    ("record dropped before", [], [{"action": "dropBefore", **POST_MACHINES}], {}, {0, 6}),
    ("record 500", [], [{"action": "status", "status": 500, **POST_MACHINES}], {}, {0, 5, 6}),
    ("record garbage", [], [{"action": "garbage", **POST_MACHINES}], {}, {0, 6}),
    ("activation dropped", [], [{"action": "dropAfter", "method": "PATCH", "path": "*/machines/*"}], {}, {0, 6}),
    ("pairing dropped", [], [{"action": "dropAfter", **POST_PAIRING}], {}, {0, 6}),
    ("challenge dropped", [], [{"action": "dropAfter", "method": "POST", "path": "*/challenges"}], {}, {0}),
    (
        "proof expired",
        [],
        [{"action": "status", "status": 403, "code": "MACHINE_IDENTITY_PROOF_EXPIRED", **POST_MACHINES}],
        {},
        {0},
    ),
    ("stale reads", [{"action": "stale", "method": "eth_call", "blocks": 1, "count": 3}], [], {}, {0, 1, 5}),
    ("unknown blocks", [{"action": "unknownBlock", "method": "eth_call", "count": 1}], [], {}, {0}),
]


@pytest.mark.parametrize(("name", "node", "services", "switches", "codes"), FAULTS, ids=[f[0] for f in FAULTS])
def test_faults_cost_a_re_run_at_most(
    new_yard: MakeYard, name: str, node: Rules, services: Rules, switches: dict[str, Any], codes: set[int]
) -> None:
    yard = new_yard(1)
    world = yard.world
    world.well()
    world.rpc_faults(*node)
    world.service_faults(*services, **switches)
    count_writes(world)
    first = yard.run("apply", "--yes")
    assert first.code in codes, first.said
    assert not world.faults_left(), "the fault never happened"
    if first.code:
        assert "apply again" in first.said or "plan again" in first.said, first.said
        again = yard.run("apply", "--yes")
        assert again.code == 0, again.said
    yard.check_converged()
    yard.check_discreet(first)
    assert yard.run("plan", "--detailed-exitcode").code == 0


def test_a_lost_answer_of_a_rotation_costs_one_more_rotation(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    assert yard.run("apply", "--yes").code == 0
    yard.manifest["delegationPolicies"]["small"]["dailySpendLimit"] = 20
    yard.world.well()
    yard.world.service_faults({"action": "dropAfter", "method": "POST", "path": "*/sessions"})
    first = yard.run("apply", "--yes")
    assert first.code in (0, 6), first.said
    assert not yard.world.faults_left()
    assert yard.run("apply", "--yes").code == 0
    assert yard.search(yard.token("air-001")) == 201
    assert yard.audit("air-001")["agent-pairing.session-issued"] == 2
    assert yard.audit("air-001")["agent-pairing.updated"] == 1
    yard.check_quiet()


def test_challenges_that_are_never_in_time_are_said(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    yard.world.service_faults(challengeTtlSeconds=0)
    ran = yard.run("apply", "--yes")
    assert ran.code == 5, ran.said
    assert "the proof came too late" in ran.out
    yard.world.service_faults(challengeTtlSeconds=300)
    assert yard.run("apply", "--yes").code == 0
    yard.check_converged()
