"""The files by which a CI checks, plans, applies and watches a fleet: those of `ci/`, as they are."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from reconciler.cli.shipped import shipped, template

CHECKING = {
    "github": ("ci/scripts/install.sh", "ci/github/workflows/fleet-check.yml"),
    "gitlab": ("ci/scripts/install.sh", "ci/gitlab/check.gitlab-ci.yml"),
}
"""What a CI needs that only checks the manifest. Nobody's CI reaches the sandbox of a desk, so there that is all."""
FOLDERS = {
    "github": ("ci/scripts", "ci/github", "ci/github/workflows"),
    "gitlab": ("ci/scripts", "ci/gitlab"),
}
TYPES = {".sh", ".py", ".yml"}


def kit(ci: str, network: str) -> dict[str, str]:
    """What to write for `github` or `gitlab`, by its path in the repository."""
    names = CHECKING[ci] if network == "sandbox" else _everything(FOLDERS[ci])
    files = {_place(name): shipped(name).read_text(encoding="utf-8") for name in names}
    if ci == "gitlab":
        included = "\n".join(f"  - local: {name}" for name in names if name.endswith(".gitlab-ci.yml"))
        files[".gitlab-ci.yml"] = template("gitlab.yml", includes=included)
    return files


def _everything(folders: Sequence[str]) -> list[str]:
    return [
        f"{folder}/{path.name}"
        for folder in folders
        for path in sorted(shipped(folder).iterdir())
        if path.suffix in TYPES
    ]


def _place(name: str) -> str:
    """GitHub looks for workflows in one place only."""
    path = PurePosixPath(name)
    return f".github/workflows/{path.name}" if path.parent.name == "workflows" else name
