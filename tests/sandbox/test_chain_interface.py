"""The compiled contracts have the published v1 interfaces, and are what the sources give."""

from typing import Any

import pytest
from chain_harness import INTERFACE
from eth_utils.crypto import keccak

from reconciler.sandbox.contracts import artifact, build

# The sandbox has no proxies.
UPGRADES = {"upgradeToAndCall(address,bytes)", "proxiableUUID()", "UPGRADE_INTERFACE_VERSION()"}


def signatures(contract: str, kind: str) -> dict[str, Any]:
    entries = [entry for entry in artifact(contract).abi if entry["type"] == kind]
    return {f"{e['name']}({','.join(i['type'] for i in e['inputs'])})": e for e in entries}


@pytest.mark.parametrize("contract", sorted(INTERFACE))
def test_every_published_function_is_there(contract: str) -> None:
    ours = signatures(contract, "function")
    for signature, published in INTERFACE[contract]["functions"].items():
        if signature in UPGRADES:
            continue
        assert keccak(text=signature)[:4].hex() == published["selector"][2:]
        mutability = ours[signature]["stateMutability"]
        assert published["mutability"] in (mutability, "view" if mutability == "pure" else "", "nonpayable"), signature
        assert (mutability == "payable") == (published["mutability"] == "payable"), signature


@pytest.mark.parametrize("contract", sorted(INTERFACE))
def test_our_events_and_errors_are_the_published_ones(contract: str) -> None:
    published = INTERFACE[contract]
    for signature, event in signatures(contract, "event").items():
        expected = published["events"].get(signature)
        if contract in ("Did", "Batch") and expected is None:
            continue  # their administration is ours
        assert "0x" + keccak(text=signature).hex() == expected["topic"]
        indexed = [item["indexed"] for item in event["inputs"]]
        assert indexed == ([False] * len(indexed) if contract in ("Did", "Batch") else expected["indexed"])
    if contract not in ("Did", "Batch"):
        for signature in signatures(contract, "error"):
            assert "0x" + keccak(text=signature)[:4].hex() == published["errors"][signature]


@pytest.mark.parametrize(
    ("contract", "signature", "selector"),
    [
        ("Did", "add_attribute(address,bytes,bytes,uint32)", "f862da44"),
        ("Did", "update_attribute(address,bytes,bytes,uint32)", "61288215"),
        ("Did", "remove_attribute(address,bytes)", "b2f2f20d"),
        ("Did", "read_attribute(address,bytes)", "528bcb4c"),
        ("Batch", "batch_all(address[],uint256[],bytes[],uint64[])", "d30c5f76"),
        ("Batch", "batch_some(address[],uint256[],bytes[],uint64[])", "c8e8ae79"),
        ("Batch", "batch_some_until_failure(address[],uint256[],bytes[],uint64[])", "355116e6"),
        ("Multicall3", "aggregate3((address,bool,bytes)[])", "82ad56cb"),
    ],
)
def test_the_other_spellings_answer_too(contract: str, signature: str, selector: str) -> None:
    assert keccak(text=signature)[:4].hex() == selector
    if contract != "Multicall3":
        assert signature in signatures(contract, "function")
    assert selector in artifact(contract).runtime


def test_the_artefacts_are_what_the_sources_give() -> None:
    assert build.main(["--check"]) == 0
