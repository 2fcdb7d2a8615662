"""Renamed machines, and machines in another file: what is the same, and what is a mistake."""

from pathlib import Path

import pytest
from manifest_harness import address, problems, read

HEAD = f"""\
apiVersion: fleetctl/v1
kind: Fleet
name: a
network: sandbox
operator: {{address: "{address(0xE)}"}}
defaults: {{metadata: {{documentationUrl: "https://docs.example.com/{{name}}"}}}}
"""
THREE = "machines:\n" + "".join(f'  - {{name: m{n}, address: "{address(n)}"}}\n' for n in (1, 2, 3))


def moves(*pairs: str) -> str:
    return "moved:\n" + "".join(f"  - {{from: {a}, to: {b}}}\n" for a, b in (pair.split(">") for pair in pairs))


def test_a_renamed_machine_goes_on_under_its_first_name(tmp_path: Path) -> None:
    fleet = read(tmp_path, HEAD + moves("old>mid", "mid>m1", "was>m3") + THREE).fleet
    assert [fleet.known_as(machine) for machine in fleet.machines] == ["old", "m2", "was"]
    urls = [machine.metadata.documentation_url for machine in fleet.machines]
    assert urls == [f"https://docs.example.com/{name}" for name in ("old", "m2", "was")]


def test_the_lock_file_is_read_under_the_old_name(tmp_path: Path) -> None:
    machines = "machines:\n  - {name: new, key: {file: k}}\n"
    files = {"fleet.lock.yaml": f'machines:\n  "old": "{address(7)}"\n'}
    assert read(tmp_path, HEAD + moves("old>new") + machines, files).fleet.machines[0].address == address(7)
    assert read(tmp_path, HEAD + machines, files).fleet.machines[0].address is None


@pytest.mark.parametrize(
    ("pairs", "line", "said"),
    [
        (["m2>m1"], 8, "there is a machine `m2`"),
        (["old>gone"], 8, "there is no machine `gone`"),
        (["a>m1", "a>m2"], 9, "`a` is there twice"),
        (["a>m1", "b>m1"], 9, "`m1` is there twice"),
        (["m1>m2", "m2>m1"], 8, "there is a machine `m1`"),
        (["m1>m1"], 8, "there is a machine `m1`"),
        (["a>b", "b>c"], 9, "there is no machine `c`"),
        (["x>y", "y>x"], 8, "goes round in a circle"),
        (["a>m1", "x>y", "y>x"], 10, "goes round in a circle"),
        (["x>m1", "x>y", "y>x"], 9, "`x` is there twice"),
    ],
)
def test_what_is_wrong_with_a_move_is_told(tmp_path: Path, pairs: list[str], line: int, said: str) -> None:
    found = problems(tmp_path, HEAD + moves(*pairs) + THREE)
    assert any(said in problem.message and problem.line == line for problem in found), found


@pytest.mark.parametrize("entry", ["5", "{from: a}", "{from: a, to: [m1]}", "{from: a, to: m1, why: x}"])
def test_an_entry_of_another_shape_is_told(tmp_path: Path, entry: str) -> None:
    assert problems(tmp_path, f"{HEAD}moved: [{entry}]\n{THREE}")
    assert problems(tmp_path, f"{HEAD}moved: {entry}\n{THREE}")


def test_a_machine_may_stand_in_any_file(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    whole = read(one, HEAD + THREE).fleet
    first, *rest = THREE.splitlines(keepends=True)
    parts = read(two, HEAD + 'include: ["*.part.yaml"]\n' + first + "".join(rest[:1]), {
        "b.part.yaml": first + "".join(rest[1:]),
    }).fleet  # fmt: skip
    assert parts == whole
