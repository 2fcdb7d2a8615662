"""Addresses are written into the manifest, and nothing else of it changes."""

from pathlib import Path

import pytest
from manifest_harness import HEAD, KINDS, address, write

from reconciler.core.errors import ConfigError
from reconciler.manifest.edit import write_addresses
from reconciler.manifest.parse import load

TEXT = (
    HEAD.replace(', address: "0x000000000000000000000000000000000000000e"', "")
    + """\
agents:
    'ops':            # odd indentation stays
        provider: "p"
machines:
- name: 'a'   # a comment, and: [odd] things
  key: {file: a}

-   {name: b, key: {file: b}}   # flow
- key: {file: c}
  name: c
machineSets: [{from: {csv: t.csv}, template: {name: "t{id}", key: {file: "{id}"}}}]
include: [site.yaml]"""
)
FILES = {"t.csv": "id\n1\n", "site.yaml": "machines:\r\n  - name: s\r\n    key: {file: s}\r\n"}
WANTED = {
    ("operators", "default"): address(1),
    ("agents", "ops"): address(2),
    ("machines", "a"): address(3),
    ("machines", "b"): address(4),
    ("machines", "c"): address(5),
    ("machines", "t1"): address(6),
    ("machines", "s"): address(7),
}


def test_each_address_goes_where_its_entry_is(tmp_path: Path) -> None:
    path = write(tmp_path, TEXT, FILES)
    changed = write_addresses(path, WANTED)
    assert [p.name for p in changed] == ["fleet.yaml", "site.yaml", "fleet.lock.yaml"]
    fleet = load(path, KINDS, None).fleet
    found = {("machines", m.name): m.address for m in fleet.machines}
    found |= {("agents", n): a.address for n, a in fleet.agents.items()}
    found |= {("operators", n): o.address for n, o in fleet.operators.items()}
    assert found == WANTED


def test_nothing_else_changes(tmp_path: Path) -> None:
    path = write(tmp_path, TEXT, FILES)
    write_addresses(path, WANTED)
    after = path.read_text()
    for number in range(1, 6):
        own = f'address: "{address(number)}"'
        assert after.count(own) == 1
        after = after.replace(f"{own}, ", "").replace(f", {own}", "").replace(f"  {own}\n", "").replace(own, "")
    assert after.replace("        \n", "").replace(" " * 16, " " * 8).split() == TEXT.split()
    assert (tmp_path / "site.yaml").read_bytes() == (
        f'machines:\r\n  - name: s\r\n    address: "{address(7)}"\r\n    key: {{file: s}}\r\n'.encode()
    )


def test_writing_again_changes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, TEXT, FILES)
    write_addresses(path, WANTED)
    assert write_addresses(path, WANTED) == ()


def test_an_address_is_never_overwritten(tmp_path: Path) -> None:
    path = write(tmp_path, TEXT, FILES)
    write_addresses(path, WANTED)
    with pytest.raises(ConfigError, match="another address"):
        write_addresses(path, {("machines", "a"): address(99)})


def test_the_lock_keeps_what_it_has_and_the_mode_stays(tmp_path: Path) -> None:
    path = write(tmp_path, TEXT, {**FILES, "fleet.lock.yaml": f'machines:\n  "old": "{address(8)}"\n'})
    path.chmod(0o600)
    write_addresses(path, WANTED)
    assert path.stat().st_mode & 0o777 == 0o600
    lock = (tmp_path / "fleet.lock.yaml").read_text()
    assert f'"old": "{address(8)}"' in lock and f'"t1": "{address(6)}"' in lock
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fleet.lock.yaml", "fleet.yaml", "site.yaml", "t.csv"]
