"""Machines of protocol v2 as a user of the SDK takes them live, keeps them and brings them to market."""

import os
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

import requests
from eth_account import Account
from eth_account.messages import encode_defunct
from peaq_os_sdk import DeploymentConfig, PeaqosClient
from peaq_os_sdk.onboarding.activation_types import ActivateMachineParams, ServiceEndpointInput
from peaq_os_sdk.onboarding.management_types import PreviewMachineRenewalParams, RenewMachineParams
from peaq_os_sdk.orchestration.types.agent_pairing import (
    AgentProofInput,
    CreateAgentPairingChallengeRequest,
    CreateAgentPairingRequest,
)
from peaq_os_sdk.orchestration.types.machine import (
    CreateMachineIdentityChallengeRequest,
    CreateMachineRequest,
    MachineIdentityProofInput,
    UpdateMachineRequest,
)
from requests.adapters import HTTPAdapter

Json = dict[str, Any]
AGENT = {"agent_provider": "anthropic", "agent_role": "ops"}


def client_of(key: str | None = None) -> PeaqosClient:
    """The environment's operator, or whoever holds the key."""
    return PeaqosClient(
        rpc_url=os.environ["PEAQOS_RPC_URL"],
        private_key=key or os.environ["PEAQOS_PRIVATE_KEY"],
        orchestration_url=os.environ["PEAQOS_ORCHESTRATION_URL"],
        api_key=os.environ["PEAQOS_API_KEY"],
        deployment=DeploymentConfig(deployment_id=os.environ["PEAQOS_DEPLOYMENT_ID"]),
    )


def preview(subject: str, controller: str) -> Json:
    return asdict(client_of().preview_machine_activation(_wanted(subject, controller)))


def activate(subject: str, controller: str) -> Json:
    result = client_of().activate_machine(_wanted(subject, controller))
    return {
        "id": result.machine_id,
        "owner": result.owner,
        "net": result.net_peaq_amount,
        "tx": result.transaction_hash,
    }


def state(machine_id: int) -> Json:
    return asdict(client_of().get_machine_management_state(machine_id))


def suspend_and_resume(machine_id: int, key: str) -> list[bool]:
    """Whether it was paused after each."""
    controller = client_of(key)
    found = []
    for verb in (controller.suspend_machine, controller.resume_machine):
        verb(machine_id)
        found.append(controller.get_machine_management_state(machine_id).pause_flags.is_operator_paused)
    return found


def renew(machine_id: int, key: str) -> Json:
    payer = client_of(key)
    terms = payer.preview_machine_renewal(PreviewMachineRenewalParams(machine_id=machine_id, payment="peaq"))
    net = terms.max_net_peaq_amount
    result = payer.renew_machine(RenewMachineParams(machine_id=machine_id, payment="peaq", max_net_peaq_amount=net))
    return {
        "before": result.previous_period_end,
        "after": result.subscription.period_end,
        "net": result.net_peaq_amount,
    }


def set_endpoints(machine_id: int, endpoints: list[list[str]], key: str) -> list[Json]:
    client = client_of(key)
    client.set_machine_service_endpoints(machine_id, [ServiceEndpointInput(*endpoint) for endpoint in endpoints])
    document = client.get_machine_management_state(machine_id).did_document
    return [asdict(endpoint) for endpoint in document.service_endpoints]


def set_controller(machine_id: int, controller: str, key: str) -> str:
    client = client_of(key)
    client.set_machine_controller(machine_id, controller)
    return str(client.get_machine_management_state(machine_id).controller)


def enrol(machine_id: str, reference: str, key: str) -> Json:
    """The record of a machine, made with a proof by this key and activated."""
    market = client_of().orchestration
    asked = CreateMachineIdentityChallengeRequest(identity_ref=reference)
    challenge = market.create_machine_identity_challenge(asked).item
    proof = MachineIdentityProofInput(challenge.challenge_id, _sign(key, challenge.message))
    request = CreateMachineRequest(
        display_name=f"machine {machine_id[:6]}",
        owner_id="acme",
        machine_type="sensor",
        runtime_profile="linux-arm64",
        identity_ref=reference,
        identity_proof=proof,
    )
    record = market.create_machine(request).item
    market.update_machine(record.id, UpdateMachineRequest(status="active"))
    seen = market.get_machine(record.id).item
    listed = [machine.id for machine in market.list_machines().items]
    return {
        "id": seen.id,
        "status": seen.status,
        "ref": seen.identity_ref,
        "controllers": list(challenge.controller_addresses),
        "listed": record.id in listed,
    }


def pair(record: str, agent_key: str) -> Json:
    market, agent = client_of().orchestration, Account.from_key(agent_key)
    asked = CreateAgentPairingChallengeRequest(agent_address=agent.address, **AGENT)
    challenge = market.create_agent_pairing_challenge(record, asked).item
    proof = AgentProofInput(challenge.challenge_id, _sign(agent_key, challenge.message))
    request = CreateAgentPairingRequest(agent_address=agent.address, agent_proof=proof, **AGENT)
    pairing = market.create_agent_pairing(record, request).item
    return {"status": pairing.status, "ref": challenge.machine_identity_ref, "token": bool(pairing.pairing_token)}


def rate(machine_id: int) -> Json:
    """What the MCR that belongs to the deployment says, asked at the sandbox."""
    client = client_of()
    client.session.mount("https://mcr.peaq.xyz", _Local(os.environ["PEAQOS_MCR_API_URL"]))
    did = f"did:peaq:{machine_id}"
    return {
        "card": client.query_mcr(did),
        "profile": client.query_machine(did),
        "fleet": client.query_operator_machines(f"did:peaq:{client.address}"),
    }


class _Local(HTTPAdapter):
    """Asks another host."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self._base = base

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        request.url = self._base + urlsplit(request.url or "").path
        return super().send(request, *args, **options)


def _wanted(subject: str, controller: str) -> ActivateMachineParams:
    return ActivateMachineParams(
        controller=controller,
        verification_methods=(),
        authentication=(),
        service_endpoints=(ServiceEndpointInput("#docs", "documentation", "https://docs.example.com/a"),),
        machine_type="sensor",
        credential_subject=subject.encode(),
        manufacturer=controller,
        tier=0,
    )


def _sign(key: str, message: str) -> str:
    """EIP-191, as 0x-hex."""
    return "0x" + bytes(Account.sign_message(encode_defunct(text=message), key).signature).hex()
