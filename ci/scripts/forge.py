"""Keeps one comment on a pull request (merge request), or one issue about drift, as a report says.

    forge.py comment DIR    DIR holds `plan.markdown` and `changes`, as plan.sh leaves them
    forge.py issue DIR      DIR holds `drift.markdown` and `changes`, as drift.sh leaves them

What is there already is found by the marker in its first line and by who wrote it, and is replaced. Where there is
nothing to tell, nothing new is written: a comment is replaced, an issue closed. Standard library only.

The report of a pull request may come from a fork, so it is taken for text of a stranger: only what looks like a report
is posted, and only where the pull request still stands at the commit that the workflow ran for. Nothing of it is run.
"""

import json
import os
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

LIMIT = 65_535
"""Characters that GitHub takes. GitLab takes more."""
PAGE, PAGES = 100, 50
SECONDS = 30
MARKER = re.compile(r"<!-- fleetctl:(?:plan|drift):[A-Za-z0-9_.-]{0,120} -->")


class Failed(Exception):
    """What cannot be done, in words for the log."""


@dataclass(frozen=True)
class Report:
    body: str
    changes: bool

    @property
    def marker(self) -> str:
        return self.body.split("\n", 1)[0].strip()

    @property
    def title(self) -> str:
        heading = next((line for line in self.body.splitlines() if line.startswith("#")), "fleetctl")
        return heading.lstrip("# ")[:200]


def read_report(directory: Path, name: str) -> Report:
    try:
        with (directory / name).open(encoding="utf-8") as file:
            body = file.read(LIMIT + 1)
        changes = (directory / "changes").read_text(encoding="utf-8")[:10].strip() != "false"
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(f"there is no report in {directory}: {type(error).__name__}") from None
    report = Report(body, changes)
    if len(body) > LIMIT or not MARKER.fullmatch(report.marker):
        raise Failed(f"{name} is no report of fleetctl")
    return report


class Api:
    """JSON over HTTP with a token, which is sent nowhere but to `base`."""

    def __init__(self, base: str, headers: dict[str, str]) -> None:
        self._base, self._headers = base.rstrip("/"), headers
        self._opener = urllib.request.build_opener(_NoRedirect)

    def __call__(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {**self._headers, "Content-Type": "application/json", "User-Agent": "fleetctl-ci"}
        request = urllib.request.Request(f"{self._base}/{path}", data, headers, method=method)
        try:
            with self._opener.open(request, timeout=SECONDS) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise Failed(f"{method} {path}: HTTP {error.code}") from None
        except (OSError, ValueError) as error:
            raise Failed(f"{method} {path}: {type(error).__name__}") from None

    def pages(self, path: str) -> Iterator[dict[str, Any]]:
        sign = "&" if "?" in path else "?"
        for number in range(1, PAGES + 1):
            found = self("GET", f"{path}{sign}per_page={PAGE}&page={number}")
            yield from found
            if len(found) < PAGE:
                return


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow none: a token would go along."""


class Forge(Protocol):
    def request(self) -> str:
        """Where the comments of the pull request are; "" where it is closed or stands at another commit by now."""

    def issues(self) -> str: ...
    def texts(self, place: str) -> Iterator[tuple[str, str]]:
        """Path and body of what we ourselves wrote there."""

    def create(self, place: str, report: Report) -> None: ...
    def update(self, path: str, report: Report) -> None: ...
    def close(self, path: str) -> None: ...


class GitHub:
    def __init__(self, environ: dict[str, str]) -> None:
        token = environ.get("GITHUB_TOKEN", "")
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"}
        self._api = Api(environ["GITHUB_API_URL"], headers)
        self._root = f"repos/{environ['GITHUB_REPOSITORY']}"
        self._event = environ.get("GITHUB_EVENT_PATH", "")
        self._author = environ.get("FLEETCTL_BOT", "github-actions[bot]")

    def request(self) -> str:
        run = json.loads(Path(self._event).read_text(encoding="utf-8"))["workflow_run"]
        # The event names no pull request where it comes from a fork, and its artefact may name any.
        head = f"{run['head_repository']['owner']['login']}:{run['head_branch']}"
        query = urllib.parse.urlencode({"state": "open", "head": head})
        found = [p for p in self._api.pages(f"{self._root}/pulls?{query}") if p["head"]["sha"] == run["head_sha"]]
        return f"{self._root}/issues/{int(found[0]['number'])}/comments" if found else ""

    def issues(self) -> str:
        return f"{self._root}/issues"

    def texts(self, place: str) -> Iterator[tuple[str, str]]:
        comments = place.endswith("/comments")
        for each in self._api.pages(place if comments else f"{place}?state=open"):
            if each["user"]["login"] == self._author and "pull_request" not in each:
                path = f"comments/{each['id']}" if comments else str(each["number"])
                yield f"{self._root}/issues/{path}", each.get("body") or ""

    def create(self, place: str, report: Report) -> None:
        title = {} if place.endswith("/comments") else {"title": report.title}
        self._api("POST", place, {**title, "body": report.body})

    def update(self, path: str, report: Report) -> None:
        self._api("PATCH", path, {"body": report.body})

    def close(self, path: str) -> None:
        self._api("PATCH", path, {"state": "closed", "state_reason": "completed"})


class GitLab:
    def __init__(self, environ: dict[str, str]) -> None:
        self._api = Api(environ["CI_API_V4_URL"], {"PRIVATE-TOKEN": environ.get("FLEETCTL_GITLAB_TOKEN", "")})
        self._root = f"projects/{int(environ['CI_PROJECT_ID'])}"
        self._request = environ.get("CI_MERGE_REQUEST_IID", "")
        # A pipeline of the merged result has a commit of its own.
        self._commit = environ.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA") or environ.get("CI_COMMIT_SHA", "")

    def request(self) -> str:
        path = f"{self._root}/merge_requests/{int(self._request)}"
        found = self._api("GET", path)
        return f"{path}/notes" if found["state"] == "opened" and found["sha"] == self._commit else ""

    def issues(self) -> str:
        return f"{self._root}/issues"

    def texts(self, place: str) -> Iterator[tuple[str, str]]:
        me, notes = self._api("GET", "user")["id"], place.endswith("/notes")
        for each in self._api.pages(place if notes else f"{place}?state=opened"):
            if each["author"]["id"] == me:
                text = each.get("body") if notes else each.get("description")
                yield f"{place}/{each['id' if notes else 'iid']}", text or ""

    def create(self, place: str, report: Report) -> None:
        self._api("POST", place, self._fields(place, report))

    def update(self, path: str, report: Report) -> None:
        self._api("PUT", path, self._fields(path, report))

    def close(self, path: str) -> None:
        self._api("PUT", path, {"state_event": "close"})

    @staticmethod
    def _fields(path: str, report: Report) -> dict[str, str]:
        notes = "/notes" in path
        return {"body": report.body} if notes else {"title": report.title, "description": report.body}


def comment(forge: Forge, report: Report) -> str:
    place = forge.request()
    if not place:
        return "the pull request is closed, or has a newer commit; nothing was written"
    mine = _mine(forge, place, report)
    if mine:
        forge.update(mine, report)
        return "replaced the comment"
    if not report.changes:
        return "nothing would change, and no comment says otherwise; nothing was written"
    forge.create(place, report)
    return "wrote a comment"


def issue(forge: Forge, report: Report) -> str:
    place = forge.issues()
    mine = _mine(forge, place, report)
    if report.changes:
        forge.update(mine, report) if mine else forge.create(place, report)
        return "updated the issue" if mine else "opened an issue"
    if mine:
        forge.close(mine)
        return "closed the issue: the drift is gone"
    return "no drift, and no issue about any; nothing was written"


def _mine(forge: Forge, place: str, report: Report) -> str:
    return next((path for path, body in forge.texts(place) if body.startswith(report.marker)), "")


WAYS = {"comment": (comment, "plan.markdown"), "issue": (issue, "drift.markdown")}


def main(arguments: list[str], environ: dict[str, str]) -> int:
    if len(arguments) != 2 or arguments[0] not in WAYS:
        sys.stderr.write("forge.py: say comment DIR or issue DIR\n")
        return 64
    way, name = WAYS[arguments[0]]
    forge: Forge = GitLab(environ) if environ.get("GITLAB_CI") else GitHub(environ)
    try:
        said = way(forge, read_report(Path(arguments[1]), name))
    except Failed as error:
        sys.stderr.write(f"forge.py: {error}\n")
        return 1
    sys.stdout.write(f"{said}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], dict(os.environ)))
