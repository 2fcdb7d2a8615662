"""The CI kit from the first commit to drift, on runners that keep nothing: with its state carried, and thrown away."""

import json
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ci_harness import ENDPOINTS, Forge, Job, Run, git, signalling
from e2e_harness import World, Yard
from forge_double import ForgeDouble, forge_double

MakeYard = Callable[..., Yard]
STATE_KEY = "correct horse battery staple"
SINKS: dict[str, Callable[[Yard], dict[str, str]]] = {
    "a directory that stays": lambda yard: {"directory": str(yard.tokens())},
    "a command": lambda yard: {
        "command": f'mkdir -p {yard.tokens()} && cat > {yard.tokens()}/$(echo "$FLEETCTL_TOKEN_NAME" | tr / .).token'
    },
}


class Place:
    """A yard whose fleet lives in a forge's repository, and the person at the desk."""

    def __init__(self, yard: Yard, sink: str, api: str, *, state_key: str = "") -> None:
        self.yard = yard
        yard.manifest["tokens"] = {"sink": SINKS[sink](yard)}
        yard.manifest["operator"]["address"] = yard.operator.address
        keys = {"KEY_OPS": yard.agent.key} | {variable(name): a.key for name, a in yard.accounts.items()}
        yard.manifest["agents"]["ops"]["key"] = {"env": "KEY_OPS"}
        for machine in yard.manifest["machines"]:
            machine["key"] = {"env": variable(machine["name"])}
        secrets = {name: "0x" + bytes(key).hex() for name, key in keys.items()}
        secrets |= {name: yard.environ[name] for name in ("PEAQOS_PRIVATE_KEY", "PEAQOS_API_KEY")}
        endpoints = {name: yard.environ[name] for name in ENDPOINTS}
        self.forge = Forge(yard.root / "forge", endpoints, secrets | {"FLEETCTL_STATE_KEY": state_key}, api)
        self.desk = self.forge.start()
        self._name_keys(keys)

    def _name_keys(self, names: Any) -> None:
        """As whoever adopts the kit does: the keys of machines are secrets of the environment as well."""
        path = self.desk / ".github/workflows/fleet-apply.yml"
        text, line = path.read_text(), "          PEAQOS_PRIVATE_KEY: ${{ secrets.PEAQOS_PRIVATE_KEY }}\n"
        assert line in text
        more = "".join(line.replace("PEAQOS_PRIVATE_KEY", name) for name in names)
        path.write_text(text.replace(line, line + more))

    def commit(self, title: str) -> str:
        (self.desk / "fleet.yaml").write_text(json.dumps(self.yard.manifest, indent=1))
        git(self.desk, "add", "-A")
        git(self.desk, "commit", "-q", "--allow-empty", "-m", title)
        git(self.desk, "push", "-q", "origin", "HEAD")
        return git(self.desk, "rev-parse", "HEAD")

    def artefacts(self, sha: str, name: str) -> Path:
        return self.forge.folder / f"artefacts-{name}-{sha}"

    def apply_run(self, sha: str) -> Run:
        return self.forge.run("fleet-apply.yml", sha, {}, artefacts=self.artefacts(sha, "apply"))

    def applied(self, sha: str) -> dict[str, Job]:
        jobs = self.apply_run(sha).all()
        for name, job in jobs.items():
            assert job.outcome == "success", (name, job.log)
        self.check_discreet(*jobs.values())
        return jobs

    def plan(self, sha: str) -> Job:
        """On a pull request from a fork: no secret at all."""
        run = self.forge.run("fleet-plan.yml", sha, {}, artefacts=self.artefacts(sha, "plan"), secrets=False)
        return run.all()["plan"]

    def comment(self, sha: str) -> Job:
        return self.comment_of(sha, sha)

    def comment_of(self, sha: str, planned: str) -> Job:
        """For a commit, with what was planned for another."""
        head = {"head_branch": "edit", "head_sha": sha, "head_repository": {"owner": {"login": "mallory"}}}
        event = {"workflow_run": {"event": "pull_request", "conclusion": "success", "id": 7, **head}}
        main = git(self.forge.origin, "rev-parse", "main")
        return self.forge.run("fleet-comment.yml", main, event, artefacts=self.artefacts(planned, "plan")).all()[
            "comment"
        ]

    def drift(self) -> dict[str, Job]:
        main = git(self.forge.origin, "rev-parse", "main")
        return self.forge.run("fleet-drift.yml", main, {}, artefacts=self.artefacts(main, "drift")).all()

    def tokens(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.yard.tokens().glob("*")}

    def pairings(self) -> list[dict[str, Any]]:
        records = [record for (record,) in self.yard.records().values()]
        return [p for r in records for p in self.yard.world.items(f"/machines/{r['id']}/agent-pairings")]

    def check_discreet(self, *jobs: Job) -> None:
        for job in jobs:
            for name, secret in {**self.yard.secrets(), "state key": STATE_KEY}.items():
                assert secret.lower() not in job.log.lower(), f"{name} was printed"


def variable(machine: str) -> str:
    return "KEY_" + machine.upper().replace("-", "_")


@pytest.fixture
def double() -> Iterator[ForgeDouble]:
    with forge_double() as found:
        yield found


@pytest.mark.parametrize(
    ("sink", "state_key"),
    [("a directory that stays", ""), ("a command", ""), ("a command", STATE_KEY)],
    ids=["thrown away, tokens in files", "thrown away", "carried"],
)
def test_merged_and_applied(new_yard: MakeYard, sink: str, state_key: str) -> None:
    yard = new_yard(2)
    place = Place(yard, sink, "", state_key=state_key)
    first = place.applied(place.commit("A fleet"))
    assert first["apply"].codes["Apply"] == 0
    assert "::notice title=fleetctl apply::Applied" in first["apply"].log
    yard.check_converged()
    assert len(place.forge.cached) == bool(state_key)
    paired, tokens, block = place.pairings(), place.tokens(), yard.world.head()

    git(place.desk, "checkout", "-q", "-b", "edit")
    yard.machine("air-001")["metadata"] = {"dataApi": "https://data.example.com"}
    place.commit("Publish data")
    git(place.desk, "checkout", "-q", "main")
    git(place.desk, "merge", "-q", "--no-ff", "-m", "Merge", "edit")
    assert place.applied(place.commit("Note"))["plan"].outputs == {"changes": "true"}
    address = yard.accounts["air-001"].address
    assert yard.effects(block) == {("add", f"{address.lower()} data_api"): 1}
    assert yard.world.attribute(address, "data_api") == "https://data.example.com"
    assert (place.pairings(), place.tokens()) == (paired, tokens)
    yard.check_converged()
    # Nothing to do: nobody is asked.
    assert "apply" not in place.applied(place.commit("Nothing"))


def test_a_fork_gets_one_comment_and_needs_no_secret(new_yard: MakeYard, double: ForgeDouble) -> None:
    yard = new_yard(1)
    place = Place(yard, "a command", double.url)
    place.commit("A fleet")
    git(place.desk, "checkout", "-q", "-b", "edit")
    yard.machine("air-001")["metadata"] = {"dataApi": "https://data.example.com"}
    sha = place.commit("Publish data")
    pull = double.add("repos/acme/fleet/pulls", head={"label": "mallory:edit", "sha": sha})
    planned = place.plan(sha)
    assert planned.outcome == "success", planned.log
    assert "The plan is incomplete" in planned.log
    report = place.artefacts(sha, "plan") / "fleet-report"
    assert {path.name for path in report.iterdir()} == {"changes", "plan.json", "plan.markdown"}
    assert "wrote a comment" in place.comment(sha).log
    comments = double.lists[f"repos/acme/fleet/issues/{pull['number']}/comments"]
    assert "the API key of Machine Markets" in comments[0]["body"]
    # A mistake takes its place, although the job fails.
    yard.machine("air-001")["pairings"][0]["delegationPolicy"] = "large"
    before, sha = sha, place.commit("A mistake")
    assert "has a newer commit; nothing was written" in place.comment_of(sha, before).log
    pull["head"]["sha"] = sha
    assert place.plan(sha).codes["Plan"] == 3
    assert "replaced the comment" in place.comment(sha).log
    assert len(comments) == 1
    assert comments[0]["body"].startswith(f"<!-- fleetctl:plan:{yard.name} -->")
    assert "large" in comments[0]["body"]
    assert double.tokens == {"Bearer ghs_token"}


def test_drift_opens_one_issue_and_closes_it(new_yard: MakeYard, double: ForgeDouble) -> None:
    yard = new_yard(1)
    place = Place(yard, "a command", double.url)
    place.applied(place.commit("A fleet"))
    assert "no drift, and no issue" in place.drift()["issue"].log
    (record,) = yard.records()["air-001"]
    yard.world.markets("PATCH", f"/machines/{record['id']}", {"displayName": "theirs"})
    assert "opened an issue" in place.drift()["issue"].log
    assert "updated the issue" in place.drift()["issue"].log
    (issue,) = double.lists["repos/acme/fleet/issues"]
    assert issue["title"] == f"fleetctl drift: {yard.name}"
    assert "theirs" in issue["body"]
    yard.world.markets("PATCH", f"/machines/{record['id']}", {"displayName": "air-001"})
    assert "closed the issue" in place.drift()["issue"].log
    assert issue["state"] == "closed"
    # What cannot be looked at is no drift, and not its end.
    place.forge.secrets["PEAQOS_API_KEY"] = "wrong-key-of-some-length"
    assert {name: job.outcome for name, job in place.drift().items()} == {"drift": "failure"}


@pytest.mark.parametrize("state_key", ["", STATE_KEY], ids=["thrown away", "carried"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_cancelled_apply_is_finished_by_the_next(
    new_yard: MakeYard, slow_world: World, number: signal.Signals, code: int, state_key: str
) -> None:
    yard = new_yard(2, world=slow_world)
    place = Place(yard, "a command", "", state_key=state_key)
    run = place.apply_run(place.commit("A fleet"))
    done = {"plan": run.job("plan", {})}
    place.forge.interfere = signalling(number, 0.3)
    stopped = run.job("apply", done)
    assert stopped.codes["Apply"] == code, stopped.log
    assert stopped.outcome == "failure"
    assert "::error title=fleetctl apply::It was stopped." in stopped.log
    assert len(place.forge.cached) == bool(state_key)
    # GitHub's "re-run failed jobs": the same plan, on another machine.
    place.forge.interfere = None
    again = run.job("apply", done)
    assert again.outcome == "success", again.log
    assert bool(re.search("no state|not carried", again.log)) == (not state_key)
    place.check_discreet(stopped, again)
    yard.check_converged()


def test_a_plan_that_is_stale_says_what_to_do(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    place = Place(yard, "a command", "")
    place.applied(place.commit("A fleet"))
    yard.machine("air-001")["metadata"] = {"dataApi": "https://data.example.com"}
    run = place.apply_run(place.commit("Publish data"))
    done = {"plan": run.job("plan", {})}
    (record,) = yard.records()["air-001"]
    yard.world.markets("PATCH", f"/machines/{record['id']}", {"displayName": "theirs"})
    stale = run.job("apply", done)
    assert stale.codes["Apply"] == 8
    assert "::error title=fleetctl apply::The plan is stale" in stale.log
    assert "Re-run all jobs" in stale.log
    assert {job: each.outcome for job, each in run.all().items()} == {"plan": "success", "apply": "success"}
