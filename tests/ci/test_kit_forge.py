"""Comments and issues as GitHub and GitLab keep them: one of each, ours alone, and nothing of a stranger's making."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from forge_double import STRANGER, ForgeDouble, Item, forge_double

SCRIPT = Path(__file__).parents[2] / "ci" / "scripts" / "forge.py"
MARK = "<!-- fleetctl:plan:air -->"
HEAD = {"head_branch": "edit", "head_sha": "abc", "head_repository": {"owner": {"login": STRANGER}}}
PULLS, COMMENTS = "repos/acme/fleet/pulls", "repos/acme/fleet/issues/1/comments"
MERGE = "projects/5/merge_requests/3"
GITLAB = {
    "GITLAB_CI": "true", "CI_PROJECT_ID": "5", "CI_MERGE_REQUEST_IID": "3", "CI_COMMIT_SHA": "abc",
    "FLEETCTL_GITLAB_TOKEN": "glpat-secret",
}  # fmt: skip


@pytest.fixture
def double() -> Iterator[ForgeDouble]:
    with forge_double() as found:
        found.add(PULLS, head={"label": f"{STRANGER}:edit", "sha": "abc"})
        found.objects[MERGE] = {"state": "opened", "sha": "abc"}
        found.objects["user"] = {"id": 1}
        yield found


class Teller:
    """Calls forge.py with a report."""

    def __init__(self, folder: Path, url: str, **environ: str) -> None:
        self.folder = folder
        event = folder / "event.json"
        event.write_text(json.dumps({"workflow_run": HEAD}))
        github = {"GITHUB_API_URL": url, "GITHUB_REPOSITORY": "acme/fleet", "GITHUB_EVENT_PATH": str(event)}
        self.environ = {"PATH": os.environ["PATH"], "GITHUB_TOKEN": "ghs_secret", "CI_API_V4_URL": url}
        self.environ |= github | environ

    def __call__(self, what: str, body: str, changes: str = "true") -> subprocess.CompletedProcess[str]:
        name = {"comment": "plan", "issue": "drift"}[what]
        (self.folder / f"{name}.markdown").write_text(body)
        (self.folder / "changes").write_text(changes)
        command = [sys.executable, str(SCRIPT), what, str(self.folder)]
        done = subprocess.run(command, env=self.environ, capture_output=True, text=True, timeout=60, check=False)
        for secret in ("ghs_secret", "glpat-secret"):
            assert secret not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done


@pytest.fixture(params=["github", "gitlab"])
def teller(request: pytest.FixtureRequest, double: ForgeDouble, tmp_path: Path) -> Teller:
    return Teller(tmp_path, double.url, **(GITLAB if request.param == "gitlab" else {}))


def place(teller: Teller, what: str) -> str:
    root = "projects/5" if "GITLAB_CI" in teller.environ else "repos/acme/fleet"
    notes = f"{MERGE}/notes" if "GITLAB_CI" in teller.environ else COMMENTS
    return notes if what == "comment" else f"{root}/issues"


def text(item: Item) -> str:
    return str(item.get("description") or item.get("body"))


def test_one_comment_is_written_and_replaced(teller: Teller, double: ForgeDouble) -> None:
    assert "wrote a comment" in teller("comment", f"{MARK}\n## fleetctl plan: air\none").stdout
    assert "replaced the comment" in teller("comment", f"{MARK}\n## fleetctl plan: air\ntwo").stdout
    # Another fleet of the same repository has a comment of its own.
    assert "wrote a comment" in teller("comment", "<!-- fleetctl:plan:sea -->\nthree").stdout
    assert "replaced the comment" in teller("comment", f"{MARK}\nnothing", changes="false").stdout
    assert [text(item).split("\n")[-1] for item in double.lists[place(teller, "comment")]] == ["nothing", "three"]


def test_nothing_to_tell_is_not_told(teller: Teller, double: ForgeDouble) -> None:
    assert "nothing was written" in teller("comment", f"{MARK}\n", changes="false").stdout
    assert "nothing was written" in teller("issue", "<!-- fleetctl:drift:air -->\n", changes="false").stdout
    assert double.writes == []


def test_an_issue_is_opened_updated_and_closed(teller: Teller, double: ForgeDouble) -> None:
    drift = "<!-- fleetctl:drift:air -->\n## fleetctl drift: air\n"
    assert "opened" in teller("issue", drift + "one").stdout
    assert "updated" in teller("issue", drift + "two").stdout
    assert "closed" in teller("issue", drift, changes="false").stdout
    assert "opened" in teller("issue", drift + "three").stdout
    found = [(item["title"], item["state"], text(item)[-3:]) for item in double.lists[place(teller, "issue")]]
    title = "fleetctl drift: air"
    assert found[0][:2] == (title, "closed")
    assert found[1] == (title, "open", "ree")


def test_what_others_wrote_is_left_alone(teller: Teller, double: ForgeDouble) -> None:
    where = place(teller, "comment")
    for number in range(250):
        double.add(where, STRANGER, body=f"{MARK}\nforged {number}")
    assert "wrote a comment" in teller("comment", f"{MARK}\nours").stdout
    assert "replaced" in teller("comment", f"{MARK}\nours again").stdout
    assert [item["body"] for item in double.lists[where]][-1] == f"{MARK}\nours again"
    assert all("forged" in item["body"] for item in double.lists[where][:250])


@pytest.mark.parametrize(
    "body",
    [
        "",
        "hello",
        "<!-- fleetctl:plan:a b -->\n",
        "<!-- fleetctl:apply:air -->",
        f"x\n{MARK}",
        MARK + "\n" + "x" * 65_600,
    ],
)
def test_what_is_no_report_is_not_posted(teller: Teller, double: ForgeDouble, body: str) -> None:
    done = teller("comment", body)
    assert done.returncode == 1
    assert "is no report of fleetctl" in done.stderr
    assert double.writes == []


def test_a_pull_request_that_moved_on_or_is_closed_gets_nothing(teller: Teller, double: ForgeDouble) -> None:
    double.lists[PULLS][0]["head"]["sha"] = double.objects[MERGE]["sha"] = "newer"
    assert "nothing was written" in teller("comment", f"{MARK}\n").stdout
    double.lists[PULLS][0] |= {"state": "closed", "head": {"label": f"{STRANGER}:edit", "sha": "abc"}}
    double.objects[MERGE] = {"state": "merged", "sha": "abc"}
    assert "nothing was written" in teller("comment", f"{MARK}\n").stdout
    assert double.writes == []


def test_a_forge_that_says_no(tmp_path: Path, double: ForgeDouble) -> None:
    for url in (f"{double.url}/redirect", "http://127.0.0.1:1"):
        done = Teller(tmp_path, url)("issue", "<!-- fleetctl:drift:air -->\n")
        assert done.returncode == 1
        assert done.stderr.startswith("forge.py: GET repos/acme/fleet/issues")


def test_no_report_and_no_command(tmp_path: Path) -> None:
    for arguments, code in ((["comment", str(tmp_path)], 1), (["comment"], 64), (["delete", "x"], 64)):
        environ = {"GITHUB_API_URL": "http://127.0.0.1:1", "GITHUB_REPOSITORY": "acme/fleet"}
        done = subprocess.run([sys.executable, str(SCRIPT), *arguments], env=environ, capture_output=True, check=False)
        assert done.returncode == code
        assert b"Traceback" not in done.stderr
