"""Our own contracts with the v1 interfaces: Solidity in `src/`, what the compiler made of it in `artifacts/`."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SOURCES = HERE / "src"
ARTIFACTS = HERE / "artifacts"


@dataclass(frozen=True)
class Artifact:
    """One compiled contract."""

    abi: list[dict[str, Any]]
    runtime: str
    """Runtime code as 0x-hex, to be placed at an address."""


@cache
def artifact(name: str) -> Artifact:
    """The compiled contract of that name."""
    content = json.loads((ARTIFACTS / f"{name}.json").read_text(encoding="utf-8"))
    return Artifact(content["abi"], content["runtime"])
