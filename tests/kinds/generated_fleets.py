"""Fleets that nobody would write and everybody might: every field, with values that formats and servers trip over."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

TEXTS = (
    "plain", "with space", " around ", "it's", 'a "quote"', "back\\slash", "a: b # c", "{{x}}", "null", "true", "007",
    "5", "5.0", "1e3", "-", "~", "<b>&amp;</b>", "ü", "u\u0308", "日本語", "😀", "ﬁ", "İ", "MiXed", "x" * 300,
)  # fmt: skip
ASCII = tuple(text for text in TEXTS if text.isascii())
NAMES = ("pyth-price-feed", "storage", "Alpha", "alpha", "ünïcode", "a b")
LIMITS = (0, 0.0, 0.1, 5, 5.0, 1e6, 12345678.9, None)
Fleet = dict[str, Any]


def generated(rng: Random, accounts: Mapping[str, str], agents: Sequence[str]) -> Fleet:
    """What stands in a manifest beside its head. `accounts` are the addresses of machines by name."""
    fleet: Fleet = {
        "v1": {"publishFleet": rng.random() < 0.8, **({"funding": _funding(rng)} if rng.random() < 0.8 else {})},
        "machinePolicies": {name: _machine_policy(rng) for name in ("eu", "Lab.1")},
        "delegationPolicies": {name: _delegation_policy(rng) for name in ("small", "large")},
        "defaults": _some(rng, {"metadata": {"documentationUrl": "https://docs.example.com/{name}"}}),
    }
    return {**fleet, "machines": [_machine(rng, name, account, agents) for name, account in accounts.items()]}


def _some(rng: Random, fields: Mapping[str, Any], share: float = 0.6) -> dict[str, Any]:
    """Some of the fields; in an order of its own."""
    chosen = [name for name in fields if rng.random() < share]
    rng.shuffle(chosen)
    return {name: fields[name] for name in chosen}


def _names(rng: Random) -> list[str]:
    return [rng.choice(NAMES) for _ in range(rng.randrange(4))]


def _funding(rng: Random) -> dict[str, str]:
    below = rng.choice(["0.02 PEAQ", "20000000000000001 wei", "0.050 peaq"])
    return {"from": "operator", "below": below, "to": rng.choice(["0.05 PEAQ", "0.2 PEAQ"])}


def _machine_policy(rng: Random) -> dict[str, Any]:
    cap = {"currency": rng.choice(["USD", "EUR"]), "amount": rng.choice([limit for limit in LIMITS if limit])}
    return _some(
        rng,
        {
            "allowedSkillKeys": _names(rng),
            "deniedSkillKeys": _names(rng),
            "budgetCap": cap,
            "regionRules": _names(rng),
            "nativeOnly": rng.random() < 0.5,
            "handoffAllowed": rng.random() < 0.5,
            "requiredCapabilities": _names(rng),
        },
    )


def _delegation_policy(rng: Random) -> dict[str, Any]:
    return _some(
        rng,
        {
            "allowedSkillKeys": _names(rng),
            "deniedSkillKeys": _names(rng),
            "allowedServiceIds": _names(rng),
            "deniedServiceIds": _names(rng),
            "perTransactionLimit": rng.choice(LIMITS),
            "dailySpendLimit": rng.choice(LIMITS),
            "currency": rng.choice(["USD", "EUR", None]),
        },
    )


def _machine(rng: Random, name: str, account: str, agents: Sequence[str]) -> dict[str, Any]:
    attributes = {key: rng.choice([*ASCII, "", None]) for key in ("a", "B", "b.c", 'q"', "null")}
    metadata = {"documentationUrl": rng.choice(ASCII), "dataApi": rng.choice(ASCII)}
    v1 = {"attributes": _some(rng, attributes), "dataVisibility": rng.choice(["public", "private", "onchain"])}
    own = {"name": name, "address": account, **_some(rng, {"metadata": _some(rng, metadata), "v1": _some(rng, v1)})}
    sort = rng.random()
    if sort < 0.1:
        return {**own, "v1": {**own.get("v1", {}), "custody": "none"}}
    if sort < 0.2:
        return own
    return {**own, "market": _market(rng), **_some(rng, _beside_the_record(rng, agents), 0.8)}


def _market(rng: Random) -> dict[str, Any]:
    optional = {
        "displayName": rng.choice(TEXTS),
        "ownerId": "did:peaq:" + "0x" + "aB" * 20,
        "capabilities": _names(rng),
        "labels": _some(rng, {key: rng.choice(TEXTS) for key in ("site", "Site", "a.b/c", "with_underscore", "ü")}),
        "policies": rng.sample(["eu", "Lab.1"], rng.randrange(3)),
        "skillKeys": _names(rng),
    }
    return {"machineType": rng.choice(TEXTS), "runtimeProfile": rng.choice(TEXTS), **_some(rng, optional)}


def _beside_the_record(rng: Random, agents: Sequence[str]) -> dict[str, Any]:
    pairings = [
        {
            "agent": agent,
            "role": rng.choice(TEXTS),
            **_some(
                rng,
                {
                    "delegationPolicy": rng.choice(["small", "large"]),
                    "description": rng.choice(TEXTS),
                    "paused": rng.random() < 0.5,
                },
            ),
        }
        for agent in rng.sample(agents, rng.randrange(len(agents) + 1))
    ]
    endpoint = {
        "endpointBaseUrl": rng.choice(["http://10.0.0.7:8080", "http://10.0.0.7:8080/", "http://HOST.Example:1"]),
        **_some(
            rng,
            {
                "label": rng.choice(TEXTS),
                "modelAlias": rng.choice(TEXTS),
                "networkScope": rng.choice(["loopback", "lan", "vpn", "public"]),
                "probePath": "/health",
                "authType": "none",
            },
        ),
    }
    return {"pairings": pairings, "runtimeEndpoints": _some(rng, {"QvAc": endpoint, "old": None})}
