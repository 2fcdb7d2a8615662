"""Where session tokens are delivered: durable and private before anything else happens."""

import hashlib
import os
import re
import secrets
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from reconciler.core.errors import ConfigError
from reconciler.core.ports import Sink, Stored

COMMAND_SECONDS = 60


class CheckedSink(Sink, Protocol):
    """A sink that can be tried before a token is issued for it."""

    def check(self) -> None:
        """ConfigError where a token could not be written now."""
        ...


class DirectorySink:
    """One file per token, mode 0600, written atomically: a reader sees the old token or the new one."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def _path(self, name: str) -> Path:
        return self._directory / f"{name.replace('/', '.')}.token"

    def write(self, name: str, secret: str) -> None:
        path = self._path(name)
        try:
            write_private(path, secret + "\n")
        except OSError as error:
            message = f"cannot write tokens to {self._directory}: {error.strerror}"
            raise ConfigError(message, hint="check tokens.sink.directory") from None

    def check(self) -> None:
        """ConfigError where a token could not be written now: better known before one is issued."""
        probe = f".check-{secrets.token_hex(4)}"
        self.write(probe, "")
        self._path(probe).unlink(missing_ok=True)

    def stored(self, name: str) -> Stored:
        try:
            secret = self._path(name).read_text().strip()
        except FileNotFoundError:
            return Stored(readable=True)
        except (OSError, UnicodeDecodeError):
            return Stored(readable=False)
        return Stored(True, hashlib.sha256(secret.encode()).hexdigest(), secret[-4:]) if secret else Stored(True)


class EnvFileSink:
    """One file of NAME=token lines, mode 0600, as systemd's EnvironmentFile= reads it; other lines are kept."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def write(self, name: str, secret: str) -> None:
        variable = variable_of(name)
        try:
            with self._lock:
                kept = [line for line in self._lines() if not line.startswith(f"{variable}=")]
                write_private(self._path, "\n".join([*kept, f"{variable}={secret}"]) + "\n")
        except OSError as error:
            message = f"cannot write tokens to {self._path}: {error.strerror}"
            raise ConfigError(message, hint="check tokens.sink.envFile") from None

    def check(self) -> None:
        """ConfigError where a token could not be written now."""
        try:
            write_private(self._path, "".join(f"{line}\n" for line in self._lines()))
        except OSError as error:
            message = f"cannot write tokens to {self._path}: {error.strerror}"
            raise ConfigError(message, hint="check tokens.sink.envFile") from None

    def stored(self, name: str) -> Stored:
        try:
            lines = self._lines()
        except (OSError, UnicodeDecodeError):
            return Stored(readable=False)
        found = [line.partition("=")[2] for line in lines if line.startswith(f"{variable_of(name)}=")]
        return known(found[-1]) if found else Stored(readable=True)

    def _lines(self) -> list[str]:
        return self._path.read_text().splitlines() if self._path.exists() else []


class CommandSink:
    """A command that takes the token on standard input, and its name in FLEETCTL_TOKEN_NAME. Write-only."""

    def __init__(self, command: str, directory: Path) -> None:
        self._command = command
        self._directory = directory

    def write(self, name: str, secret: str) -> None:
        """Raises ConfigError where the command fails; its output may quote the token, so it is never shown."""
        environment = {**os.environ, "FLEETCTL_TOKEN_NAME": name}
        try:
            done = subprocess.run(
                self._command,
                shell=True,
                cwd=self._directory,
                env=environment,
                input=secret,
                capture_output=True,
                text=True,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            raise ConfigError("the token command did not finish", hint="run tokens.sink.command by hand") from None
        if done.returncode:
            message = f"the token command failed with exit code {done.returncode}"
            raise ConfigError(message, hint="run tokens.sink.command by hand")

    def check(self) -> None:
        """Nothing can be known before it is run."""

    def stored(self, name: str) -> Stored:
        return Stored(readable=False)


class ActionsSink:
    """An output of a GitHub Actions step, masked in its log first. Write-only."""

    def __init__(self, environ: Mapping[str, str], say: Callable[[str], None]) -> None:
        self._environ = environ
        self._say = say

    def write(self, name: str, secret: str) -> None:
        self._say(f"::add-mask::{secret}")
        self._append(f"{variable_of(name)}={secret}\n")

    def check(self) -> None:
        """ConfigError outside of a GitHub Actions step."""
        self._append("")

    def stored(self, name: str) -> Stored:
        return Stored(readable=False)

    def _append(self, text: str) -> None:
        path = self._environ.get("GITHUB_OUTPUT")
        hint = "this sink works inside a GitHub Actions step only"
        if not path:
            raise ConfigError("GITHUB_OUTPUT is not set", hint=hint)
        try:
            with Path(path).open("a") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise ConfigError(f"cannot write to GITHUB_OUTPUT: {error.strerror}", hint=hint) from None


def variable_of(name: str) -> str:
    """The name of a token as an environment variable: air-001/ops is AIR_001_OPS_TOKEN."""
    return re.sub(r"[^A-Za-z0-9]", "_", name).upper() + "_TOKEN"


def known(secret: str) -> Stored:
    """How a stored secret is recognised without being shown."""
    secret = secret.strip()
    return Stored(True, hashlib.sha256(secret.encode()).hexdigest(), secret[-4:]) if secret else Stored(True)


def write_private(path: Path, text: str, *, new: bool = False) -> None:
    """Write a file of mode 0600 so that it is whole and on disk when this returns; its directory is made 0700.

    FileExistsError where it is to be `new` and is not, however late it came.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write_whole(path, text, 0o600, new=new)


def write_public(path: Path, text: str) -> None:
    """Write a file that anybody may read (mode 0644) so that it is whole and on disk when this returns."""
    _write_whole(path, text, 0o644, new=False)


def _write_whole(path: Path, text: str, mode: int, *, new: bool) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        if new:
            os.link(temporary, path)
            temporary.unlink()
        else:
            temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
