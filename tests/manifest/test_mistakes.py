"""Every mistake is told in plain words, at its line and column, with what to do."""

from pathlib import Path

import pytest
from manifest_harness import HEAD, KINDS, address, problems

from reconciler.core.errors import ManifestError, Problem
from reconciler.manifest.parse import load

A = address(0xA1)
SHOUTED = "0x" + A[2:].upper()
ONE = f'machines:\n  - name: m1\n    address: "{A}"\n'
KEY = "1" * 63 + "e"

# What follows HEAD (so its first line is 6), then line, column, a part of the message, a part of the hint.
MISTAKES = [
    # keys and their values
    ("machnes: []\n", 6, 1, "unknown key `machnes`; did you mean `machines`?", "write `machines`"),
    ("publishFleet: true\n", 6, 1, "unknown key `publishFleet`", "under `v1`"),
    ("zzz: 1\n", 6, 1, "unknown key `zzz`", "known here: `agents`"),
    ("guards: {max_spend: 1 PEAQ}\n", 6, 10, "unknown key `max_spend`; did you mean `maxSpend`?", ""),
    ("guards: {maxSpend: 5}\n", 6, 20, "an amount is a plain number with a unit", "write `5 PEAQ`"),
    ("guards:\n  maxSpend: 0.05\n", 7, 13, "an amount is a plain number with a unit", "write `0.05 PEAQ`"),
    ("guards: {maxSpend: true}\n", 6, 20, "an amount is a plain number with a unit", "write `0.05 PEAQ`"),
    ("guards: {maxSpend: -1 PEAQ}\n", 6, 20, "an amount is a plain number with a unit", "write `0.05 PEAQ`"),
    ('guards: {maxRemovals: "3"}\n', 6, 23, "expected a number or a share", 'write for example `3` or `"10%"`'),
    ("guards: {maxRemovals: 2.5}\n", 6, 23, "expected a number or a share", 'write for example `3` or `"10%"`'),
    ("guards: {maxRemovals: true}\n", 6, 23, "expected a number or a share", 'write for example `3` or `"10%"`'),
    ("guards: {maxRemovals: -1}\n", 6, 23, "expected a number or a share", 'write for example `3` or `"10%"`'),
    ("guards:\n", 6, 1, "expected a mapping, got nothing", "remove the key"),
    ('v1: {publishFleet: "yes"}\n', 6, 20, "expected true or false, got text", ""),
    ("tokens: {mode: onChanges}\n", 6, 16, "must be one of `onChange`, `keepFresh`", "`onChange`"),
    ("agents: {ops: {provider: 5}}\n", 6, 26, "expected text, got a number", "in quotes"),
    ('agents: {ops: {address: "0x01"}}\n', 6, 15, "missing key `provider`", "add `provider"),
    ("agents: {a b: {provider: x}}\n", 6, 10, "not a name", "another name"),
    ("agents: [ops]\n", 6, 9, "expected a mapping, got a list", ""),
    # machines
    ("machines: {m1: {}}\n", 6, 11, "expected a list, got a mapping", "`- `"),
    ("machines:\n  - air-001\n", 7, 5, "expected a mapping, got text", ""),
    ("machines:\n  - name: m1\n", 7, 11, "a machine needs an address or a key", "keys generate"),
    (f'machines:\n  - address: "{A}"\n', 7, 5, "missing key `name`", ""),
    (ONE + "    v1: {attributes: {a: 2.4}}\n", 9, 26, "expected text, got a number", "in quotes"),
    (ONE + "    pairings: {agent: ops}\n", 9, 15, "expected a list, got a mapping", ""),
    (ONE + "    pairings: [{agent: ops, role: x, delegationPolicy: p}]\n", 9, 24, "ops", ""),
    (ONE + "    operator: defualt\n", 9, 15, "unknown operator `defualt`", "`default`"),
    (ONE + "    v1: {custody: nobody}\n", 9, 19, "must be one of `key`, `none`", ""),
    (ONE + "    custody: none\n", 9, 5, "unknown key `custody`", "under `v1`"),
    # labels, fields that are ignored, windows
    (ONE + '    labels: {site: "a,b"}\n', 9, 20, "not the value of a label", "choose another"),
    (ONE + "    labels: {site: 5}\n", 9, 20, "expected text, got a number", "in quotes"),
    (ONE + "    suspended: maybe\n", 9, 16, "expected true or false, got text", ""),
    (
        "ignore: [machine_recrd.displayName]\n",
        6,
        10,
        "unknown kind `machine_recrd`; did you mean `machine_record`?",
        "`",
    ),
    (
        "ignore: [machine_record.displayname]\n",
        6,
        10,
        "did you mean `displayName`?",
        "write `machine_record.displayName`",
    ),
    ("ignore: [zzz.a]\n", 6, 10, "unknown kind `zzz`", "known here: agent_pairing"),
    ("ignore: [machine_nft.owner]\n", 6, 10, "no field `owner` of `machine_nft` is compared", "compared: none"),
    ("ignore: [displayName]\n", 6, 10, "not a kind and a field", "machine_record.displayName"),
    (ONE + "    ignore: [machine_record.nam]\n", 9, 14, "no field `nam` of `machine_record`", "compared: "),
    ('windows: [{allow: "0 25 * * *", for: 2h}]\n', 6, 19, "not a cron rule: its hour is wrong", "write minute, hour"),
    ('windows: [{allow: "0 22 * *", for: 2h}]\n', 6, 19, "not a cron rule", ""),
    ('windows: [{allow: "0 0 22 * * *", for: 2h}]\n', 6, 19, "not a cron rule: five fields", "0 22 * * 1-5"),
    ('windows: [{allow: "0 0 30 2 *", for: 2h}]\n', 6, 19, "not a cron rule: its day-of-month is wrong", ""),
    ('windows: [{deny: "0 22 * * *", for: 2}]\n', 6, 37, "a duration needs a unit", ""),
    ('windows: [{deny: "0 22 * * *"}]\n', 6, 11, "missing key `for`", ""),
    ("windows: [{for: 2h}]\n", 6, 11, "name exactly one of: allow, deny", ""),
    ('windows: [{deny: "0 22 * * *", for: 0h}]\n', 6, 11, "a window of no length never opens", "for: 2h"),
    (
        'windows: [{deny: "0 22 * * *", for: 2h, timeZone: Europe/Berlim}]\n',
        6,
        51,
        "unknown time zone `Europe/Berlim`",
        "did you mean `Europe/Berlin`?",
    ),
    ('windows: [{deny: "0 22 * * *", for: 2h, machines: [m11]}]\n' + ONE, 6, 52, "no machine is called `m11`", "`m1`"),
    (
        'windows: [{deny: "0 22 * * *", for: 2h, labels: {a: b}}]\n' + ONE,
        6,
        53,
        "no machine has the label `a: b`",
        "no",
    ),
    # two of the same
    (ONE + f'  - {{name: m1, address: "{address(2)}"}}\n', 9, 12, "two machines are called `m1`", "fleet.yaml:7"),
    (
        ONE + f'  - {{name: m2, address: "{SHOUTED}"}}\n',
        9,
        25,
        "the address of the machine `m1`",
        ":8",
    ),
    (f'machines:\n  - {{name: m1, address: "{address(14)}"}}\n', 7, 25, "the address of the operator `default`", ":5"),
    (ONE + "    key: {env: KEY}\n", 9, 16, "the key of the operator `default`", ":5"),
    # addresses
    ('machines: [{name: m, address: "0x00000000000000000000000000000000000000"}]\n', 6, 31, "not an address", "whole"),
    (f'machines: [{{name: m, address: "{address(0)}"}}]\n', 6, 31, "zero address", "the machine's own"),
    (
        'machines: [{name: m, address: "0xb53af985765031936311273599389b5B68aC9956"}]\n',
        6,
        31,
        "wrong EIP-55 checksum",
        "0xb53Af985765031936311273599389b5B68aC9956",
    ),
    # secrets
    (f"agents: {{ops: {{provider: x, key: {{env: {KEY}}}}}}}\n", 6, 40, "looks like a private key", "name its place"),
    (f"# 0x{KEY}\n", 6, 3, "looks like a private key", "key: {env: NAME}"),
    ("agents: {ops: {provider: x, key: hunter2}}\n", 6, 34, "a reference to a secret, got text", "not values"),
    ("agents: {ops: {provider: x, key: {env: A, file: b}}}\n", 6, 34, "exactly one of: env, file", ""),
    ('agents: {ops: {provider: x, key: {env: "${A}"}}}\n', 6, 40, "secrets are references, not values", "{env: NAME}"),
    # endpoints
    ("services: {mcr: {url: http://mcr.example}}\n", 6, 23, "plain http is refused", "https"),
    ("services: {mcr: {url: mcr.example}}\n", 6, 23, "not an endpoint", "https://"),
    (ONE + '    metadata: {dataApi: "${HOST}/x"}\n', 9, 25, "replaced only in `services.*.url`", "write the value"),
    # defaults
    ("defaults: {name: x}\n", 6, 12, "`name` cannot be a default", "under the machine"),
    ('defaults: {metadata: {dataApi: "https://d/{nam}"}}\n' + ONE, 6, 32, "unknown placeholder `{nam}`", "`{name}`"),
    ('defaults: {metadata: {dataApi: "https://d/{x"}}\n' + ONE, 6, 32, "a lone `{`", "{{"),
    ("defaults:\n  v1: {dataVisibility: pubic}\n" + ONE, 7, 24, "must be one of `public`", "`public`"),
    ("defaults:\n  v1: {dataVisibility: pubic}\n", 7, 24, "must be one of `public`", "`public`"),
    ("defaults:\n  v3: {}\n" + ONE, 7, 3, "unknown key `v3`", "`v1`"),
    (
        "defaults: {metadata: {dataApi: 'https://d/{address}'}}\nmachines: [{name: m, key: {env: M}}]\n",
        6,
        32,
        "`{address}` has no value",
        "address",
    ),
    # the file itself
    ("kind: Fleet\n", 6, 1, "duplicate key `kind`", "line 2"),
    ("agents: {\n", 7, 1, "not valid YAML", ""),
    ("agents:\n\tops: {}\n", 7, 1, "a tab", "spaces"),
    ("agents: {a: b: c}\n", 6, 14, "not valid YAML", ""),
    ("agents: !!python/object x\n", 6, 9, "the tag", "leave it out"),
    ("agents: &a [*a]\n", 1, 1, "an alias contains itself", ""),
    ("---\nx: 1\n", 6, 1, "one file holds one document", ""),
    ("operators: {}\n", 5, 1, "`operator` and `operators` cannot both", "operators: {default"),
    # includes and tables
    ("include: [nothing/*.yaml]\n", 6, 11, "matches no file", "relative"),
    ("include: nothing.yaml\n", 6, 10, "expected a list, got text", ""),
    ("include: [5]\n", 6, 11, "expected a file pattern, got a number", ""),
    ("machineSets:\n  - from: {csv: no.csv}\n    template: {name: x}\n", 7, 17, "no such file", "relative"),
    ("machineSets:\n  - template: {name: x}\n", 7, 5, "missing key `from`", "csv"),
    ("machineSets:\n  - from: {csv: no.csv}\n", 7, 5, "missing key `template`", "name"),
    ("machineSets:\n  - {from: {csv: a.csv}, templat: {}}\n", 7, 26, "did you mean `template`?", ""),
]


@pytest.mark.parametrize(("tail", "line", "column", "message", "hint"), MISTAKES, ids=[case[3] for case in MISTAKES])
def test_a_mistake_is_told_at_its_place(
    tmp_path: Path, tail: str, line: int, column: int, message: str, hint: str
) -> None:
    found = problems(tmp_path, HEAD + tail)
    shown = [f"{p} ({p.hint})" for p in found]
    assert any((p.line, p.column) == (line, column) and message in p.message and hint in p.hint for p in found), shown
    assert not any("Input should" in text or "[type=" in text or KEY in text or "hunter2" in text for text in shown)


HEADS = [
    ("network: sandbox", "network: sandbax", 4, 10, "unknown network `sandbax`; did you mean `sandbox`?", ""),
    ("network: sandbox", "network: https://me:pw@rpc.example", 4, 10, "expected the name of a network", "`peaq`"),
    ("network: sandbox", "network: 5", 4, 10, "expected a network, got a number", "sandbox"),
    ("network: sandbox", "network: peaq", 4, 1, "the protocol must be written out", "write `protocol: v2`"),
    (
        "network: sandbox",
        "network: {preset: peaq, chainId: 5}",
        4,
        34,
        "the preset peaq is chain 3338",
        "leave chainId out",
    ),
    ("network: sandbox", "network: {preset: sandbox, rpcUrl: 5}", 4, 36, "expected text or a list, got a number", ""),
    ("network: sandbox", "network: {preset: sandbox, rpcUrl: [5]}", 4, 37, "expected text, got a number", ""),
    ("network: sandbox", "network: {preset: sandbox, rpcUrl: 'http://me:pw@a.example'}", 4, 36, "plain http", "https"),
    ("network: sandbox", "network: {rpcUrl: https://a.example, contracts: {}}", 4, 10, "missing key `chainId`", ""),
    ("network: sandbox", "network: {preset: sandbox, chainID: 31338}", 4, 28, "did you mean `chainId`?", ""),
    ("kind: Fleet", "kind: fleet", 2, 7, "`kind` must be `Fleet`", "write `kind: Fleet`"),
    ("apiVersion: fleetctl/v1\n", "", 1, 1, "missing key `apiVersion`", "fleetctl/v1"),
    ("name: berlin", "name: berlin air", 3, 7, "not a name", ""),
    ("network: sandbox\n", "", 1, 1, "missing key `network`", ""),
]


@pytest.mark.parametrize(("old", "new", "line", "column", "message", "hint"), HEADS, ids=[case[4] for case in HEADS])
def test_a_mistake_in_the_head(
    tmp_path: Path, old: str, new: str, line: int, column: int, message: str, hint: str
) -> None:
    found = problems(tmp_path, HEAD.replace(old, new))
    shown = [f"{p} ({p.hint})" for p in found]
    assert any((p.line, p.column) == (line, column) and message in p.message and hint in p.hint for p in found), shown
    assert not any("pw" in text for text in shown)


@pytest.mark.parametrize(
    ("content", "line", "column", "message"),
    [
        (b"", 0, 0, "the file is empty"),
        (b"# only a comment\n", 0, 0, "the file is empty"),
        (b"- a\n- b\n", 1, 1, "expected a mapping"),
        (b"just text\n", 1, 1, "expected a mapping"),
        (b"a: 1\nname: \xff\n", 2, 7, "not UTF-8"),
        (b"a: \x07\n", 1, 4, "a character that YAML does not allow"),
        (b"a: " + b"[" * 20_000, 0, 0, "nested too deeply"),
        (b"a: " + b"{ " * 20_000, 0, 0, "nested too deeply"),
        (b"- " * 20_000, 0, 0, "nested too deeply"),
        (b"? " * 20_000, 0, 0, "nested too deeply"),
        (
            b"a: &a [1,1,1,1,1,1,1,1,1,1]\n"
            + b"".join(
                b"%c: &%c [%s]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 10)) for c in range(ord("b"), ord("k"))
            ),
            1,
            1,
            "aliases repeat too much",
        ),
    ],
    ids=["empty", "comment", "list", "text", "latin", "control", "deep", "deep map", "deep list", "deep key", "bomb"],
)
def test_a_file_that_is_no_manifest(tmp_path: Path, content: bytes, line: int, column: int, message: str) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_bytes(content)
    found = problems_of(path)
    assert (found[0].line, found[0].column) == (line, column), found
    assert message in found[0].message


def test_a_missing_file_and_a_directory(tmp_path: Path) -> None:
    assert "no such manifest" in problems_of(tmp_path / "none.yaml")[0].message
    assert "directory" in problems_of(tmp_path)[0].message


def problems_of(path: Path) -> list[Problem]:
    with pytest.raises(ManifestError) as raised:
        load(path, KINDS, None)
    return list(raised.value.problems)


def test_all_problems_come_at_once_and_in_order(tmp_path: Path) -> None:
    found = problems(tmp_path, HEAD + "machnes: []\nguards: {maxSpend: 5}\nservices: {mcr: {url: http://a.example}}\n")
    assert [p.line for p in found] == [6, 7, 8]


def test_a_mistake_in_the_defaults_is_told_once(tmp_path: Path) -> None:
    many = "".join(f'  - {{name: m{i}, address: "{address(i + 100)}"}}\n' for i in range(20))
    found = problems(tmp_path, HEAD + "defaults: {v1: {dataVisibility: x}}\nmachines:\n" + many)
    assert len(found) == 1


@pytest.mark.parametrize("key", [KEY, f"0x{KEY}"])
@pytest.mark.parametrize(
    "tail",
    [
        "{key}: 1\n",
        "agents: {{{key}: {{}}, {key}: {{}}}}\n",
        "include: ['{key}']\n",
        "machines: [{{name: m, operator: '{key}'}}]\n",
    ],
    ids=["unknown key", "duplicate key", "include", "operator"],
)
def test_a_private_key_is_hidden_wherever_it_is_named(tmp_path: Path, tail: str, key: str) -> None:
    found = problems(tmp_path, HEAD + tail.format(key=key))
    assert any("looks like a private key" in p.message for p in found)
    assert any("(hidden)" in p.message for p in found)
    assert KEY not in str(found)
