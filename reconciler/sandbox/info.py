"""What a running sandbox tells its users: one JSON file and the environment it means."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from reconciler.sandbox.config import AGUNG_CHAIN_ID, PEAQ_CHAIN_ID, V1_CHAIN_ID, Contracts, ContractsV2, contracts_v2

FILE = "sandbox.json"
FORMAT = 1
PINNED = (AGUNG_CHAIN_ID, PEAQ_CHAIN_ID)
"""Chains whose v2 contracts peaq's own clients know."""


@dataclass(frozen=True)
class SandboxInfo:
    """A running sandbox. Holds secrets: of this sandbox only, worth nothing elsewhere."""

    directory: Path
    port: int
    api_key: str
    operator_address: str
    operator_private_key: str
    totp_secret: str
    server_pid: int
    node_pid: int
    block_time: float = 0.0
    """Seconds between blocks; 0: one with each transaction."""
    chain_id: int = V1_CHAIN_ID
    contracts: Contracts = field(default_factory=Contracts)

    @property
    def v2(self) -> ContractsV2:
        return contracts_v2(self.chain_id)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def rpc_url(self) -> str:
        return f"{self.url}/rpc"

    @property
    def markets_url(self) -> str:
        return f"{self.url}/markets"

    @property
    def mcr_url(self) -> str:
        return f"{self.url}/mcr"

    @property
    def gas_station_url(self) -> str:
        return f"{self.url}/gas-station"

    def env(self) -> dict[str, str]:
        """The environment under which peaq's own clients, and ours, use this sandbox."""
        pinned = {"PEAQOS_DEPLOYMENT_ID": self.v2.deployment} if self.chain_id in PINNED else {}
        return pinned | {
            "PEAQOS_RPC_URL": self.rpc_url,
            "PEAQOS_PRIVATE_KEY": self.operator_private_key,
            "IDENTITY_REGISTRY_ADDRESS": self.contracts.identity_registry,
            "IDENTITY_STAKING_ADDRESS": self.contracts.identity_staking,
            "EVENT_REGISTRY_ADDRESS": self.contracts.event_registry,
            "MACHINE_NFT_ADDRESS": self.contracts.machine_nft,
            "DID_REGISTRY_ADDRESS": self.contracts.did,
            "BATCH_PRECOMPILE_ADDRESS": self.contracts.batch,
            "PEAQOS_MCR_API_URL": self.mcr_url,
            "PEAQOS_ORCHESTRATION_URL": self.markets_url,
            "PEAQOS_API_KEY": self.api_key,
            "PEAQOS_GAS_STATION_URL": self.gas_station_url,
            "PEAQOS_TOTP_SECRET": self.totp_secret,
            "FLEETCTL_OPERATOR_ADDRESS": self.operator_address,
        }

    def to_json(self) -> str:
        """The content of sandbox.json."""
        operator = {"address": self.operator_address, "private_key": self.operator_private_key}
        content = {
            "formatVersion": FORMAT,
            "rpc_url": self.rpc_url,
            "markets_url": self.markets_url,
            "mcr_url": self.mcr_url,
            "gas_station_url": self.gas_station_url,
            "port": self.port,
            "block_time": self.block_time,
            "chain_id": self.chain_id,
            "contracts": asdict(self.contracts),
            "contracts_v2": asdict(self.v2),
            "api_key": self.api_key,
            "totp_secret": self.totp_secret,
            "keys": {"operator": operator},
            "pids": {"server": self.server_pid, "node": self.node_pid},
        }
        return json.dumps(content, indent=2) + "\n"


def read_info(directory: Path) -> SandboxInfo | None:
    """What the file says, running or not; None where there is no readable one."""
    try:
        content: dict[str, Any] = json.loads((directory / FILE).read_text(encoding="utf-8"))
        if content["formatVersion"] != FORMAT:
            return None
        return SandboxInfo(
            directory=directory, port=content["port"], block_time=content["block_time"],
            api_key=content["api_key"], totp_secret=content["totp_secret"], chain_id=content["chain_id"],
            operator_address=content["keys"]["operator"]["address"],
            operator_private_key=content["keys"]["operator"]["private_key"],
            server_pid=content["pids"]["server"], node_pid=content["pids"]["node"],
            contracts=Contracts(**content["contracts"]),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        return None
