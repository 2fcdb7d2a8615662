"""The networks we know by name, and what a manifest may say instead."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

RPC_VARIABLE = "PEAQOS_RPC_URL"

_AGUNG_V2 = {
    "infoDesk": "0x72b66AF120c55371cA6e5Ce38D4e10dF1bA30Bb1",
    "machineRegistry": "0x538da35489B1F0035799a8351E67835ae4ABb377",
    "machineStateAndSync": "0xA7D33726232aae30622643a18047f0Ca3e159da9",
    "machineSubscription": "0xaDCc5dD8CD57E3198B881c3388F25D2fD69B5aDc",
    "crossChainMirror": "0xd5F8d5944c5d488B1cD698D642FC8156a8CD0c0c",
}
"""peaq's clients take these addresses only, so the sandbox has them too."""

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "sandbox": {
        "name": "sandbox",
        "rpcUrl": "http://127.0.0.1:31338/rpc",
        "chainId": 31338,
        "contracts": {
            "identityRegistry": "0x1000000000000000000000000000000000000001",
            "identityStaking": "0x1000000000000000000000000000000000000002",
            "machineNft": "0x1000000000000000000000000000000000000004",
            **_AGUNG_V2,
        },
        "confirmations": {"depth": 1},
        "didDeposit": "0.005 PEAQ",
        "live": False,
    },
    "peaq": {
        "name": "peaq",
        "rpcUrl": "https://peaq.api.onfinality.io/public",
        "chainId": 3338,
        "contracts": {
            "identityRegistry": "0xb53Af985765031936311273599389b5B68aC9956",
            "identityStaking": "0x11c05A650704136786253e8685f56879A202b1C7",
            "machineNft": "0x2943F80e9DdB11B9Dd275499C661Df78F5F691F9",
            "infoDesk": "0x6C7426ada37212D94477Ac4CFcA43A38177D6A82",
            "machineRegistry": "0x64b93Cc29b251fAFa83BD110cDB1C24207f85536",
            "machineStateAndSync": "0xcD1917FB2a56459AcA34FDD118e08776dE0890f2",
            "machineSubscription": "0x9e37AD189c334C92e6B8a812Ca4c02f35Ac43895",
            "crossChainMirror": "0x71DCB313977d6884212395505f081a2991Bfe8E5",
        },
        "confirmations": {"tag": "finalized"},
        "didDeposit": "0.005 PEAQ",
        "live": True,
    },
    "agung": {
        "name": "agung",
        "rpcUrl": "https://peaq-agung.api.onfinality.io/public",
        "chainId": 9990,
        "contracts": {
            "identityRegistry": "0x9E9463a65c7B74623b3b6Cdc39F71be7274e5971",
            "identityStaking": "0x55f336714aDb0749DbFE33b057a1702405564E3d",
            "machineNft": "0xB41C2A4f1c19b6B06beaAce0F5CD8439e77C4b1c",
            **_AGUNG_V2,
        },
        "confirmations": {"tag": "finalized"},
        "didDeposit": "0.1 PEAQ",
        "live": True,
    },
}
ADDRESSES = frozenset(address for network in PRESETS.values() for address in network["contracts"].values())
"""Those of the presets, in their right spelling."""
LIVE_CHAINS = frozenset(network["chainId"] for network in PRESETS.values() if network["live"])


def written(preset: str) -> dict[str, Any]:
    """A preset as it would be written out in a manifest."""
    return deepcopy(dict(PRESETS[preset]))


def completed(network: Mapping[str, Any]) -> dict[str, Any]:
    """A network written out by hand, with what follows from its chain id: live chains count from finality."""
    if network.get("chainId") in LIVE_CHAINS:
        network = {**network, "live": True}
    finality: dict[str, Any] = {"confirmations": {"tag": "finalized"}} if network.get("live") is True else {}
    return {**finality, **network}
