"""RESULTS.md as sections: each program replaces its own and leaves the others alone."""

from collections.abc import Iterable, Sequence
from pathlib import Path

RESULTS = Path(__file__).parent / "RESULTS.md"


def write(title: str, lines: Iterable[str]) -> None:
    """Replace the section under `title` ("## …"), or add it at the end; and show it."""
    section = "\n".join([title, "", *lines]).rstrip()
    before, after = _around(RESULTS.read_text() if RESULTS.exists() else "# Measured\n", title)
    RESULTS.write_text("\n\n".join(part for part in (before, section, after) if part) + "\n")
    print("\n" + section)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """A Markdown table and the empty line after it."""
    return [_row(head), "| --- " * len(head) + "|", *map(_row, rows), ""]


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _around(text: str, title: str) -> tuple[str, str]:
    """What stands before the section, and what after it."""
    before, found, rest = text.partition(title + "\n")
    following = rest.find("\n## ")
    return before.strip(), rest[following:].strip() if found and following >= 0 else ""
