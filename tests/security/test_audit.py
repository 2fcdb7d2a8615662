"""The audit of dependencies tells what is vulnerable from what could not be asked."""

import runpy
from pathlib import Path
from typing import Any

import pytest

AUDIT = runpy.run_path(str(Path(__file__).parents[2] / "ci/audit.py"))
GOOD: dict[str, Any] = {"name": "a", "version": "1", "vulns": []}
SKIPPED = {"name": "b", "skip_reason": "not found"}
BAD = {"name": "c", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}


@pytest.mark.parametrize(
    ("entries", "code", "words"),
    [
        (None, 0, "nothing was audited"),
        ([SKIPPED], 0, "nothing was audited"),
        ([GOOD, SKIPPED], 0, "1 packages without known vulnerabilities, 1 not known"),
        ([GOOD, SKIPPED, BAD], 1, "c 2: PYSEC-1"),
    ],
)
def test_verdicts(entries: Any, code: int, words: str) -> None:
    found, text = AUDIT["verdict"](entries)
    assert found == code
    assert words in text
