"""What is written as YAML is read as what it was, whatever it holds."""

import random
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from reconciler.core.adoption import Adopted, Found, Named
from reconciler.core.fleet import Fleet
from reconciler.kinds import discover
from reconciler.manifest.adopted import put_together
from reconciler.manifest.emit import comment, entry
from reconciler.manifest.graft import grafted
from reconciler.manifest.model import fleet_model
from reconciler.manifest.problems import Problems
from reconciler.manifest.source import read

ODD = [
    "", " ", "a: b", "#", "- x", "yes", "No", "null", "~", "1", "0x1", "1e3", ".5", "-", "?", "{a}", "[", "'", '"',
    "\\", "\t", "a\nb", "\u2028", "\x85", "\x7f", "\ufeff", "ä", "😀", "a #b", "a:", "@", "`", "%", "!x", "&a", "*a",
    "2026-01-01", "1_000", "<<", "=", "on", "a ", " a", "a b", "C:\\x", "\u202eabc", "\u0000", "|", ">", "x" * 300,
    "a, b", "1:30",
]  # fmt: skip


def loaded(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


@pytest.mark.parametrize("text", ODD)
def test_any_text_comes_back(text: str) -> None:
    data = {"a": text, text: [text, {"b": text, "c": [text] * 40}], "d": {str(n): text for n in range(20)}}
    assert loaded("\n".join(entry("key", data))) == {"key": data}


def test_any_data_comes_back() -> None:
    dice = random.Random(7)

    def some(depth: int) -> Any:
        match dice.randrange(3 if depth else 1):
            case 1:
                return [some(depth - 1) for _ in range(dice.randrange(4))]
            case 2:
                return {"".join(dice.choices(ODD, k=2)): some(depth - 1) for _ in range(dice.randrange(4))}
        return dice.choice([None, True, False, 5, 0, -1, 2.5, 1e21, *ODD])

    for _ in range(300):
        data = some(4)
        assert loaded("\n".join(entry("key", data, 2))) == {"key": data}, data


@pytest.mark.parametrize("text", ["a\nmachines: []", "\x85b: 1", "\u2028x", "\r- y", "  z  "])
def test_a_comment_stays_one_line(text: str) -> None:
    assert loaded(comment(text) + "\na: 1\n") == {"a": 1}


def machine(number: int, **said: Any) -> tuple[Found, list[Adopted]]:
    return Found(str(number), f"0x{number:040x}", "0xAB"), [Adopted(said, name=said.pop("called", ""))]


def fleet() -> Fleet:
    model = fleet_model(discover())
    network = {
        "rpcUrl": "x",
        "chainId": 1,
        "contracts": dict.fromkeys(("identityRegistry", "identityStaking", "machineNft"), "0x" + "1" * 40),
    }
    return model.model_validate(
        {"name": "a", "network": network, "operators": {}, "agents": {"one": {"provider": "x"}}}
    )


def test_everything_gets_a_name_of_its_own() -> None:
    def agent(key: str) -> Named:
        return Named("agents", key, "one", {"provider": key})

    found = [
        machine(1, called="Tür 1", pairings=[{"agent": agent("p")}]),
        machine(2, called="Tur-1", pairings=[{"agent": agent("q")}, {"agent": agent("p")}]),
        machine(3, called="tur.1"),
        machine(4, called="!!"),
        machine(5, market={"labels": {"a": "${HOME}", "b": "ab" * 32, "c": "fine"}}),
    ]
    additions = put_together(found, fleet(), {"0xab": "default"}, "v1")
    assert [entry.name for entry in additions.machines] == ["Tur-1", "Tur-1-2", "tur.1-3", "machine-4", "machine-5"]
    assert additions.named == {"agents": {"one-2": {"provider": "p"}, "one-3": {"provider": "q"}}}
    assert additions.machines[1].content["pairings"] == [{"agent": "one-3"}, {"agent": "one-2"}]
    last = additions.machines[4]
    assert last.content["market"] == {"labels": {"c": "fine"}}
    assert len(last.notes) == 2


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\nmachines:\n- {name: x}\nb: 2\n",
        "a: 1\nmachines:\n  - name: x\n    # why\n\nb: 2",
        "a: 1\nmachines:\n  - name: x\n    note: |\n      long\n      text\nb: 2\n",
        "a: 1\r\nmachines:\r\n  - name: x\r\nb: 2\r\n",
        "a: 1\nmachines: [{name: x}]\nb: 2\n",
        "a: 1\nmachines: [\n  {name: x} # one\n]\nb: 2\n",
        "a: 1\nmachines: [\n  {name: x}, # one\n]\nb: 2\n",
        '{"a": 1, "machines": [{"name": "x"}], "b": 2}',
        '{\n "a": 1,\n "machines": [\n  {\n   "name": "x"\n  }\n ],\n "b": 2\n}\n',
        "a: 1\nmachines:\n  - name: x\n    v1:\nb: 2\n",
        "b: 2\na: 1\nmachines:\n  - name: x",
        "a: 1\nb: 2\nmachines: []",
        "a: 1\nb: 2",
        '{"a": 1, "b": 2}',
        "{a: 1, b: 2, machines: []}",
    ],
)
def test_machines_are_added_to_any_style(tmp_path: Path, text: str) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_bytes(text.encode())
    source = read(path, "fleet.yaml", Problems())
    assert source is not None
    new = [machine(1, pairings=[{"agent": Named("agents", "k", "z", {"provider": "p"})}]), machine(2, v1={"a": "ü"})]
    after = grafted(source, put_together(new, fleet(), {"0xab": "default"}, "v1"))
    before, data = loaded(text), loaded(after)
    assert data["machines"][: len(before.get("machines", []))] == before.get("machines", [])
    assert [entry["name"] for entry in data["machines"][-2:]] == ["machine-1", "machine-2"]
    assert data["agents"] == {"z": {"provider": "p"}}
    assert {key: data[key] for key in ("a", "b")} == {"a": 1, "b": 2}
    assert ("\r\n" in after) == ("\r\n" in text)
