"""The two protocols as data: what a fleet of each is like, whose loop it is held against, and what waits for what."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from eth_utils.crypto import keccak

from reconciler.manifest.networks import written
from reconciler.sandbox.config import AGUNG_CHAIN_ID, V1_CHAIN_ID


@dataclass(frozen=True)
class Protocol:
    """One of them. A wave is what can be in one block; each waits for those before it."""

    title: str
    """Of its section in RESULTS.md."""
    pin: str
    """peaq's own SDK that speaks it."""
    environment: str
    """Directory of the environment that has it, unless `variable` says another."""
    variable: str
    loop: str
    """The program that brings a fleet up with it, in this directory."""
    chain_id: int
    head: str
    machine: str
    """The line of one machine in the manifest."""
    keys: bool
    """Whether machines have keys of their own."""
    registered: bool
    """Whether the operator is registered beforehand."""
    waves: Mapping[str, str]
    """By the selector of a call."""
    own: Mapping[str, str] = field(default_factory=dict)
    """By the selector of a call that the operator sends, where that is another wave."""

    @property
    def sdk(self) -> str:
        return self.pin.removeprefix("peaq-os-").replace("sdk==", "SDK ") + " loop"


def selector(signature: str) -> str:
    return keccak(text=signature)[:4].hex()


HEAD = """\
apiVersion: fleetctl/v1
kind: Fleet
name: docks
network: {network}
protocol: {protocol}
operator: {{key: {{env: PEAQOS_PRIVATE_KEY}}}}
{fleet}defaults:
  metadata: {{documentationUrl: "https://docs.example.com/{{name}}", dataApi: "https://data.example.com/{{name}}"}}
  {defaults}
machines:
"""
FUNDING = "v1: {publishFleet: true, funding: {from: operator, below: 0.05 PEAQ, to: 1 PEAQ}}\n"
REGISTER, MINT, ATTRIBUTES = "registrations and funding", "mints and publication", "DID attributes"
WRITES = [selector(f"{verb}Attribute(address,bytes,bytes,uint32)") for verb in ("add", "update")]
V1 = Protocol(
    title="## Apply",
    pin="peaq-os-sdk==0.11.2",
    environment=".venv-interop",
    variable="FLEETCTL_INTEROP_VENV",
    loop="sdk_loop.py",
    chain_id=V1_CHAIN_ID,
    head=HEAD.format(protocol="v1", network="sandbox", fleet=FUNDING, defaults="v1: {dataVisibility: public}"),
    machine="  - {{name: {name}, key: {{file: keys/{name}.key}}}}\n",
    keys=True,
    registered=True,
    waves={
        "": REGISTER,
        selector("register()"): REGISTER,
        selector("registerFor(address)"): REGISTER,
        selector("mint(uint256,address)"): MINT,
        **dict.fromkeys(WRITES, ATTRIBUTES),
    },
    # Its attributes are the publication, which needs registrations only.
    own=dict.fromkeys(WRITES, MINT),
)
# The sandbox by agung's chain id: peaq's SDK for v2 accepts no chain that it does not know. It waits for one
# confirmation, which on agung itself would be finality for fleetctl.
NETWORK = json.dumps({**written("agung"), "rpcUrl": "${PEAQOS_RPC_URL}", "confirmations": {"depth": 1}})
ACTIVATION = "the allowance and activations"
METHODS, ENDPOINTS = "(string,string,address,string)[]", "(string,string,string)[]"
V2 = Protocol(
    title="## Apply, protocol v2",
    pin="peaq-os-sdk==0.12.1",
    environment=".venv-interop-v2",
    variable="FLEETCTL_INTEROP_V2_VENV",
    loop="sdk_loop_v2.py",
    chain_id=AGUNG_CHAIN_ID,
    head=HEAD.format(
        protocol="v2", network=NETWORK, fleet="", defaults='v2: {machineType: dock, credentialSubject: "docks {name}"}'
    ),
    machine="  - {{name: {name}}}\n",
    keys=False,
    registered=False,
    # All are the operator's, whose nonces keep them in order within a block: nothing waits for a block.
    waves={
        selector("approve(address,uint256)"): ACTIVATION,
        selector(
            f"activateMachine((string,address,{METHODS},uint256[],{ENDPOINTS}),string,bytes,address,uint8)"
        ): ACTIVATION,
    },
)
PROTOCOLS = {"v1": V1, "v2": V2}
