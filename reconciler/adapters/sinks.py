"""Where session tokens are delivered: durable and private before anything else happens."""

import hashlib
import os
import secrets
from pathlib import Path

from reconciler.core.errors import ConfigError
from reconciler.core.ports import Stored


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


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600 so that it is whole and on disk when this returns; its directory is made 0700."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
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
