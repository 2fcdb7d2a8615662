"""Secrets by reference: read from where the manifest says they are kept, and never shown."""

import os
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

from reconciler.core.errors import ConfigError
from reconciler.core.fleet import SecretRef

COMMAND_SECONDS = 60


class Missing(ConfigError):
    """The place is empty: no such variable, file or entry. Not a mistake where the key may live elsewhere."""

    code = "key.missing"
    remedy = "put the secret where the manifest says it is, or correct that place"


class Secrets:
    """Resolves references. `root` is the manifest's directory."""

    def __init__(self, root: Path, environ: Mapping[str, str] = os.environ) -> None:
        self._root = root
        self.environ = environ

    def path(self, name: str) -> Path:
        return self._root / Path(name).expanduser()

    def read(self, ref: SecretRef, what: str) -> str:
        """The secret, stripped. Missing where its place is empty, ConfigError where it is there and not fit."""
        if ref.env is not None:
            value = self.environ.get(ref.env, "").strip()
            if not value:
                raise Missing(f"{what}: environment variable {ref.env} is not set", hint=f"export {ref.env}=…")
            return value
        if ref.file is not None:
            return self._file(self.path(ref.file), what)
        return self._command(ref.command or "", what)

    def reveal(self, kept: Mapping[str, str], what: str) -> str:
        """As `read`, from the parts of a reference."""
        return self.read(SecretRef(**kept), what)

    def _file(self, path: Path, what: str) -> str:
        try:
            mode = path.stat().st_mode
            text = path.read_text().strip()
        except FileNotFoundError:
            raise Missing(
                f"{what}: no file {path}", hint="`fleetctl keys generate` makes missing machine keys"
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{what}: cannot read {path}: {type(error).__name__}", hint="check the file") from None
        if stat.S_IMODE(mode) & 0o077:
            raise ConfigError(f"{what}: {path} can be read by others", hint=f"chmod 600 {path}")
        return text

    def _command(self, command: str, what: str) -> str:
        try:
            done = subprocess.run(
                command,
                shell=True,
                cwd=self._root,
                capture_output=True,
                text=True,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
            raise ConfigError(f"{what}: its command did not finish", hint="run the command by hand") from None
        if done.returncode or not done.stdout.strip():
            why = f"failed with exit code {done.returncode}" if done.returncode else "printed nothing"
            raise ConfigError(f"{what}: its command {why}", hint="run the command by hand")
        return done.stdout.strip()
