"""Entries of machines that take the places of others: written beside what is there, and checked where they are read."""

from pathlib import Path
from typing import Any

import pytest
from manifest_harness import HEAD, KINDS, address, problems, read, write

from reconciler.core.succession import Forerunner
from reconciler.manifest.parse import Manifest, load
from reconciler.manifest.succeed import Asked, Successors

A, B = address(0xA1), address(0xB2)
REGISTRY = "0x1000000000000000000000000000000000000001"
SAID = f"peaqos:v1:31338:{REGISTRY}:7:{A}"
OLD = f"machines:\n  - {{name: a, address: '{A}'}}\n"
BLOCK = f"v2: {{machineType: x, credentialSubject: '{SAID}'}}"
NEW = f"  - name: b\n    protocol: v2\n    successorOf: a\n    {BLOCK}\n"
UNSAID = "the credentialSubject does not say that it takes the place of `a`"

# What follows HEAD (so its first line is 6), then line, column, a part of the message, a part of the hint.
MISTAKES = [
    (OLD + NEW.replace("successorOf: a", "successorOf: c"), 10, 18, "no v1 machine is called `c` here", "lives by v1"),
    (OLD + NEW.replace("successorOf: a", "successorOf: b"), 10, 18, "no v1 machine is called `b` here", "lives by v1"),
    (OLD + f"  - {{name: b, address: '{B}', successorOf: a}}\n", 8, 83, "only a machine of protocol v2", "take it out"),
    (OLD + NEW.replace(SAID, "b"), 11, 45, UNSAID, f"begin it with peaqos:v1:31338:{REGISTRY}:<its id>:{A}"),
    (OLD + NEW.replace(":31338:", ":3338:"), 11, 45, UNSAID, "migrate plan"),
    (OLD + NEW.replace(REGISTRY, B), 11, 45, UNSAID, REGISTRY),
    (OLD + NEW.replace(A, B), 11, 45, UNSAID, A),
    (OLD + NEW.replace(SAID, SAID + "7"), 11, 45, UNSAID, ""),
]


@pytest.mark.parametrize(("text", "line", "column", "message", "hint"), MISTAKES)
def test_mistakes(text: str, line: int, column: int, message: str, hint: str, tmp_path: Path) -> None:
    (found,) = problems(tmp_path, HEAD + text)
    assert (found.line, found.column) == (line, column), found
    assert message in found.message
    assert hint in found.hint


def test_two_that_take_one_place_are_told_at_both(tmp_path: Path) -> None:
    twins = OLD + NEW + NEW.replace("name: b", "name: c").replace(SAID, SAID + "/2")
    found = problems(tmp_path, HEAD + twins)
    assert [(each.line, each.column) for each in found] == [(10, 18), (14, 18)]
    assert all("another machine takes the place of `a` too" in each.message for each in found)
    assert problems(tmp_path, HEAD + twins.replace("name: c", "name: c\n    state: retired")) == []


def test_the_account_may_be_known_to_the_key_alone(tmp_path: Path) -> None:
    assert problems(tmp_path, HEAD + OLD.replace(f"address: '{A}'", "key: {env: A}") + NEW) == []


@pytest.mark.parametrize("text", [SAID, SAID + "/2", SAID + "/", SAID.replace(A, A.upper().replace("0X", "0x"))])
def test_what_a_subject_says_can_be_read_back(text: str) -> None:
    found = Forerunner.read(text.encode())
    assert found is not None
    assert (found.text, found.did.lower()) == (SAID, f"did:peaq:{A}")


@pytest.mark.parametrize("text", ["", "a", SAID[1:], SAID[:-1], SAID + "2", SAID.replace(":7:", ":-7:")])
def test_what_says_something_else_is_read_as_nothing(text: str) -> None:
    assert Forerunner.read(text.encode()) is None
    assert Forerunner.read(b"\xff" + text.encode()) is None


def migrated(manifest: Manifest, retired: tuple[str, ...] = (), **asked: Any) -> dict[str, str]:
    """The texts that change when every v1 machine gets a successor, by file; read again, they are free of mistakes."""
    writer = Successors(manifest.path, manifest.fleet, Asked(**asked))
    found = [
        writer.entry(machine, Forerunner(31338, REGISTRY, "7", machine.address or ""))
        for machine in manifest.fleet.of("v1")
    ]
    entries = [entry for entry in found if entry is not None]
    texts = {source.path: text for source, text in writer.texts(entries, retired)}
    load(manifest.path, KINDS, None, instead={path.resolve(): text for path, text in texts.items()})
    return {path.name: text for path, text in texts.items()}


def added(before: str, after: str) -> str:
    """What is new, where nothing else has changed."""
    assert after.startswith(before)
    return after.removeprefix(before)


SERVICES = 'services: {markets: {url: "http://127.0.0.1:9"}}\n'
MARKET = "market: {machineType: sensor, runtimeProfile: linux, recordId: mach_1}"


def test_what_is_of_the_machine_goes_along(tmp_path: Path) -> None:
    text = f"""{HEAD}{SERVICES}# why
agents: {{ops: {{provider: anthropic, address: "{B}"}}}}
machines:
  - name: a  # the first
    address: "{A}"
    labels: {{site: north}}
    v1: {{attributes: {{colour: red}}}}
    {MARKET}
    pairings: [{{agent: ops, role: ops, paused: true}}]
"""
    expected = f"""\
  - name: a-v2
    protocol: v2
    successorOf: a
    labels: {{site: north}}
    pairings: [{{agent: ops, role: ops, paused: true}}]
    market: {{machineType: sensor, runtimeProfile: linux}}
    v2:
      machineType: sensor
      credentialSubject: "{SAID}"
      serviceEndpoints:
        - {{id: "#predecessor", type: Predecessor, url: "did:peaq:{A}"}}
"""
    assert added(text, migrated(read(tmp_path, text))["fleet.yaml"]) == expected


def test_what_the_defaults_say_of_the_new_name_is_overruled_and_nothing_else_is_repeated(tmp_path: Path) -> None:
    text = f"""{HEAD}{SERVICES}defaults:
  metadata: {{documentationUrl: "https://docs.example.com/{{name}}", dataApi: "https://api.example.com/{{address}}"}}
  market: {{machineType: sensor, runtimeProfile: linux, labels: {{site: north}}}}
  v2: {{machineType: sensor, credentialSubject: "{{name}}", tier: pro, serviceEndpoints: [{{id: s, type: s, url: u}}]}}
machines:
  - {{name: a, address: "{A}", market: {{labels: {{site: north}}}}}}
"""
    new = added(text, migrated(read(tmp_path, text))["fleet.yaml"])
    assert "market" not in new
    assert "machineType" not in new
    assert 'https://docs.example.com/a"' in new
    assert f"https://api.example.com/{A}" in new
    manifest = read(tmp_path, text + new)
    (machine,) = manifest.fleet.of("v2")
    block: Any = machine.model_dump()["v2"]
    assert block["tier"] == "pro"
    assert [endpoint["id"] for endpoint in block["service_endpoints"]] == ["s", "#predecessor"]


def test_where_nothing_says_the_type_there_is_no_entry(tmp_path: Path) -> None:
    manifest = read(tmp_path, HEAD + OLD)
    assert migrated(manifest) == {}
    assert "machineType: robot" in migrated(manifest, machine_type="robot")["fleet.yaml"]


def test_who_is_to_own_it_is_asked(tmp_path: Path) -> None:
    manifest = read(tmp_path, HEAD + OLD)
    handed = migrated(manifest, machine_type="x", custody="handover", owner=B, name="new-{name}")["fleet.yaml"]
    assert "- name: new-a" in handed
    assert f'custody: handover\n      owner: "{B}"' in handed
    own = migrated(manifest, machine_type="x", custody="machine")["fleet.yaml"]
    assert "key: {file: keys/a-v2.key}" in own
    assert "custody: machine" in own


def test_who_is_to_own_it_may_stand_in_the_defaults(tmp_path: Path) -> None:
    text = f"{HEAD}defaults: {{v2: {{custody: machine}}}}\n{OLD}"
    assert "key: {file: keys/a-v2.key}" in migrated(read(tmp_path, text), machine_type="x")["fleet.yaml"]
    other = migrated(read(tmp_path, text), machine_type="x", custody="operator")["fleet.yaml"]
    assert "key:" not in added(text, other)
    assert "custody: operator" in other


def test_old_entries_are_retired_where_they_are_written(tmp_path: Path) -> None:
    third = f"  - {{name: c, address: '{address(3)}'}}\n"
    site = f"# north\nmachines:\n  - name: b  # by the door\n    address: '{B}'\n{third}"
    text = HEAD + "include: [sites/*.yaml]\n" + OLD.replace("{name: a,", "{state: active, name: a,")
    manifest = read(tmp_path, text, {"sites/n.yaml": site})
    texts = migrated(manifest, ("a", "b", "c"))
    assert texts["fleet.yaml"] == text.replace("state: active", "state: retired")
    assert texts["n.yaml"] == site.replace("by the door\n", "by the door\n    state: retired\n").replace(
        "{name: c,", "{name: c, state: retired,"
    )
    assert migrated(manifest, ("a",)).keys() == {"fleet.yaml"}


def test_a_row_of_a_table_gets_a_successor_in_the_manifest(tmp_path: Path) -> None:
    sets = f"machineSets:\n  - from: {{csv: m.csv}}\n    template: {{name: 'm-{{id}}', address: '{A}', {MARKET}}}\n"
    manifest = read(tmp_path, HEAD + SERVICES + sets, {"m.csv": "id\n1\n"})
    texts = migrated(manifest, ("m-1",))
    assert "\nmachines:\n  - name: m-1-v2\n" in added(HEAD + SERVICES + sets, texts["fleet.yaml"])


def test_an_older_form_is_understood(tmp_path: Path) -> None:
    head = HEAD.replace("fleetctl/v1", "fleetctl/v1alpha1")
    text = f"{head}{SERVICES}machines:\n  - {{name: a, address: '{A}', {MARKET}}}\n"
    assert "a-v2" in migrated(read(tmp_path, text))["fleet.yaml"]


def test_a_text_stands_for_its_file(tmp_path: Path) -> None:
    path = write(tmp_path, "nonsense: [", {"s.yaml": "also: ["})
    instead = {path.resolve(): HEAD + "include: [s.yaml]\n", (tmp_path / "s.yaml").resolve(): OLD}
    assert [machine.name for machine in load(path, KINDS, None, instead=instead).fleet.machines] == ["a"]
