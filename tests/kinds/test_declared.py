"""What a kind remembers of an apply is what it compares: held against every case of every kind."""

import json

import pytest
from kinds_harness import KINDS, Played, fleet_of, play
from test_cases import CASES

from reconciler.core.address import is_bound
from reconciler.core.change import Action
from reconciler.core.moved import Applied, Moved, movements
from reconciler.core.observation import Present
from reconciler.core.plan import PlannedChange
from reconciler.core.value import replace

UNDECLARED = {("machine_record", "identityProof"): "a proof runs out by itself"}
BY_ITSELF = {"operator_did", "wallet_funding", "machine_funding", "session_token", "allowance", "subscription"}
"""Kinds whose fields are shown otherwise than they are declared."""
NOBODY = {
    ("wallet_funding", "wallet_funding/threshold-is-after-the-burden"): "it holds enough but for what this plan takes",
    (
        "wallet_funding",
        "wallet_funding/retired-gets-what-leaving-costs",
    ): "it holds enough but for what this plan takes",
    **{
        ("operator_did", name): "the list holds all that is declared, and what has left besides"
        for name in (
            "operator_did/drops-the-last",
            "operator_did/drops-those-that-left",
            "machine_identity/removed-and-its-key-is-not-here",
            "machine_identity/removed-is-deactivated-by-prune",
            "machine_identity/removed-waits-for-its-record",
            "machine_identity/retired-by-its-machine-only",
            "machine_identity/retired",
            "agent_pairing/retired-and-followed",
        )
    },
}


def edits(played: Played) -> list[PlannedChange]:
    """Changes of single fields, with nothing open about them."""
    found = (change for change in played.plan.changes if change.action in (Action.UPDATE, Action.REPLACE))
    return [c for c in found if is_bound(c.resource.kind.declared(c.resource.spec))]


def told(played: Played, change: PlannedChange, record: Applied) -> set[Moved]:
    records = {str(c.address): Applied.of(c.resource).text() for c in played.plan.changes}
    records[str(change.address)] = record.text()
    return set(movements(played.plan, played.observations, records)[change.address].fields.values())


@pytest.mark.parametrize("name", CASES)
def test_what_can_differ_is_declared(name: str) -> None:
    played = play(CASES[name])
    for change in played.plan.changes:
        kind, spec = change.resource.kind, change.resource.spec
        there = isinstance(played.observations[change.address], Present)
        names = {field.field for field in change.fields if there and (kind.name, field.field) not in UNDECLARED}
        assert names <= set(kind.declared(spec)), change.address


@pytest.mark.parametrize("name", CASES)
def test_where_the_manifest_says_what_it_said_the_world_moved(name: str) -> None:
    played = play(CASES[name])
    for change in edits(played):
        triggered = change.fields == change.resource.kind.triggered(change.resource.spec)
        if not triggered:
            nobody = change.address.kind in ("allowance", "machine_funding") or (change.address.kind, name) in NOBODY
            expected = Moved.UNKNOWN if nobody else Moved.WORLD
            assert told(played, change, Applied.of(change.resource)) == {expected}, change


@pytest.mark.parametrize("name", CASES)
def test_where_the_world_is_what_it_was_the_manifest_moved(name: str) -> None:
    played = play(CASES[name])
    for change in edits(played):
        kind = change.address.kind
        if kind in BY_ITSELF or any((kind, field.field) in UNDECLARED for field in change.fields):
            continue
        before = Applied.of(change.resource)
        assert before.fields is not None
        was = {**before.fields, **{f.field: f.before for f in change.fields}}
        assert told(played, change, replace(before, fields=was)) == {Moved.MANIFEST}, change


def test_no_secret_is_remembered() -> None:
    _, resources = fleet_of(
        """
machines:
  - name: m1
    address: "@m1"
    market: {machineType: a, runtimeProfile: b}
    runtimeEndpoints: {qvac: {endpointBaseUrl: "http://h:1", authType: bearer, authToken: {env: HUSH}}}
"""
    )
    remembered = json.dumps([Applied.of(resource).text() for resource in resources])
    assert "HUSH" not in remembered
    assert "(secret)" in remembered
    assert {resource.address.kind for resource in resources} <= set(KINDS)
