"""What peaq-os-sdk as published says of some machines, and how long it takes. Runs where there is nothing but the SDK.

Reads {"machines": {name: address}, "operator": address, "attributes": [...]} from stdin.
"""

import json
import sys
import time
from typing import Any

from peaq_os_sdk import PeaqosClient
from peaq_os_sdk.did.did_precompile import read_attribute


def main() -> None:
    wanted = json.load(sys.stdin)
    client = PeaqosClient.from_env()
    begun = time.perf_counter()
    records = {record.identity_ref: record for record in client.orchestration.list_machines_all()}
    listed = time.perf_counter()
    found = {name: machine(client, records, address, wanted) for name, address in wanted["machines"].items()}
    ended = time.perf_counter()
    print(json.dumps({"listing": listed - begun, "machines": ended - listed, "records": len(records), "found": found}))


def machine(client: PeaqosClient, records: dict[str, Any], address: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """The questions that a plan asks about one machine, each asked as the SDK asks it."""
    registry, nft = client.identity_registry.functions, client.machine_nft.functions
    ident = registry.machineIdOfOwner(address).call()
    _, _, exists, status = registry.getVerificationInfo(ident).call()
    token = client.token_id_of(ident)
    record = records[f"did:peaq:{address}"]
    pairings = client.orchestration.list_agent_pairings_all(record.id)
    return {
        "id": ident,
        "exists": exists,
        "status": status,
        "operator": registry.operatorOf(ident).call(),
        "token": token,
        "holder": nft.ownerOf(token).call(),
        "balance": client.web3.eth.get_balance(address),
        "attributes": {name: read_attribute(client, address, name)["value"] for name in wanted["attributes"]},
        "record": {"name": record.display_name, "status": record.status, "owner": record.owner_id},
        "pairings": [[p.agent_address, p.agent_provider, p.agent_role, p.status, p.has_auth_token] for p in pairings],
    }


if __name__ == "__main__":
    main()
