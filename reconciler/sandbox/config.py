"""What the parts of the sandbox agree on: names, addresses and places."""

from dataclasses import dataclass, field
from pathlib import Path

V1_CHAIN_ID = 31338
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
