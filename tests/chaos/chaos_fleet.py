"""A fleet that is made, edited and killed, and what must be true of it afterwards, counted on chain and at the service.

Nothing here believes our own journal. What is of one protocol only is in chaos_v1.py and chaos_v2.py.
"""

import json
import random
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from chaos_process import Child, Ended
from e2e_harness import World
from eth_account import Account
from eth_account.signers.local import LocalAccount

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
    """With their own accounts, which by protocol v2 not all of them use."""
    manifest: dict[str, Any] = field(default_factory=dict)
    expected: Counter[tuple[str, str]] = field(default_factory=Counter)
    """What happens on chain, by what it is and to whom."""
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

    EDITS: ClassVar[Mapping[str, Callable[[Any, random.Random], None]]] = {}
    """By what changes."""
    PENDING: ClassVar[Sequence[Sequence[str]]] = ()
    """Points after which a transaction is in the pool: when it is made, and after `edit_money`."""
    FIRST: ClassVar[str] = ""
    """A step by which it begins to be made."""

    @classmethod
    def make(cls, world: World, root: Path, name: str, machines: int = 3, agents: int = 2) -> "Fleet":
        root.mkdir(parents=True)
        fleet = cls(world, root, name)
        world.fund(fleet.operator.address, 100)
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
        self.begin()

    def add(self, name: str, number: int) -> None:
        """One machine more, with pairings that differ from number to number."""
        self.machines[name] = Account.create()
        self._write_key(name, self.machines[name])
        names = list(self.agents)
        chosen = names if number % 3 == 1 else [names[number % len(names)]]
        pairings = [
            {"agent": agent, "role": "ops", "delegationPolicy": STEADY if number % 3 == 0 else LIMITED}
            for agent in chosen
        ]
        entry = {"name": name, "pairings": pairings, **self.join(name, number)}
        if number % 3 == 1:
            entry["runtimeEndpoints"] = {"qvac": {"endpointBaseUrl": "http://10.0.0.7:8080", "networkScope": "lan"}}
        self.manifest["machines"].append(entry)

    # What each protocol says.

    def begin(self) -> None:
        """Complete the manifest, and expect what is done once."""
        raise NotImplementedError

    def join(self, name: str, number: int) -> dict[str, Any]:
        """A machine's part of the manifest; its bond and all that comes with it is expected from now on."""
        raise NotImplementedError

    def did(self, name: str) -> str:
        raise NotImplementedError

    def edit_all(self, dice: random.Random) -> None:
        """One edit of every sort."""
        names, mark = list(self.machines), mark_of(dice)
        self.edit_limit(dice.randrange(31, 10_000))
        steady = [name for name, p in self.pairings().items() if p["delegationPolicy"] == STEADY]
        for name in steady[:1]:
            self.edit_description(name, mark)
        self.edit_endpoint(names[0], dice.randrange(1024, 65_000))
        self.edit_rules(mark)
        self.edit_label(names[-1], mark)
        self.edit_money()

    def edit_money(self) -> None:
        """Something of every machine becomes due."""
        raise NotImplementedError

    def tempt(self) -> None:
        """Before it is made: see to it that what is paid twice is paid twice, and nothing but us can stop it."""

    def check_chain(self, failures: int) -> None:
        """Every effect on chain exactly once, and as declared."""
        raise NotImplementedError

    def accounts(self) -> set[str]:
        """All that may send, in small letters."""
        return {self.operator.address.lower(), *(a.address.lower() for a in self.machines.values())}

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
        self.check_chain(failures)
        self._check_service()
        again = self.run("plan", "--detailed-exitcode")
        assert again.code == 0, again.text

    def _check_service(self) -> None:
        policies = [p for p in self.world.items("/policies") if p["name"] == self.name]
        assert len(policies) == 1, policies
        assert policies[0]["regionRules"] == self.manifest["machinePolicies"][self.name]["regionRules"]
        records = {str(r["identityRef"]).lower(): r for r in self._owned()}
        assert len(records) == len(self._owned()) == len(self.machines), records
        spare = self.spare
        for name in self.machines:
            record = records[self.did(name).lower()]
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
        refs = {self.did(name).lower() for name in self.machines}
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


def mark_of(dice: random.Random) -> str:
    return f"{dice.getrandbits(32):08x}"


def any_of(fleet: Fleet, dice: random.Random) -> str:
    return dice.choice(sorted(fleet.made))


EDITS: Mapping[str, Callable[[Any, random.Random], None]] = {
    "limit": lambda fleet, dice: fleet.edit_limit(dice.randrange(31, 10_000)),
    "endpoint": lambda fleet, dice: fleet.edit_endpoint(any_of(fleet, dice), dice.randrange(1024, 65_000)),
    "rules": lambda fleet, dice: fleet.edit_rules(mark_of(dice)),
    "label": lambda fleet, dice: fleet.edit_label(any_of(fleet, dice), mark_of(dice)),
    "money": lambda fleet, _: fleet.edit_money(),
    "machine": lambda fleet, _: fleet.add(f"air-{len(fleet.machines) + 1}", len(fleet.machines) + 1),
}
"""Those of both protocols."""
