"""A saved plan is bound to the manifest by its digest, which must know every file."""

from collections.abc import Callable
from pathlib import Path

import pytest
from manifest_harness import KINDS

from reconciler.manifest.parse import load

FLEET = """\
apiVersion: fleetctl/v1
kind: Fleet
name: test
network: sandbox
operator: {address: "0x00000000000000000000000000000000000000a1"}
include: [sites/*.yaml]
machineSets: [{from: {csv: table.csv}, template: {name: "air-{id}", address: "{address}"}}]
"""
SITE = 'machines: [{name: a, address: "0x00000000000000000000000000000000000000b1"}, {name: b}]\n'
TABLE = "id,address\n1,0x00000000000000000000000000000000000000c1\n"
LOCK = 'machines:\n  "b": "0x00000000000000000000000000000000000000d1"\n'
Edit = Callable[[Path], object]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "sites").mkdir()
    for name, text in {
        "fleet.yaml": FLEET,
        "sites/one.yaml": SITE,
        "table.csv": TABLE,
        "fleet.lock.yaml": LOCK,
    }.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def digest(root: Path) -> str:
    return load(root / "fleet.yaml", KINDS, None).digest


@pytest.mark.parametrize("name", ["fleet.yaml", "sites/one.yaml", "table.csv", "fleet.lock.yaml"])
def test_it_covers_every_file(root: Path, name: str) -> None:
    before = digest(root)
    assert digest(root) == before
    path = root / name
    path.write_text(
        path.read_text() + ("2,0x00000000000000000000000000000000000000c2\n" if "csv" in name else "# more\n")
    )
    assert digest(root) != before


def test_it_covers_a_file_that_comes_later(root: Path) -> None:
    before = digest(root)
    (root / "sites" / "two.yaml").write_text("machines: []\n")
    assert digest(root) != before
