"""The proxy flow of peaq's own guide, step by step, then the way of each machine into Machine Markets."""

import base64
import hashlib
import hmac
import os
import struct
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

from clients import machine_client, proxy_client, sign
from peaq_os_sdk import PeaqosClient
from peaq_os_sdk.types.orchestration.agent_pairing import (
    AgentProofInput,
    CreateAgentPairingChallengeRequest,
    CreateAgentPairingRequest,
    DelegationPolicy,
)
from peaq_os_sdk.types.orchestration.machine import (
    CreateMachineIdentityChallengeRequest,
    CreateMachineRequest,
    MachineIdentityProofInput,
    UpdateMachineRequest,
)

Json = dict[str, Any]


def founding_flow(names: list[str], lower: list[str], metadata: Json, market: Json, agent: Json, policy: Json) -> Json:
    """Onboards the proxy of the environment and a machine for each name, as a user of the SDK would.

    `lower`: machines whose DIDs are written without the checksum of addresses, as many programs do.
    """
    proxy = proxy_client()
    gas_station = os.environ["PEAQOS_GAS_STATION_URL"]
    proxy_machine_id = proxy.register_machine()
    secret = _enrol(proxy, gas_station)
    agent_address, agent_key = PeaqosClient.generate_keypair()
    fleet = []
    for name in names:
        spell = str.lower if name in lower else str
        address, key = PeaqosClient.generate_keypair()
        machine_id = proxy.register_for(address)
        proxy.mint_nft(machine_id, address)
        nft_token_id = proxy.token_id_of(machine_id)
        funded = proxy.fund_from_gas_station(
            owner_address=proxy.address,
            target_wallet_address=address,
            chain_id="peaq",
            two_factor_code=_totp(secret),
            faucet_base_url=gas_station,
        )
        machine_client(proxy, key).write_machine_did_attributes(
            machine_id=machine_id,
            nft_token_id=nft_token_id,
            operator_did=spell(f"did:peaq:{proxy.address}"),
            documentation_url=metadata["documentationUrl"],
            data_api=metadata["dataApi"],
            data_visibility=metadata["dataVisibility"],
        )
        fleet.append({"name": name, "address": address, "key": key, "id": machine_id, "token": nft_token_id})
        fleet[-1] |= {"did": spell(f"did:peaq:{address}"), "funded": funded["status"]}
    proxy.write_proxy_did_attributes(proxy_machine_id, [machine["id"] for machine in fleet])
    for machine in fleet:
        machine["record"] = _enrol_machine(proxy, machine, market)
        machine["pairing"] = _pair(proxy, machine["record"], agent_address, agent_key, agent, policy)
    return {
        "operator": {"address": proxy.address, "id": proxy_machine_id},
        "agent": {"address": agent_address, "key": agent_key},
        "machines": fleet,
    }


def _enrol_machine(proxy: PeaqosClient, machine: Json, market: Json) -> str:
    """Id of the machine's record: a draft with a proof by the machine's key, then active."""
    asked = CreateMachineIdentityChallengeRequest(identity_ref=machine["did"])
    challenge = proxy.orchestration.create_machine_identity_challenge(asked).item
    proof = MachineIdentityProofInput(challenge.challenge_id, sign(machine["key"], challenge.message))
    request = CreateMachineRequest(
        display_name=machine["name"],
        owner_id=f"did:peaq:{proxy.address}",
        machine_type=market["machineType"],
        runtime_profile=market["runtimeProfile"],
        identity_ref=machine["did"],
        identity_proof=proof,
        capabilities=tuple(market["capabilities"]),
    )
    record = proxy.orchestration.create_machine(request).item
    proxy.orchestration.update_machine(record.id, UpdateMachineRequest(status="active"))
    return record.id


def _pair(proxy: PeaqosClient, record: str, address: str, key: str, agent: Json, policy: Json) -> Json:
    """Id of the pairing and its token, which is shown just this once."""
    who = {"agent_address": address, "agent_provider": agent["provider"], "agent_role": agent["role"]}
    asked = CreateAgentPairingChallengeRequest(**who)
    challenge = proxy.orchestration.create_agent_pairing_challenge(record, asked).item
    proof = AgentProofInput(challenge.challenge_id, sign(key, challenge.message))
    delegation = DelegationPolicy(
        allowed_skill_keys=tuple(policy["allowedSkillKeys"]),
        denied_skill_keys=(),
        allowed_service_ids=(),
        denied_service_ids=(),
        per_transaction_limit=policy["perTransactionLimit"],
        daily_spend_limit=policy["dailySpendLimit"],
        currency=policy["currency"],
    )
    request = CreateAgentPairingRequest(**who, agent_proof=proof, delegation_policy=delegation)
    pairing = proxy.orchestration.create_agent_pairing(record, request).item
    return {"id": pairing.id, "token": pairing.pairing_token}


def _enrol(proxy: PeaqosClient, gas_station: str) -> str:
    """Secret of the proxy's second factor, set up and confirmed."""
    setup = proxy.setup_faucet_2fa(proxy.address, gas_station)
    (secret,) = parse_qs(urlsplit(setup["otpauth_uri"]).query)["secret"]
    proxy.confirm_faucet_2fa(proxy.address, gas_station, _totp(secret))
    return secret


def _totp(secret: str) -> str:
    """The code of now: RFC 6238 with its usual parameters."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", int(time.time()) // 30), hashlib.sha1).digest()
    (number,) = struct.unpack(">I", digest[(start := digest[-1] & 15) : start + 4])
    return f"{(number & 0x7FFFFFFF) % 10**6:06d}"
