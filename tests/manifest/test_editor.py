"""What a user sees in an editor: no red mark under a good manifest, one under each mistake, words and completions."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from editor_harness import Editor, editor
from manifest_harness import EXAMPLE

ROOT = Path(__file__).parents[2]
EXAMPLES = [
    path for path in sorted(ROOT.glob("examples/**/*.yaml")) if "yaml-language-server: $schema=" in path.read_text()
]
HEAD = f"""\
# yaml-language-server: $schema={(ROOT / "schemas/fleet.schema.json").as_uri()}
apiVersion: fleetctl/v1
kind: Fleet
name: berlin
network: sandbox
operator: {{key: {{env: KEY}}}}
"""
FIRST = 7
"""Line after the head."""


@pytest.fixture(scope="module", name="lsp")
def running() -> Iterator[Editor]:
    with editor() as found:
        yield found


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_examples_have_no_red_mark(lsp: Editor, path: Path) -> None:
    assert lsp.diagnostics(path, path.read_text()) == []


def test_the_fleet_of_the_handbook_has_no_red_mark(lsp: Editor) -> None:
    # Beside this directory, where its first line looks for the schema.
    assert lsp.diagnostics(ROOT / "examples" / "handbook.yaml", EXAMPLE) == []


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("machnes: []\n", 0, "machnes"),
        ("machines:\n  - {adress: x, name: a}\n", 1, "adress"),
        ("machines:\n  - {name: a, address: 0x12}\n", 1, ""),
        ("machines:\n  - {name: 'a b'}\n", 1, "pattern"),
        ("machines:\n  - {name: a, v1: {custody: maybe}}\n", 1, '"none"'),
        ("machines:\n  - {key: {env: A}}\n", 1, "name"),
        ("guards: {maxSpend: 25}\n", 0, ""),
        ("guards: {policyWidening: perhaps}\n", 0, '"deny"'),
        ("v1: {funding: {below: 1 PEAQ}}\n", 0, "to"),
        ("tokens: {mode: sometimes}\n", 0, '"keepFresh"'),
        ("defaults: {name: a}\n", 0, "name"),
        ("machineSets:\n  - {template: {name: a}}\n", 1, "from"),
    ],
)
def test_a_mistake_has_a_red_mark_in_its_place(lsp: Editor, text: str, line: int, said: str) -> None:
    found = lsp.diagnostics(Path(f"/tmp/{abs(hash(text))}.yaml"), HEAD + text)
    assert found
    assert {number for number, _ in found} == {FIRST + line}
    assert any(said in words for _, words in found), found


def test_hovers_say_what_a_key_is_for(lsp: Editor) -> None:
    path = Path("/tmp/hover.yaml")
    machine = "machines:\n  - name: a\n    v1: {custody: none}\n"
    assert not lsp.diagnostics(path, HEAD + "guards: {maxSpend: 25 PEAQ}\n" + machine)
    assert "Most that one apply may spend" in lsp.hover(path, FIRST, 12)
    assert "nobody will ever sign" in lsp.hover(path, FIRST + 3, 11)


def test_keys_and_words_are_completed(lsp: Editor) -> None:
    path = Path("/tmp/complete.yaml")
    lsp.diagnostics(path, HEAD + "machines:\n  - name: a\n    \n    state: \n")
    assert {"address", "key", "market", "pairings", "v1"} <= set(lsp.completions(path, FIRST + 2, 5))
    assert {"active", "retired"} <= set(lsp.completions(path, FIRST + 3, 12))
    assert {"machineSets", "agents", "tokens"} <= set(lsp.completions(path, FIRST + 4, 1))
