"""`fleetctl fmt` moves lines, never their words: the same fleet, every comment, nothing left for a second time."""

import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from manifest_harness import EXAMPLE, HEAD, address, read

from reconciler.cli.main import run
from reconciler.manifest.construct import construct
from reconciler.manifest.layout import formatted
from reconciler.manifest.problems import Problems
from reconciler.manifest.source import compose

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(ROOT.glob("examples/**/*.yaml"))
COMMENT = re.compile(r"#[^\n]*")


def meaning(text: str) -> object:
    problems = Problems()
    node = compose(text, "", problems)
    assert node is not None, problems.sorted()
    return construct(node, "", problems)


def comments(text: str) -> list[str]:
    return sorted(found.rstrip() for found in COMMENT.findall(text))


def held(text: str) -> str:
    """The formatted text, once everything that must hold for it does."""
    new = formatted(text)
    assert meaning(new) == meaning(text)
    assert comments(new) == comments(text)
    assert formatted(new) == new
    return new


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_examples_are_in_their_usual_form(path: Path) -> None:
    assert held(path.read_text()) == path.read_text()


def test_the_fleet_of_the_handbook_is_in_its_usual_form() -> None:
    assert held(EXAMPLE) == EXAMPLE


MESSY = """\
# top

kind: Fleet
apiVersion: fleetctl/v1
machines:
# first
-   key: {file: x}
    # what it is called
    name:   a     # yes
    v1:
        attributes:
          a: |
             x
              y
          b: "one
             two"
    address: "0x1"
    # end of a
-  {pairings: [], key: {file: y}, name: b}


# about the network
network:
    rpcUrl:
    - a
    # - c
# last
"""
NEAT = """\
# top

apiVersion: fleetctl/v1
kind: Fleet

# about the network
network:
  rpcUrl:
    - a
    # - c
machines:
  # first
  # what it is called
  - name:   a     # yes
    address: "0x1"
    key: {file: x}
    v1:
      attributes:
        a: |
           x
            y
        b: "one
           two"
    # end of a
  - {name: b, key: {file: y}, pairings: []}
# last
"""


def test_keys_are_ordered_and_levels_indented_with_their_comments() -> None:
    assert held(MESSY) == NEAT


def test_line_ends_of_windows_stay() -> None:
    assert formatted(MESSY.replace("\n", "\r\n")) == NEAT.replace("\n", "\r\n")


@pytest.mark.parametrize(
    "text",
    [
        "tokens: &t {mode: onChange}\nname: *t\n",
        "machines:\n  - key: &k {env: A}\n    name: a\n  - {name: b, key: *k}\n",
        "a: |2\n    x\nb: |+\n  y\n\n\nc: >-\n    z\n     w\n",
        "machines:\n- - a\n  -   b\n-\n  name: c\n- # why\n  name: d\n",
        "---\nkind: Fleet\n...\n",
        "name: a\n",
        "machines:\n    &m\n    - name: a\n",
        "key:\n    text that\n      goes on\n",
        "# only\nname: 'it''s # no comment'\nkind: Fleet # yes",
        "defaults: &d\n    market: {machineType: a}\nmachines:\n    - <<: *d\n      name: x\n",
        "machines: [\n    # of a\n  {name: a},\n  ]\nkind: Fleet\n",
        "a:\n   b:\n      c: 1\n   # of b\n      # deeper\n # of a\nd: 1\n",
    ],
)
def test_odd_forms_keep_their_meaning(text: str) -> None:
    held(text)


def test_an_alias_stays_behind_its_anchor() -> None:
    text = "tokens: &t {mode: onChange}\nkind: *t\n"
    assert held(text) == text


KEYS = ("apiVersion", "kind", "name", "machines", "defaults", "tokens", "v1", "include", "agents", "other")
INNER = ("name", "address", "key", "v1", "market", "pairings", "else")
SCALARS = (
    *("1", "text", '"a # b"', "'x: y'", "{b: 1, name: c, a: [1, 2]}", "[a, b]", "", "|\n{}  one\n{}   two"),
    *('"over\n{}   lines"', "[a,\n{}  # in it\n{}  b]", ">-\n{} one\n\n{} two", "a word\n{}  and more"),
)
REMARKS = ("", "", "", "", "# remark", "\n", "  # deeper")


@st.composite
def blocks(draw: st.DrawFn, indent: int, keys: tuple[str, ...], depth: int) -> str:
    """A block mapping at `indent`, with remarks, lists and anything else in it."""
    lines: list[str] = []
    for number, key in enumerate(draw(st.lists(st.sampled_from(keys), min_size=1, max_size=4, unique=True))):
        remark = draw(st.sampled_from(REMARKS))
        lines += [" " * indent + remark] if remark and number else []
        lines.append(f"{' ' * indent}{key}:{draw(_values(indent, depth))}")
    return "\n".join(lines)


@st.composite
def _values(draw: st.DrawFn, indent: int, depth: int) -> str:
    form = draw(st.integers(0, 3)) if depth else 0
    if form < 2:
        tail = draw(st.sampled_from(("", "", "  # beside")))
        scalar = draw(st.sampled_from(SCALARS)).replace("{}", " " * indent) if depth else "1"
        return f" {scalar}{'' if chr(10) in scalar else tail}"
    if form == 2:
        return "\n" + draw(blocks(indent + draw(st.integers(1, 5)), INNER, depth - 1))
    dash = indent + draw(st.integers(0, 4))
    items = []
    for _ in range(draw(st.integers(1, 3))):
        gap = draw(st.integers(1, 3))
        inner = draw(blocks(dash + 1 + gap, INNER, depth - 1))
        items.append(f"{' ' * dash}-{inner[dash + 1 :]}")
    return "\n" + "\n".join(items)


@settings(max_examples=100, deadline=None)
@given(blocks(0, KEYS, 3))
def test_whatever_is_written_keeps_its_meaning_and_its_comments(text: str) -> None:
    held(text + "\n")


def test_files_that_are_included_are_written_too_and_keep_their_mode(tmp_path: Path) -> None:
    site = f"machines:\n-   address: '{address(7)}'\n    name: x\n"
    before = read(tmp_path, HEAD + "include: [site.yaml]\n", {"site.yaml": site})
    (tmp_path / "site.yaml").chmod(0o640)
    assert run(["fmt", "-f", str(tmp_path / "fleet.yaml"), "--check"]) == 2
    assert (tmp_path / "site.yaml").read_text() == site
    assert run(["fmt", "-f", str(tmp_path / "fleet.yaml")]) == 0
    assert (tmp_path / "site.yaml").read_text() == f"machines:\n  - name: x\n    address: '{address(7)}'\n"
    assert stat.S_IMODE((tmp_path / "site.yaml").stat().st_mode) == 0o640
    assert run(["fmt", "-f", str(tmp_path / "fleet.yaml"), "--check"]) == 0
    assert read(tmp_path, (tmp_path / "fleet.yaml").read_text()).fleet == before.fleet


def test_check_lists_files_and_diff_shows_lines(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text("kind: Fleet\napiVersion: fleetctl/v1")
    told = _fleetctl("fmt", "--check", str(path))
    assert (told.returncode, told.stdout) == (2, f"{path}\n")
    shown = _fleetctl("fmt", "--check", "--diff", str(path)).stdout
    assert "+apiVersion: fleetctl/v1\n" in shown
    assert _fleetctl("fmt", str(tmp_path / "none.yaml")).returncode == 3


def _fleetctl(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "reconciler", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
