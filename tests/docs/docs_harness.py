"""The pages of the documentation, taken apart: what to run, what to expect, and what is a manifest.

What a fence says after the language is for these tests:

    sh                   run, and every command must end with 0; `sh exit=2` the last one with 2
    sh answer=yes        the same, with this answer typed at the terminal
    sh norun             not run; a comment `<!-- norun: why -->` stands right above
    console              each line after `$ ` is run, and the lines below it must occur in its output, in this order;
                         `…` stands for anything
    yaml file=NAME       written to this file, for the commands below
    yaml                 a whole manifest, or keys of one; `yaml in=machine` keys of a machine; `yaml other` no manifest

A comment `<!-- run … -->` is run like `sh`, unseen by readers. Each page is one shell in an empty directory.
`. "$PRESS_HALL"` brings up the fleet of the tutorial there.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_START = re.compile(r"^```(\S+) *(.*)$|^<!-- (run)\b(.*)$")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@dataclass(frozen=True)
class Block:
    """One fence, or one comment that is run. `line` is that of its first line; `before` the line above it."""

    page: Path
    line: int
    language: str
    options: Mapping[str, str]
    text: str
    before: str = ""

    @property
    def where(self) -> str:
        return f"{name_of(self.page)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    lines = page.read_text(encoding="utf-8").splitlines()
    at = 0
    while at < len(lines):
        started = _START.match(lines[at])
        if started is None:
            at += 1
            continue
        language, info = (started[1], started[2]) if started[1] else ("run", "")
        comment = language == "run"
        rest = [started[4], *lines[at + 1 :]] if comment else lines[at + 1 :]
        size = next(i for i, line in enumerate(rest) if ("-->" in line if comment else line == "```"))
        body = rest[: size + 1] if comment else rest[:size]
        text = "\n".join(body).replace("-->", "") + "\n"
        yield Block(page, at + 1, language, _options(info), text, lines[at - 1] if at else "")
        at += size + (1 if comment else 2)


def _options(info: str) -> dict[str, str]:
    pairs = [word.partition("=") for word in info.split()]
    return {key: value for key, _, value in pairs}


@dataclass(frozen=True)
class Unit:
    """What one shell command of a page is, and how it should end."""

    where: str
    script: str
    exit: int = 0
    shows: tuple[str, ...] = ()
    answers: tuple[str, ...] = field(default=())


def units(page: Path) -> list[Unit]:
    return [unit for block in blocks(page) for unit in _units(block)]


def _units(block: Block) -> Iterator[Unit]:
    if "norun" in block.options:
        return
    code = int(block.options.get("exit", "0"))
    answers = tuple(block.options[key] for key in ("answer",) if key in block.options)
    if block.language in ("sh", "run"):
        yield Unit(block.where, block.text, code, (), answers)
    elif block.language == "console":
        yield from _prompted(block, code, answers)
    elif block.language == "yaml" and "file" in block.options:
        name = block.options["file"]
        yield Unit(block.where, f"mkdir -p $(dirname {name}); cat > {name} <<'END'\n{block.text}END\n")


def _prompted(block: Block, code: int, answers: tuple[str, ...]) -> Iterator[Unit]:
    *_, last = parts = re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]
    for part in parts:
        command, *shown = part.rstrip("\n").split("\n")
        ends = code if part is last else 0
        yield Unit(block.where, command + "\n", ends, tuple(line for line in shown if line.strip(" …")), answers)


def missing(unit: Unit, output: str) -> str | None:
    """The first line that should have been shown, and was not where it should be."""
    found = [" ".join(line.split()) for line in output.splitlines()]
    at = 0
    for wanted in unit.shows:
        pattern = re.compile(".*".join(re.escape(part) for part in " ".join(wanted.split()).split("…")))
        hit = next((i for i in range(at, len(found)) if pattern.fullmatch(found[i])), None)
        if hit is None:
            return wanted
        at = hit + 1
    return None


def slugs(page: Path) -> set[str]:
    """Anchors of a page, as GitHub makes them."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    heads = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}
