"""Changes behind fleetctl's back, one at a time, made with the SDK."""

import json
from typing import Any

from clients import machine_client, proxy_client
from peaq_os_sdk import PeaqosClient
from peaq_os_sdk.types.orchestration.agent_pairing import DelegationPolicy, UpdateAgentPairingRequest
from peaq_os_sdk.types.orchestration.machine import UpdateMachineRequest
from peaq_os_sdk.types.orchestration.policy import UpdatePolicyRequest

TRANSFER_GAS = 21_000


def write_attribute(name: str, value: Any, key: str | None = None) -> None:
    """On the DID of the key's account, or else of the operator; what is not text is written as JSON."""
    client = proxy_client() if key is None else machine_client(proxy_client(), key)
    text = value if isinstance(value, str) else json.dumps(value)
    function = client.did_precompile.functions.updateAttribute(client.address, name.encode(), text.encode(), 0)
    _send(client, function.build_transaction(_fields(client)))


def drain(key: str) -> None:
    """Sends all of a wallet to the operator."""
    proxy = proxy_client()
    client = machine_client(proxy, key)
    price = client.web3.eth.gas_price
    value = client.web3.eth.get_balance(client.address) - TRANSFER_GAS * price
    plain = {"to": proxy.address, "value": value, "gas": TRANSFER_GAS, "gasPrice": price}
    _send(client, {**_fields(client), **plain, "chainId": client.web3.eth.chain_id})


def change_pairing(record: str, pairing: str, status: str | None = None, policy: Any = None) -> None:
    """`policy`: one of pairings' own, with fields replaced, as snake_case names."""
    delegation = None if policy is None else DelegationPolicy(**policy)
    request = UpdateAgentPairingRequest(status=status, delegation_policy=delegation)
    proxy_client().orchestration.update_agent_pairing(record, pairing, request)


def change_record(record: str, display_name: str) -> None:
    proxy_client().orchestration.update_machine(record, UpdateMachineRequest(display_name=display_name))


def change_policy(policy: str, region_rules: list[str]) -> None:
    request = UpdatePolicyRequest(region_rules=tuple(region_rules))
    proxy_client().orchestration.update_policy(policy, request)


def delete_endpoint(record: str, provider: str) -> None:
    proxy_client().orchestration.delete_runtime_endpoint(record, provider)


def _fields(client: PeaqosClient) -> dict[str, Any]:
    return {"from": client.address, "nonce": client.web3.eth.get_transaction_count(client.address)}


def _send(client: PeaqosClient, transaction: dict[str, Any]) -> None:
    signed = client.account.sign_transaction({k: v for k, v in transaction.items() if k != "from"})
    sent = client.web3.eth.send_raw_transaction(signed.raw_transaction)
    receipt = client.web3.eth.wait_for_transaction_receipt(sent, timeout=30)
    if receipt["status"] != 1:
        raise RuntimeError(f"transaction {sent.hex()} failed")
