"""A fleet that is made, edited and killed, and what must be true of it afterwards, counted on chain and at the service.

Nothing here believes our own journal.
"""

import json
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaos_process import Child, Ended
from e2e_harness import AT, World
from eth_account import Account
from eth_account.signers.local import LocalAccount

BASE = ("machineId", "nftTokenId", "operator", "documentation_url")
STEADY = "steady"
"""A delegation policy that edits leave alone."""
LIMITED = "limited"


@dataclass
class Fleet:
    """Directory, keys, manifest; and a book of what edits have asked for so far."""

    world: World
    root: Path
    name: str
    operator: LocalAccount = field(default_factory=Account.create)
    agents: dict[str, LocalAccount] = field(default_factory=dict)
    machines: dict[str, LocalAccount] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=dict)
    expected: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Calls on chain, as `World.effects` names them."""
    patches: Counter[str] = field(default_factory=Counter)
    """Changes of pairings, by machine/agent."""
    rotations: Counter[str] = field(default_factory=Counter)
    """Rotations that were needed, by machine/agent."""
    spare: int = 0
    """Rotations more than needed that kills may have cost."""
    since: int = 0
    made: set[str] = field(default_factory=set)
    """Machines that an apply has made: the others have nothing to edit yet."""
    runs: int = 0
    home: Path | None = None

    @classmethod
    def make(cls, world: World, root: Path, name: str, machines: int = 3, agents: int = 2, peaq: int = 100) -> "Fleet":
        root.mkdir(parents=True)
        fleet = cls(world, root, name)
        world.fund(fleet.operator.address, peaq)
        world.control("mine", blocks=4)  # so that a view of some blocks ago knows of it, too
        fleet.since = world.head()
        fleet._start([f"agent-{n}" for n in range(1, agents + 1)])
        for number in range(1, machines + 1):
            fleet.add(f"air-{number}", number)
        return fleet

    def _start(self, agents: list[str]) -> None:
        for agent in agents:
            self.agents[agent] = Account.create()
            self._write_key(agent, self.agents[agent])
        policy = {"allowedSkillKeys": ["pyth-price-feed"], "perTransactionLimit": 5, "currency": "USD"}
        self.manifest = {
            "apiVersion": "fleetctl/v1", "kind": "Fleet", "name": self.name, "network": "sandbox",
            "services": {
                "markets": {"url": "${PEAQOS_ORCHESTRATION_URL}", "apiKey": {"env": "PEAQOS_API_KEY"}},
                "mcr": {"url": "${PEAQOS_MCR_API_URL}"},
            },
            "operator": {"key": {"env": "PEAQOS_PRIVATE_KEY"}},
            "v1": {"publishFleet": True, "funding": {"from": "operator", "below": "0.05 PEAQ", "to": "0.2 PEAQ"}},
            "tokens": {"sink": {"directory": "secrets"}},
            "guards": {"policyWidening": "allow"},
            "delegationPolicies": {
                LIMITED: {**policy, "dailySpendLimit": 30}, STEADY: {**policy, "dailySpendLimit": 7}
            },
            "machinePolicies": {self.name: {"regionRules": ["eu"], "nativeOnly": True}},
            "agents": {
                agent: {"address": account.address, "provider": "anthropic", "key": {"file": f"keys/{agent}.key"}}
                for agent, account in self.agents.items()
            },
            "defaults": {
                "metadata": {"documentationUrl": "https://docs.example.com/{name}"},
                "market": {
                    "machineType": "air-sensor", "runtimeProfile": "linux-arm64", "capabilities": ["price-feed"],
                    "policies": [self.name],
                },
            },
            "machines": [],
        }  # fmt: skip
        self.expected["register", ""] += 1

    def add(self, name: str, number: int) -> None:
        """One machine more, with pairings that differ from number to number."""
        account = self.machines[name] = Account.create()
        self._write_key(name, account)
        names = list(self.agents)
        chosen = names if number % 3 == 1 else [names[number % len(names)]]
        pairings = [
            {"agent": agent, "role": "ops", "delegationPolicy": STEADY if number % 3 == 0 else LIMITED}
            for agent in chosen
        ]
        entry = {"name": name, "address": account.address, "key": {"file": f"keys/{name}.key"}, "pairings": pairings}
        if number % 3 == 1:
            entry["runtimeEndpoints"] = {"qvac": {"endpointBaseUrl": "http://10.0.0.7:8080", "networkScope": "lan"}}
        self.manifest["machines"].append(entry)
        own = account.address.lower()
        for what in ("registerFor", "mint", "transfer"):
            self.expected[what, own] += 1
        for attribute in BASE:
            self.expected["add", f"{own} {attribute}"] += 1

    def _write_key(self, name: str, account: LocalAccount) -> None:
        path = self.root / "keys" / f"{name}.key"
        path.parent.mkdir(exist_ok=True)
        path.write_text("0x" + bytes(account.key).hex() + "\n")
        path.chmod(0o600)

    def entry(self, name: str) -> dict[str, Any]:
        return next(m for m in self.manifest["machines"] if m["name"] == name)

    def pairings(self) -> dict[str, dict[str, Any]]:
        """By machine/agent."""
        return {f"{m['name']}/{p['agent']}": p for m in self.manifest["machines"] for p in m["pairings"]}

    # Edits.

    def edit_url(self, name: str, mark: str) -> None:
        self.entry(name)["metadata"] = {"documentationUrl": f"https://docs.example.com/{name}/{mark}"}
        self.expected["update", f"{self.machines[name].address.lower()} documentation_url"] += 1

    def edit_attribute(self, name: str, value: str | None) -> None:
        attributes = self.entry(name).setdefault("v1", {}).setdefault("attributes", {})
        before = attributes.get("firmware")
        if before == value:
            return
        attributes["firmware"] = value
        verb = "remove" if value is None else "add" if before is None else "update"
        self.expected[verb, f"{self.machines[name].address.lower()} firmware"] += 1

    def edit_limit(self, limit: int) -> None:
        """Each pairing under the policy takes one PATCH and one rotation."""
        policy = self.manifest["delegationPolicies"][LIMITED]
        if policy["dailySpendLimit"] == limit:
            return
        policy["dailySpendLimit"] = limit
        for name, pairing in self.pairings().items():
            if pairing["delegationPolicy"] == LIMITED and name.split("/")[0] in self.made:
                self.patches[name] += 1
                self.rotations[name] += 1

    def edit_description(self, name: str, text: str) -> None:
        """A PATCH without a rotation."""
        pairing = self.pairings()[name]
        if pairing.get("description") != text:
            pairing["description"] = text
            self.patches[name] += 1

    def edit_endpoint(self, name: str, port: int) -> None:
        endpoint = {"endpointBaseUrl": f"http://10.0.0.7:{port}", "networkScope": "lan"}
        self.entry(name).setdefault("runtimeEndpoints", {})["qvac"] = endpoint

    def edit_rules(self, region: str) -> None:
        self.manifest["machinePolicies"][self.name]["regionRules"] = [region]

    def edit_label(self, name: str, text: str) -> None:
        market = {**self.manifest["defaults"]["market"], "labels": {"site": text}}
        self.entry(name)["market"] = market

    def edit_funding(self) -> None:
        """Every machine gets one more top-up."""
        funding = self.manifest["v1"]["funding"]
        funding["below"], funding["to"] = _more(funding["below"], "0.3"), _more(funding["to"], "0.3")
        for name in self.made:
            self.expected["transfer", self.machines[name].address.lower()] += 1

    # Runs.

    @property
    def file(self) -> Path:
        return self.root / "fleet.yaml"

    @property
    def state(self) -> Path:
        return self.root / ".fleetctl"

    @property
    def journal(self) -> Path:
        return self.state / "journal.sqlite"

    def environ(self) -> dict[str, str]:
        home = self.home or self.root / "home"
        return {
            **self.world.info.env(),
            "PEAQOS_PRIVATE_KEY": "0x" + bytes(self.operator.key).hex(),
            "HOME": str(home),
            "XDG_STATE_HOME": str(home / "state"),
        }

    def start(self, *arguments: str, **how: Any) -> Child:
        self.runs += 1
        self.file.write_text(json.dumps(self.manifest, indent=1))
        given = ["-f", str(self.file), *arguments]
        return Child(given, self.environ(), self.root / f"run-{self.runs}.log", **how)

    def run(self, *arguments: str, kill_after: float | None = None, **how: Any) -> Ended:
        return self.start(*arguments, **how).wait(kill_after)

    def apply(self, *options: str, **how: Any) -> Ended:
        return self.run("apply", "--yes", *options, **how)

    def lose_journal(self) -> None:
        """Costs a rotation where a pairing was changed after its session: nobody knows by whom."""
        self.spare += sum(p["delegationPolicy"] == STEADY for n, p in self.pairings().items() if self.patches[n])
        shutil.rmtree(self.state, ignore_errors=True)

    # What must be true.

    def check(self, failures: int = 0) -> None:
        """Every effect exactly once, the same end state, one live session for each pairing; and a plan is empty."""
        self._check_chain(failures)
        self._check_service()
        again = self.run("plan", "--detailed-exitcode")
        assert again.code == 0, again.text

    def _check_chain(self, failures: int) -> None:
        senders = {self.operator.address.lower(), *(a.address.lower() for a in self.machines.values())}
        calls, _, failed = self.world.effects(senders, self.since)
        published = f"{self.operator.address.lower()} "
        own = Counter({e: n for e, n in calls.items() if not e[1].startswith(published) and e[0] != "noop"})
        own = Counter({e: n for e, n in own.items() if e != ("transfer", self.operator.address.lower())})
        assert own == +self.expected, {"missing": self.expected - own, "too many": own - self.expected}
        assert failed <= failures, f"{failed} transactions failed on chain"
        assert calls["add", published + "machines"] == 1, calls
        assert calls["add", published + "machineId"] <= 1, calls
        ids = set()
        for name, account in self.machines.items():
            ids.add(self.world.machine_id(account.address))
            url = self.entry(name).get("metadata", {}).get("documentationUrl", f"https://docs.example.com/{name}")
            assert self.world.attribute(account.address, "documentation_url") == url
            assert int(self.world.read(AT.machine_nft, "balanceOf(address)", account.address)) == 1, name
            assert self.world.attribute(account.address, "machineId") == str(self.world.machine_id(account.address))
        assert 0 not in ids
        assert len(ids) == len(self.machines)
        text = self.world.attribute(self.operator.address, "machines") or ""
        assert {int(part) for part in text.strip("[]").split(",")} == ids, text
        own_id = self.world.machine_id(self.operator.address)
        assert own_id > 0
        assert self.world.balance(self.operator.address) > 0

    def _check_service(self) -> None:
        policies = [p for p in self.world.items("/policies") if p["name"] == self.name]
        assert len(policies) == 1, policies
        assert policies[0]["regionRules"] == self.manifest["machinePolicies"][self.name]["regionRules"]
        records = {str(r["identityRef"]).lower(): r for r in self._owned()}
        assert len(records) == len(self._owned()) == len(self.machines), records
        spare = self.spare
        for name, account in self.machines.items():
            record = records[f"did:peaq:{account.address}".lower()]
            assert record["status"] == "active", record
            url = f"/audit-events?limit=500&machineId={record['id']}"
            events = self.world.markets("GET", url).json()["items"]
            audit = Counter((e.get("type") or e.get("event") or e["eventType"], e.get("resourceId")) for e in events)
            kinds: Counter[str] = Counter()
            for (kind, _), count in audit.items():
                kinds[kind] += count
            assert kinds["machine.created"] == 1, kinds
            live = [p for p in self.world.items(f"/machines/{record['id']}/agent-pairings") if p["status"] != "revoked"]
            wanted = {p["agent"]: p for p in self.entry(name)["pairings"]}
            assert kinds["agent-pairing.created"] == len(live) == len(wanted), (kinds, live)
            assert {p["agentAddress"].lower() for p in live} == {self.agents[a].address.lower() for a in wanted}
            patches = sum(self.patches[f"{name}/{agent}"] for agent in wanted)
            needed = sum(self.rotations[f"{name}/{agent}"] for agent in wanted)
            assert kinds["agent-pairing.updated"] == patches, (name, kinds, patches)
            rotations = kinds["agent-pairing.session-issued"]
            assert needed <= rotations <= needed + spare, (name, rotations, needed, spare)
            spare -= rotations - needed
            for agent, entry in wanted.items():
                self._check_token(name, agent, entry, live)
            for key, endpoint in self.entry(name).get("runtimeEndpoints", {}).items():
                found = self.world.items(f"/machines/{record['id']}/runtime-endpoints")
                assert [e["endpointBaseUrl"] for e in found if e["providerKey"] == key] == [endpoint["endpointBaseUrl"]]
        left = [p for p in (self.root / "secrets").iterdir() if p.name.endswith(".token") and p.name[0] != "."]
        assert len(left) == len(self.pairings()), left

    def _owned(self) -> list[dict[str, Any]]:
        refs = {f"did:peaq:{account.address}".lower() for account in self.machines.values()}
        return [r for r in self.world.items("/machines") if str(r["identityRef"]).lower() in refs]

    def _check_token(self, machine: str, agent: str, entry: dict[str, Any], live: list[dict[str, Any]]) -> None:
        token = (self.root / "secrets" / f"{machine}.{agent}.token").read_text().strip()
        (pairing,) = [p for p in live if p["agentAddress"].lower() == self.agents[agent].address.lower()]
        assert pairing["hasAuthToken"]
        assert pairing["tokenLastFour"] == token[-4:]
        policy = self.manifest["delegationPolicies"][entry["delegationPolicy"]]
        assert pairing["delegationPolicy"]["dailySpendLimit"] == policy["dailySpendLimit"]
        answer = self.world.markets("POST", "/market/search", {"serviceType": "oracle.price-feed"}, token)
        assert answer.status_code == 201, (machine, agent, answer.text)


def _more(amount: str, by: str) -> str:
    return f"{round(float(amount.split(maxsplit=1)[0]) + float(by), 6):g} PEAQ"
