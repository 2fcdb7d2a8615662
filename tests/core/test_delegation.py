"""Fingerprints of delegation policies: the same for the same authority, however it is written."""

from typing import Any

import pytest

from reconciler.core.delegation import fingerprint

BASE: dict[str, Any] = {"allowedSkillKeys": ["a", "b"], "perTransactionLimit": 5, "currency": "USD"}


def of(**changes: Any) -> str:
    return fingerprint({"delegationPolicy": {**BASE, **changes}})


@pytest.mark.parametrize(
    "spelled",
    [
        {"allowedSkillKeys": ["b", "a"]},
        {"perTransactionLimit": 5.0},
        {"deniedSkillKeys": [], "allowedServiceIds": None, "dailySpendLimit": None},
        {"somethingNew": 1},
    ],
)
def test_spelling_makes_no_difference(spelled: dict[str, Any]) -> None:
    assert of(**spelled) == of()


@pytest.mark.parametrize(
    "other",
    [
        {"allowedSkillKeys": ["a"]},
        {"allowedSkillKeys": [], "deniedSkillKeys": ["a", "b"]},
        {"perTransactionLimit": 5.01},
        {"perTransactionLimit": None},
        {"perTransactionLimit": None, "dailySpendLimit": 5},
        {"currency": "EUR"},
    ],
)
def test_another_authority_is_another_fingerprint(other: dict[str, Any]) -> None:
    assert of(**other) != of()


def test_no_policy_has_none() -> None:
    assert fingerprint({}) == fingerprint({"delegationPolicy": None}) == ""
    assert fingerprint({"delegationPolicy": {}})
