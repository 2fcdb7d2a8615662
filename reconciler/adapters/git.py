"""What Git says of a directory, where there is Git and a checkout."""

import os
import subprocess
from pathlib import Path

from reconciler.core.value import Value

SECONDS = 10
# Reading must not write: not the index, and nothing that a checkout's own settings would run.
_READ_ONLY = ("-c", "core.fsmonitor=false", "--no-optional-locks")


class Checkout(Value):
    commit: str
    dirty: bool
    """True where a tracked file differs from the commit."""


def checkout(directory: Path) -> Checkout | None:
    """The commit that `directory` is at, or None where Git does not know."""
    commit = _git(directory, "rev-parse", "--verify", "HEAD")
    tracked = _git(directory, "status", "--porcelain", "--untracked-files=no")
    if commit is None or tracked is None:
        return None
    return Checkout(commit, bool(tracked))


def _git(directory: Path, *arguments: str) -> str | None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", *_READ_ONLY, "-C", str(directory), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, env=environ)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
