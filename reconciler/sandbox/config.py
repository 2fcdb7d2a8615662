"""What the parts of the sandbox agree on: names, addresses and places."""

from dataclasses import dataclass, field
from pathlib import Path

V1_CHAIN_ID = 31338
AGUNG_CHAIN_ID = 9990
PEAQ_CHAIN_ID = 3338
DEFAULT_PORT = 31338

DID_PRECOMPILE = "0x0000000000000000000000000000000000000800"
BATCH_PRECOMPILE = "0x0000000000000000000000000000000000000805"
WPEAQ_PRECOMPILE = "0x0000000000000000000000000000000000000809"
MULTICALL3 = "0xcA11bde05977b3631167028862bE2a173976CA11"
DELEGATE = "0x100000000000000000000000000000000000007F"
"""Code that sandbox accounts are delegated to, so that Batch can call as them. Batch.sol knows it too."""


@dataclass(frozen=True)
class Contracts:
    """Where the v1 contracts stand on the sandbox chain: always at the same addresses."""

    identity_registry: str = "0x1000000000000000000000000000000000000001"
    identity_staking: str = "0x1000000000000000000000000000000000000002"
    event_registry: str = "0x1000000000000000000000000000000000000003"
    machine_nft: str = "0x1000000000000000000000000000000000000004"
    did: str = DID_PRECOMPILE
    batch: str = BATCH_PRECOMPILE
    wpeaq: str = WPEAQ_PRECOMPILE
    multicall: str = MULTICALL3


@dataclass(frozen=True)
class ContractsV2:
    """Where the v2 contracts stand."""

    info_desk: str
    machine_registry: str
    machine_state_and_sync: str
    machine_subscription: str
    cross_chain_mirror: str
    machine_bridge_adapter: str
    subscription_token_provision_pool: str
    event_registry: str = ""
    """Only where a client pins it."""
    deployment: str = ""
    """What peaq's own clients call this set of addresses."""


AGUNG_V2 = ContractsV2(
    info_desk="0x72b66AF120c55371cA6e5Ce38D4e10dF1bA30Bb1",
    machine_registry="0x538da35489B1F0035799a8351E67835ae4ABb377",
    machine_state_and_sync="0xA7D33726232aae30622643a18047f0Ca3e159da9",
    machine_subscription="0xaDCc5dD8CD57E3198B881c3388F25D2fD69B5aDc",
    cross_chain_mirror="0xd5F8d5944c5d488B1cD698D642FC8156a8CD0c0c",
    machine_bridge_adapter="0x0406e7bE522AEa626aee54f6258D415215e59F76",
    subscription_token_provision_pool="0x8A3692Ad0AcF79BB89413514Af9957d95032e19B",
    deployment="agung-2026-08-28",
)
PEAQ_V2 = ContractsV2(
    info_desk="0x6C7426ada37212D94477Ac4CFcA43A38177D6A82",
    machine_registry="0x64b93Cc29b251fAFa83BD110cDB1C24207f85536",
    machine_state_and_sync="0xcD1917FB2a56459AcA34FDD118e08776dE0890f2",
    machine_subscription="0x9e37AD189c334C92e6B8a812Ca4c02f35Ac43895",
    cross_chain_mirror="0x71DCB313977d6884212395505f081a2991Bfe8E5",
    machine_bridge_adapter="0x791087c35484b567c53f392a624d2e4BaDcC53DF",
    subscription_token_provision_pool="0x7088Cf400081428a41a4287B75AC633071c0e92A",
    event_registry="0xA1e7F1d7B24dAb55Dc92491e6d9B89F6E925Ad1e",
    deployment="peaq-mainnet",
)


def contracts_v2(chain_id: int) -> ContractsV2:
    """Where they stand on a sandbox of that chain id: peaq's clients know the addresses and accept no others."""
    return PEAQ_V2 if chain_id == PEAQ_CHAIN_ID else AGUNG_V2


@dataclass(frozen=True)
class SandboxConfig:
    """One running sandbox, as its server process sees it."""

    directory: Path
    node_url: str
    """The raw dev node. Private to the sandbox: users go through the front."""
    faucet_address: str
    """An unlocked account of the dev node, from which the Gas Station and initial funds are paid."""
    chain_id: int = V1_CHAIN_ID
    contracts: Contracts = field(default_factory=Contracts)
    api_key: str = ""
    """Platform key that Machine Markets demands as `x-api-key`; empty means a public API."""
    operator_address: str = ""
    """The account whose key the sandbox made and funded."""
    totp_secret: str = ""
    """Base32 secret of the operator's second factor."""

    @property
    def v2(self) -> ContractsV2:
        return contracts_v2(self.chain_id)
