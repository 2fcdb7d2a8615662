"""Which protocol machines live by: blocks that exclude each other, and what only one protocol can carry."""

from pathlib import Path

import pytest
from manifest_harness import HEAD, address, problems, read

from reconciler.core.fleet import Fleet
from reconciler.kinds.peaq_v2.ground import MachineBlock

A, B = address(0xA1), address(0xB2)
MIXED = "0x52908400098527886E0F7030069857D2E4169Ee7"
V2 = "v2: {machineType: press, credentialSubject: acme-07}"
BOTH = "defaults:\n  v1: {dataVisibility: public}\n  v2: {machineType: press, credentialSubject: 'acme-{name}'}\n"

# What follows HEAD (so its first line is 6), then line, column, a part of the message, a part of the hint.
MISTAKES = [
    (
        f"protocol: v2\nmachines:\n  - name: press-07\n    {V2}\n    v1: {{dataVisibility: public}}\n",
        *(10, 5, "`press-07` lives by v2: a v1 block cannot be carried", "`protocol: v1` here"),
    ),
    (
        f'machines:\n  - name: press-07\n    address: "{A}"\n    {V2}\n',
        *(9, 5, "`press-07` lives by v1: a v2 block cannot be carried", "`protocol: v2` here"),
    ),
    ("protocol: v2\nmachines:\n  - name: a\n", 8, 11, "`a` lives by v2 and has no v2 block", "machineType"),
    ("machines:\n  - name: a\n    protocol: v2\n", 7, 11, "`a` lives by v2 and has no v2 block", "machineType"),
    (
        f'protocol: v2\nmachines:\n  - name: a\n    address: "{A}"\n    {V2}\n',
        *(9, 5, "`address` is of no use", "custody: machine"),
    ),
    (f"protocol: v2\nmachines:\n  - name: a\n    key: {{env: A}}\n    {V2}\n", 9, 5, "`key` is of no use", ""),
    (
        f"protocol: v2\nmachines:\n  - name: a\n    {V2[:-1]}, custody: machine}}\n",
        *(8, 11, "a machine needs an address or a key", "keys generate"),
    ),
    (
        f"protocol: v2\nv1: {{publishFleet: true}}\nmachines:\n  - name: a\n    {V2}\n",
        *(7, 1, "no machine lives by v1: a v1 block cannot be carried", "take it out"),
    ),
    ("protocol: v3\n", 6, 11, "must be one of `v1`, `v2`", ""),
    (f"protocol: v2\nmachines:\n  - name: a\n    {V2[:-1]}, owner: '{B}'}}\n", 9, 9, "belong together", ""),
    (f"protocol: v2\nmachines:\n  - name: a\n    {V2[:-1]}, custody: handover}}\n", 9, 9, "belong together", ""),
    ("protocol: v2\nmachines:\n  - name: a\n    v2: {machineType: x}\n", 9, 9, "missing key `credentialSubject`", ""),
    (f"protocol: v2\nmachines:\n  - name: a\n    tier: pro\n    {V2}\n", 9, 5, "unknown key `tier`", "under `v2`"),
    (f"protocol: v2\nmachines:\n  - name: a\n    custody: none\n    {V2}\n", 9, 5, "unknown key `custody`", "`v2`"),
    (
        f"protocol: v2\nmachines:\n  - name: a\n    {V2[:-1]}, controller: '{MIXED}'}}\n",
        *(9, 70, "wrong EIP-55 checksum", "write 0x52908400098527886E0F7030069857D2E4169EE7"),
    ),
    # defaults that go under no machine are read all the same
    (
        f'defaults: {{v2: {{teir: pro}}}}\nmachines: [{{name: a, address: "{A}"}}]\n',
        6,
        17,
        "unknown key `teir`",
        "tier",
    ),
    ("protocol: v2\ndefaults: {v1: {dataVisibility: x}}\n", 7, 33, "must be one of `public`", ""),
]


@pytest.mark.parametrize(("text", "line", "column", "message", "hint"), MISTAKES, ids=[case[3] for case in MISTAKES])
def test_a_mistake_is_told_at_its_place(
    tmp_path: Path, text: str, line: int, column: int, message: str, hint: str
) -> None:
    found = problems(tmp_path, HEAD + text)
    shown = [f"{p} ({p.hint})" for p in found]
    assert len(found) == 1, shown
    assert (found[0].line, found[0].column) == (line, column), shown
    assert message in found[0].message, shown
    assert hint in found[0].hint, shown


def ids(fleet: Fleet) -> dict[str, str]:
    return {machine.name: fleet.identity_of(machine).did for machine in fleet.machines}


def test_each_machine_takes_its_own_block_of_the_defaults(tmp_path: Path) -> None:
    machines = f'machines:\n  - {{name: new, protocol: v2}}\n  - {{name: old, address: "{A}"}}\n'
    fleet = read(tmp_path, HEAD + BOTH + machines).fleet
    new, old = fleet.machines
    block = new.section(MachineBlock)
    assert block is not None
    assert block.subject == b"acme-new"
    assert ids(fleet) == {"new": f"did:peaq:{block.machine_id}", "old": f"did:peaq:{A}"}
    assert old.section(MachineBlock) is None
    assert [machine.name for machine in fleet.machines if machine.has_account] == ["old"]


def test_the_protocol_may_be_a_default_and_the_cell_of_a_table(tmp_path: Path) -> None:
    fleet = 'machineSets: [{from: {csv: m.csv}, template: {name: "{id}", protocol: "{lives}"}}]\n'
    text = HEAD + BOTH + f'{fleet}machines: [{{name: c, protocol: v1, address: "{A}"}}]\n'
    found = read(tmp_path, text, {"m.csv": "id,lives\na,v2\n"}).fleet
    assert [(m.name, m.protocol) for m in found.machines] == [("c", "v1"), ("a", "v2")]
    text = HEAD + "defaults: {protocol: v2, v2: {machineType: x, credentialSubject: '{name}'}}\nmachines: [{name: a}]\n"
    assert read(tmp_path, text).fleet.of("v2")


def test_a_live_network_wants_the_protocol_written_out(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, HEAD.replace("network: sandbox", "network: peaq"))
    assert "must be written out" in found.message
    assert "`protocol: v2`" in found.hint


def test_a_network_of_ones_own_needs_the_contracts_of_its_protocol_only(tmp_path: Path) -> None:
    names = ("infoDesk", "machineRegistry", "machineStateAndSync", "machineSubscription", "crossChainMirror")
    own = HEAD.replace("network: sandbox", "network: {rpcUrl: 'http://127.0.0.1:1', chainId: 5, contracts: {%s}}")
    said = ", ".join(f'{name}: "{address(number)}"' for number, name in enumerate(names, 1))
    machine = f"protocol: v2\nmachines:\n  - name: a\n    {V2}\n"
    assert not problems(tmp_path, own % said + machine)
    (found,) = problems(tmp_path, own % "" + machine)
    assert (found.line, found.message) == (4, f"protocol v2 needs the addresses of {', '.join(names)}")
    (found,) = problems(tmp_path, own % said + f'machines: [{{name: a, address: "{A}"}}]\n')
    assert "protocol v1 needs the addresses of identityRegistry, " in found.message
