"""What our v2 contracts share with peaq's own is exactly theirs; what is ours alone is listed here."""

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.sandbox.contracts import artifact

PUBLISHED: dict[str, Any] = json.loads((Path(__file__).parent / "v2_interface.json").read_text())
"""Of peaq's contracts, as far as ours have them: mutability and results of functions, which arguments are topics."""
WIRING = "initialize(address,address)"
OURS = {
    "InfoDesk": {"peaqPriceUsd()", "setPeaqPriceUsd(uint256)"},
    "MachineRegistry": {WIRING},
    "MachineStateAndSync": {WIRING, "setRelocating(uint256,bool)"},
    "MachineSubscription": {
        WIRING, "forget(uint256)", "setBondingReward(address,uint256)", "setEconomicAuthority(bool)",
        "setVoucherCredit(address,uint256)",
    },
    "CrossChainMirror": {WIRING, "setHomeChain(uint256,uint16)"},
}  # fmt: skip
UNUSED = {"MachineRelocating()", "NotOwnerOrController()"}
"""Errors of a common base that one of the contracts never has."""


def entries(contract: str, kind: str) -> dict[str, dict[str, Any]]:
    found = [entry for entry in artifact(contract).abi if entry["type"] == kind]
    return {f"{entry['name']}({','.join(_type(item) for item in entry['inputs'])})": entry for entry in found}


def _type(item: dict[str, Any]) -> str:
    if not item["type"].startswith("tuple"):
        return str(item["type"])
    return f"({','.join(_type(part) for part in item['components'])}){item['type'].removeprefix('tuple')}"


@pytest.mark.parametrize("contract", sorted(PUBLISHED))
def test_shared_functions_are_theirs(contract: str) -> None:
    ours = {
        signature: [entry["stateMutability"].replace("pure", "view"), [_type(item) for item in entry["outputs"]]]
        for signature, entry in entries(contract, "function").items()
        if signature not in OURS[contract]
    }
    theirs = PUBLISHED[contract]["functions"]
    assert ours == {name: [kind.replace("pure", "view"), results] for name, (kind, results) in theirs.items()}


@pytest.mark.parametrize("contract", sorted(PUBLISHED))
def test_shared_events_and_errors_are_theirs(contract: str) -> None:
    events = {name: [item["indexed"] for item in e["inputs"]] for name, e in entries(contract, "event").items()}
    assert events == PUBLISHED[contract]["events"]
    assert set(entries(contract, "error")) - UNUSED == set(PUBLISHED[contract]["errors"]) - UNUSED
