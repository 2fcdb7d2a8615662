"""Files that are handed from one command to another: saved plans, requests for signatures, signed transactions."""

import json
import os
from pathlib import Path
from typing import Any

import click

from reconciler.core.errors import ConfigError

LARGEST = 2**29
"""Bytes of the largest that is read. A plan takes some thousand bytes a machine."""


class OutFile(click.Path):
    """A path to write a file of one `kind` to, such as Plan; never over a manifest, a key or a device."""

    def __init__(self, kind: str) -> None:
        super().__init__(path_type=Path, dir_okay=False)
        self._kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if os.path.lexists(path) and _kind(path) != self._kind:
            self.fail(f"{path} is there and is no {self._kind}; it is not overwritten, so name another file")
        return path


def read_text(path: Path) -> str:
    """What a file or a pipe holds. ConfigError where that is no text, or never ends."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) <= LARGEST:
            return content.decode()
        why = f"it holds more than {LARGEST // 2**20} MiB"
    except UnicodeDecodeError:
        why = "it is no text"
    except OSError as error:
        why = error.strerror or type(error).__name__
    raise ConfigError(f"cannot read {path}: {why}", hint="check the path")


def _kind(path: Path) -> str:
    """What a file says that it is, or ""."""
    try:
        content = json.loads(read_text(path)) if path.is_file() else None
    except (ConfigError, ValueError, RecursionError):
        return ""
    return str(content.get("kind")) if isinstance(content, dict) else ""
