"""Manifests of an older form: read as they are, told about, and upgraded with comments and order kept."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from manifest_harness import HEAD, address, problems, read, write

from reconciler.cli.main import cli
from reconciler.core.errors import ManifestError
from reconciler.core.identity import Custody
from reconciler.manifest.edit import sources
from reconciler.manifest.layout import formatted
from reconciler.manifest.upgrade import older_form, upgraded_text

OLD = HEAD.replace("fleetctl/v1", "fleetctl/v1alpha1")
A, B, C = address(0xA1), address(0xB2), address(0xC3)


def custodies(directory: Path, text: str, files: dict[str, str] | None = None) -> dict[str, str]:
    machines = read(directory, text, files).fleet.machines
    return {machine.name: (machine.section(Custody) or Custody()).custody for machine in machines}


def upgraded(directory: Path, text: str) -> str:
    root = sources(write(directory, text))[0]
    return upgraded_text(root, formatted(root.text), older_form(root))


EVERYWHERE = f"""\
defaults: {{custody: none}}
machines:
  - {{name: a, address: "{A}"}}
  - {{name: b, address: "{B}", custody: key}}
machineSets:
  - from: {{csv: m.csv}}
    template: {{name: "m{{id}}", address: "{{address}}", custody: "{{custody}}"}}
include: [site.yaml]
"""
FILES = {
    "m.csv": f"id,address,custody\n1,{C},key\n",
    "site.yaml": f'machines:\n  - name: s\n    address: "{address(0xD4)}"\n    custody: key\n',
}


def test_an_older_manifest_says_the_same_wherever_it_says_it(tmp_path: Path) -> None:
    found = custodies(tmp_path, OLD + EVERYWHERE, FILES)
    assert found == {"a": "none", "b": "key", "m1": "key", "s": "key"}
    assert read(tmp_path, OLD + EVERYWHERE, FILES).form == "fleetctl/v1alpha1"
    assert read(tmp_path, HEAD + "machines: []\n").form == ""


def test_the_newer_form_has_no_place_for_what_has_moved(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, HEAD + f'machines:\n  - {{name: a, address: "{A}", custody: none}}\n')
    assert found.message == "unknown key `custody`"
    assert "under `v1`" in found.hint


def test_a_mistake_in_an_older_manifest_is_told_where_it_is_written(tmp_path: Path) -> None:
    for machine in (
        "  - name: a\n    custody: nobody\n    key: {env: A}\n",
        "  - name: a\n    custody: nobody\n    key: {env: A}\n    v1: {dataVisibility: public}\n",
    ):
        (found,) = problems(tmp_path, OLD + "machines:\n" + machine)
        assert (found.line, found.column, found.message) == (8, 14, "must be one of `key`, `none`")


def test_what_was_moved_is_found_where_it_is_written_after_nodes_were_forgotten(tmp_path: Path) -> None:
    manifest = read(tmp_path, OLD + EVERYWHERE, FILES)
    locs = [("machines", index, "v1", "custody") for index in range(4)]
    assert {entry.source.data for entry in manifest.origin.machines} == {None}
    found = [manifest.origin.place(loc) for loc in locs]
    assert [(Path(file).name, line, column) for file, line, column in found] == [
        ("fleet.yaml", 6, 21),
        ("fleet.yaml", 9, 37 + len(B)),
        ("m.csv", 2, 1),
        ("site.yaml", 4, 14),
    ]


BLOCK = f"""\
machines:
  # the first
  - name: a  # called so
    address: "{A}"
    # nobody is
    # at home
    custody: none  # sealed
    v1:
      # seen by all
      dataVisibility: public
    protect: true
  - name: b
    address: "{B}"
    # why
    custody: none  # sealed
    v1: {{dataVisibility: public}}  # after
  - name: c
    address: "{C}"
    custody: none  # alone
"""
NEAT = f"""\
machines:
  # the first
  - name: a  # called so
    address: "{A}"
    protect: true
    v1:
      # nobody is
      # at home
      custody: none  # sealed
      # seen by all
      dataVisibility: public
  - name: b
    address: "{B}"
    # why
    # sealed
    v1: {{custody: none, dataVisibility: public}}  # after
  - name: c
    address: "{C}"
    v1: {{custody: none}}  # alone
"""


def test_a_text_is_upgraded_with_its_comments_and_order(tmp_path: Path) -> None:
    assert upgraded(tmp_path, OLD + BLOCK) == HEAD + NEAT
    assert custodies(tmp_path, HEAD + NEAT) == custodies(tmp_path, OLD + BLOCK)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{custody: none}", "{v1: {custody: none}}"),
        ("{custody: none, v1: &a {}}", "{v1: &a {custody: none}}"),
        ("{custody: none, protect: true}", "{protect: true, v1: {custody: none}}"),
        ("{v1: {dataVisibility: public}, custody: none}", "{v1: {custody: none, dataVisibility: public}}"),
        ("{custody: none, v1: {dataVisibility: public}}", "{v1: {custody: none, dataVisibility: public}}"),
    ],
)
def test_brackets_are_upgraded_too(tmp_path: Path, old: str, new: str) -> None:
    assert formatted(upgraded(tmp_path, OLD + f"defaults: {old}\n")) == HEAD + f"defaults: {new}\n"


def test_windows_line_ends_and_a_missing_last_one_are_kept_or_made(tmp_path: Path) -> None:
    text = (OLD + BLOCK).replace("\n", "\r\n").rstrip()
    assert upgraded(tmp_path, text) == (HEAD + NEAT).replace("\n", "\r\n")


@pytest.mark.parametrize("block", ["v1: *seen", "<<: *sealed"])
def test_what_cannot_be_moved_is_told_and_nothing_is_written(tmp_path: Path, block: str) -> None:
    text = OLD + (
        "machines:\n"
        f'  - &sealed {{name: a, address: "{A}", custody: none, v1: &seen {{dataVisibility: public}}}}\n'
        f'  - {{name: b, address: "{B}", custody: none, {block}}}\n'
    )
    with pytest.raises(ManifestError, match="without a change of meaning") as raised:
        upgraded(tmp_path, text)
    assert {problem.line for problem in raised.value.problems} == {8}


def test_fmt_upgrades_a_manifest_and_what_it_includes(tmp_path: Path) -> None:
    path = write(tmp_path, OLD + EVERYWHERE, FILES)
    before = custodies(tmp_path, OLD + EVERYWHERE, FILES)
    run = CliRunner().invoke
    told = run(cli, ["validate", "-f", str(path)])
    assert f"`fleetctl fmt {path}` makes it fleetctl/v1" in told.stderr
    assert told.stdout.splitlines() == [f"{path} is valid: 4 machines, 0 agents, 1 operator."]
    told = run(cli, ["fmt", "--check", str(tmp_path / "site.yaml"), str(path)], standalone_mode=False)
    assert told.return_value == 2
    assert told.stdout.splitlines() == [str(tmp_path / "site.yaml"), str(path)]
    assert told.stderr == "fleetctl/v1alpha1 is an older form; `fleetctl fmt` makes it fleetctl/v1\n"
    told = run(cli, ["fmt", str(path)])
    assert (told.exit_code, told.stderr) == (0, "fleetctl/v1alpha1 is an older form; now it is fleetctl/v1\n")
    assert custodies(tmp_path, path.read_text(), {"site.yaml": (tmp_path / "site.yaml").read_text()}) == before
    assert "custody: key" in (tmp_path / "site.yaml").read_text().splitlines()[-1]
    told = run(cli, ["validate", "-f", str(path)])
    assert (told.stderr, told.exit_code) == ("", 0)
    assert run(cli, ["fmt", "--check", str(path)]).output == ""
