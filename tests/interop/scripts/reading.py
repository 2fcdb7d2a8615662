"""What the SDK says of a fleet, whoever made it."""

from dataclasses import asdict
from typing import Any

from clients import proxy_client
from peaq_os_sdk import PeaqosClient
from peaq_os_sdk.did.did_precompile import read_attribute
from peaq_os_sdk.types.orchestration.market_search import MarketSearchRequest

ATTRIBUTES = ("machineId", "nftTokenId", "operator", "documentation_url", "data_api", "data_visibility")
Json = dict[str, Any]


def read_fleet(machines: dict[str, str]) -> Json:
    """Everything about the operator of the environment and the machines given as name: address."""
    proxy = proxy_client()
    records = {record.identity_ref: record for record in proxy.orchestration.list_machines_all()}
    return {
        "operator": {
            "id": _registered(proxy, proxy.address),
            "machineId": read_attribute(proxy, proxy.address, "machineId")["value"],
            "machines": read_attribute(proxy, proxy.address, "machines")["value"],
            "mcr": proxy.query_operator_machines(f"did:peaq:{proxy.address}"),
        },
        "policies": {policy.name: asdict(policy) for policy in proxy.orchestration.list_policies().items},
        "machines": {
            name: _machine(proxy, address, records[f"did:peaq:{address}"].id) for name, address in machines.items()
        },
    }


def search(machine_id: str, pairing_id: str, token: str, service_type: str) -> Json:
    """A market search as the agent that holds the token."""
    request = MarketSearchRequest(machine_id=machine_id, agent_pairing_id=pairing_id, service_type=service_type)
    return asdict(proxy_client().orchestration.search_market(request, token).item)


def _machine(proxy: PeaqosClient, address: str, record: str) -> Json:
    did, machine_id = f"did:peaq:{address}", _registered(proxy, address)
    return {
        "id": machine_id,
        "token": proxy.token_id_of(machine_id),
        "holder": proxy.machine_nft.functions.ownerOf(proxy.token_id_of(machine_id)).call(),
        "attributes": {name: read_attribute(proxy, address, name)["value"] for name in ATTRIBUTES},
        "mcr": proxy.query_mcr(did),
        "profile": proxy.query_machine(did),
        "record": asdict(proxy.orchestration.get_machine(record).item),
        "pairings": [asdict(pairing) for pairing in proxy.orchestration.list_agent_pairings_all(record)],
        "endpoints": [asdict(endpoint) for endpoint in proxy.orchestration.list_runtime_endpoints_all(record)],
    }


def _registered(proxy: PeaqosClient, address: str) -> int:
    return int(proxy.identity_registry.functions.machineIdOfOwner(address).call())
