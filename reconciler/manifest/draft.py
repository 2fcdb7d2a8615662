"""The fleet as plain data while it is put together, before it is checked."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconciler.manifest.origin import Entry, Origins
from reconciler.manifest.problems import Problems
from reconciler.manifest.source import Texts


@dataclass
class Draft:
    raw: dict[str, Any]
    origins: Origins
    problems: Problems
    texts: dict[Path, str] = field(default_factory=dict)
    """Every file that was read."""
    notices: list[str] = field(default_factory=list)
    instead: Texts = field(default_factory=dict)
    """Read in place of files."""
    form: str = ""
    """The older form that the manifest is written in, if it is."""
    defaults: Entry | None = None
    """Where the defaults are written, and what they say."""
    defaults_data: dict[str, Any] = field(default_factory=dict)
