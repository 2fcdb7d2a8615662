"""The fleet as plain data while it is put together, before it is checked."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconciler.manifest.origin import Origins
from reconciler.manifest.problems import Problems


@dataclass
class Draft:
    raw: dict[str, Any]
    origins: Origins
    problems: Problems
    texts: dict[Path, str] = field(default_factory=dict)
    """Every file that was read."""
    notices: list[str] = field(default_factory=list)
