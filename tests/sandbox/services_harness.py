"""A running services process with a chain made of plain data, and a client that knows the way in."""

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount

from reconciler.sandbox.config import SandboxConfig
from reconciler.sandbox.services import build_services
from reconciler.sandbox.services.chainview import ChainUnavailable, MachineFacts, MintedFacts, TransferRefused

API = "/markets/api/v1"
OPERATOR: LocalAccount = Account.from_key("0x" + "0a" * 32)
AGENT: LocalAccount = Account.from_key("0x" + "0b" * 32)
STRANGER: LocalAccount = Account.from_key("0x" + "0c" * 32)
TOTP_SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@dataclass
class FakeChain:
    """A `ChainView` of dictionaries; `down` makes every question fail."""

    facts: dict[int, MachineFacts] = field(default_factory=dict)
    tokens: dict[int, MintedFacts] = field(default_factory=dict)
    dids: dict[tuple[str, str], str] = field(default_factory=dict)
    balances: dict[str, int] = field(default_factory=dict)
    transfers: list[tuple[str, int]] = field(default_factory=list)
    down: bool = False

    def add_machine(self, account: LocalAccount, *, bonded: bool = True, bind: bool = True) -> MachineFacts:
        machine_id = len(self.facts) + 1
        fact = MachineFacts(machine_id, account.address, account.address, OPERATOR.address, 1, bonded, 40 + machine_id)
        self.facts[machine_id] = fact
        if bind:
            self.dids[account.address, "machineId"] = str(machine_id)
        return fact

    def change(self, machine_id: int, **fields: Any) -> None:
        self.facts[machine_id] = replace(self.facts[machine_id], **fields)

    async def machines(self, ids: Sequence[int]) -> list[MachineFacts | None]:
        self._up()
        return [self.facts.get(machine_id) for machine_id in ids]

    async def minted(self, ids: Sequence[int]) -> list[MintedFacts | None]:
        self._up()
        return [self.tokens.get(token) for token in ids]

    async def minted_for(self, address: str) -> list[int]:
        self._up()
        return [fact.machine_id for fact in self.tokens.values() if address in (fact.owner, fact.controller)]

    async def attributes(self, wanted: Sequence[tuple[str, str]]) -> list[str | None]:
        self._up()
        return [self.dids.get(key) for key in wanted]

    async def machine_of_token(self, token_id: int) -> int:
        self._up()
        return next((f.machine_id for f in self.facts.values() if f.token_id == token_id), 0)

    async def balance(self, address: str) -> int:
        self._up()
        return self.balances.get(address, 0)

    async def send(self, sender: str, to: str, value: int) -> str:
        if self.down:
            raise TransferRefused("down")
        self.transfers.append((to, value))
        self.balances[to] = self.balances.get(to, 0) + value
        return "0x" + "11" * 32

    async def problem(self) -> str | None:
        return "down" if self.down else None

    def _up(self) -> None:
        if self.down:
            raise ChainUnavailable("down")


def sign(account: LocalAccount, message: str) -> str:
    return "0x" + account.sign_message(encode_defunct(text=message)).signature.hex().removeprefix("0x")


class Client:
    """Speaks HTTP to one running services process."""

    def __init__(self, base: str, chain: FakeChain) -> None:
        self.base = base
        self.chain = chain
        self.http = httpx.Client(base_url=base, timeout=10, trust_env=False)
        self._keys = 0

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        if body is not None:
            options["json"] = body
        return self.http.request(method, path, **options)

    def api(self, method: str, path: str, body: Any = None, *, expect: int, **options: Any) -> Any:
        """The item, the list body, or the error code of one Machine Markets call."""
        response = self.call(method, API + path, body, **options)
        assert response.status_code == expect, response.text
        if response.status_code == 204:
            assert response.content == b""
            return None
        answer = response.json()
        if response.status_code >= 400:
            assert isinstance(answer["error"]["message"], str)
            return answer["error"]["code"]
        return answer.get("item", answer)

    def faults(self, *rules: dict[str, Any], **switches: Any) -> None:
        response = self.call("POST", "/sandbox/faults/services", {"switches": switches, "rules": list(rules)})
        assert response.status_code == 200, response.text

    # What a test needs before it can begin.

    def account(self) -> LocalAccount:
        self._keys += 1
        return Account.from_key((0x5000 + self._keys).to_bytes(32, "big"))

    def account_with_machine(self) -> LocalAccount:
        account = self.account()
        self.chain.add_machine(account)
        return account

    def identity_proof(self, ref: str, signer: LocalAccount) -> dict[str, str]:
        challenge = self.api("POST", "/machine-identity/challenges", {"identityRef": ref}, expect=201)
        return {
            "challengeId": challenge["challengeId"],
            "signature": sign(signer, challenge["message"]),
        }

    def draft_body(self, account: LocalAccount, **fields: Any) -> dict[str, Any]:
        ref = f"did:peaq:{account.address}"
        return {
            "displayName": "press",
            "ownerId": "acme",
            "machineType": "robot",
            "runtimeProfile": "linux-docker",
            "identityRef": ref,
            "identityProof": self.identity_proof(ref, account),
            **fields,
        }

    def draft(self, account: LocalAccount | None = None, **fields: Any) -> Any:
        account = account or self.account_with_machine()
        return self.api("POST", "/machines", self.draft_body(account, **fields), expect=201)

    def machine(self, account: LocalAccount | None = None, **fields: Any) -> Any:
        draft = self.draft(account, **fields)
        return self.api("PATCH", f"/machines/{draft['id']}", {"status": "active"}, expect=200)

    def agent_proof(
        self, machine_id: str, agent: LocalAccount = AGENT, signer: LocalAccount | None = None, **fields: Any
    ) -> dict[str, str]:
        body = {"agentAddress": agent.address, "agentProvider": "anthropic", "agentRole": "ops", **fields}
        path = f"/machines/{machine_id}/agent-pairings/challenges"
        challenge = self.api("POST", path, body, expect=201)
        return {
            "challengeId": challenge["challengeId"],
            "signature": sign(signer or agent, challenge["message"]),
        }

    def pairing_body(self, machine_id: str, agent: LocalAccount = AGENT, **fields: Any) -> dict[str, Any]:
        return {
            "agentAddress": agent.address,
            "agentProvider": "anthropic",
            "agentRole": "ops",
            "agentProof": self.agent_proof(machine_id, agent),
            **fields,
        }

    def pair(self, machine_id: str, agent: LocalAccount = AGENT, **fields: Any) -> Any:
        body = self.pairing_body(machine_id, agent, **fields)
        return self.api("POST", f"/machines/{machine_id}/agent-pairings", body, expect=201)

    def search(self, token: str, *, expect: int, service_type: str = "storage.object", **fields: Any) -> Any:
        headers = {"x-agent-pairing-token": token}
        body = {"serviceType": service_type, **fields}
        return self.api("POST", "/market/search", body, expect=expect, headers=headers)


@contextmanager
def serving(directory: Path, chain: FakeChain, **config: Any) -> Iterator[Client]:
    settings = SandboxConfig(
        directory=directory,
        node_url="http://127.0.0.1:9",
        faucet_address="0x" + "fa" * 20,
        operator_address=OPERATOR.address,
        **config,
    )
    app = build_services(settings, chain)
    # With the protocol named, asyncio turns Nagle off: 40 ms less for each answer.
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    client = Client(f"http://127.0.0.1:{listener.getsockname()[1]}", chain)
    try:
        yield client
    finally:
        client.http.close()
        server.should_exit = True
        thread.join(10)
        listener.close()
