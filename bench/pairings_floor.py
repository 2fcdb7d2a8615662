"""The bare loop: a PATCH, a challenge, a session and a file for each pairing, thirty-two at once, and nothing else.

Reads {"policy": ..., "key": the agent's, "secrets": directory} from stdin, and the sandbox from the environment.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import httpx
from eth_account import Account
from eth_account.messages import encode_defunct

AT_ONCE, PAGE = 64, 500


async def renew(http: httpx.AsyncClient, record: dict[str, Any], wanted: dict[str, Any]) -> None:
    base = f"{os.environ['PEAQOS_ORCHESTRATION_URL']}/api/v1/machines/{record['id']}/agent-pairings"
    (pairing,) = (await http.get(base)).raise_for_status().json()["items"]
    changed = await http.patch(f"{base}/{pairing['id']}", json={"delegationPolicy": wanted["policy"]})
    changed.raise_for_status()
    who = {name: pairing[name] for name in ("agentAddress", "agentDid", "agentProvider", "agentRole")}
    challenge = (await http.post(f"{base}/challenges", json=who)).raise_for_status().json()["item"]
    signed = Account.sign_message(encode_defunct(text=challenge["message"]), wanted["key"]).signature
    proof = {"challengeId": challenge["challengeId"], "signature": "0x" + bytes(signed).hex()}
    session = await http.post(f"{base}/{pairing['id']}/sessions", json={"agentProof": proof})
    token = session.raise_for_status().json()["item"]["pairingToken"]
    (Path(wanted["secrets"]) / f"{record['displayName']}.ops.token").write_text(token + "\n")


async def main() -> None:
    wanted = json.load(sys.stdin)
    headers, slots = {"x-api-key": os.environ["PEAQOS_API_KEY"]}, asyncio.Semaphore(AT_ONCE)
    limits = httpx.Limits(max_connections=AT_ONCE)
    async with httpx.AsyncClient(timeout=60, trust_env=False, headers=headers, limits=limits) as http:
        records = [record async for record in listed(http)]

        async def one(record: dict[str, Any]) -> None:
            async with slots:
                await renew(http, record, wanted)

        await asyncio.gather(*map(one, records))


async def listed(http: httpx.AsyncClient) -> Any:
    cursor: dict[str, str] | None = {}
    while cursor is not None:
        url = os.environ["PEAQOS_ORCHESTRATION_URL"] + "/api/v1/machines"
        page = (await http.get(url, params={"limit": PAGE, **cursor})).raise_for_status().json()
        for record in page["items"]:
            yield record
        cursor = {"cursor": page["nextCursor"]} if page.get("nextCursor") else None


if __name__ == "__main__":
    asyncio.run(main())
