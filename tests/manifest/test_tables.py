"""Machine sets, includes and the lock file: where entries come from, and where their mistakes are told."""

from pathlib import Path

from manifest_harness import HEAD, address, problems, read

SET = """\
machineSets:
  - from: {csv: t.csv}
    template: {name: "m-{id}", address: "{address}", v1: {dataVisibility: "{vis}"}}
"""


def table(*rows: str) -> dict[str, str]:
    return {"t.csv": "\n".join(["id,address,vis", *rows]) + "\n"}


def test_one_machine_for_each_row(tmp_path: Path) -> None:
    files = {"t.csv": f"\ufeffid,address,vis\r\n1, {address(1)},public\r\n\r\n2,{address(2)},private\r\n"}
    assert [m.name for m in read(tmp_path, HEAD + SET, files).fleet.machines] == ["m-1", "m-2"]


def test_a_mistake_of_a_row_names_the_row(tmp_path: Path) -> None:
    found = problems(tmp_path, HEAD + SET, table(f"1,{address(1)},public", f"2,{address(2)},pubic"))
    assert [(Path(p.file).name, p.line, p.column) for p in found] == [("t.csv", 3, 1)]
    assert found[0].hint == "did you mean `public`?"


def test_a_mistake_of_the_template_names_the_template(tmp_path: Path) -> None:
    found = problems(tmp_path, HEAD + SET.replace("dataVisibility", "dataVisibilty"), table(f"1,{address(1)},public"))
    assert [(Path(p.file).name, p.line, p.column) for p in found] == [("fleet.yaml", 8, 59)]


def test_two_rows_of_one_name(tmp_path: Path) -> None:
    found = problems(tmp_path, HEAD + SET, table(f"1,{address(1)},public", f"1,{address(2)},public"))
    assert [(Path(p.file).name, p.line) for p in found] == [("t.csv", 3)]
    assert found[0].hint.endswith("t.csv:2")


def test_an_unknown_column(tmp_path: Path) -> None:
    found = problems(tmp_path, HEAD + SET.replace("{vis}", "{viz}"), table(f"1,{address(1)},public"))
    assert found[0].message == "unknown placeholder `{viz}`"
    assert (found[0].line, found[0].column) == (8, 75)


def test_tables_that_are_none(tmp_path: Path) -> None:
    cases = {
        "id,address\n1\n": (2, "expected 2 cells"),
        "id,id\n1,2\n": (1, "the column `id` is there twice"),
        "id,\n1,2\n": (1, "must name every column"),
        "": (1, "must name every column"),
        'id,address\n1,"x\n': (2, "not a CSV row"),
    }
    for content, (line, message) in cases.items():
        found = problems(tmp_path, HEAD + SET, {"t.csv": content})
        assert any(p.file.endswith("t.csv") and p.line == line and message in p.message for p in found), (
            content,
            found,
        )


def test_a_private_key_in_a_table_is_told_and_hidden(tmp_path: Path) -> None:
    found = problems(tmp_path, HEAD + SET, table(f"1,0x{'ab' * 32},public"))
    assert any((Path(p.file).name, p.line, p.column) == ("t.csv", 2, 3) for p in found)
    assert "abab" not in str(found)


def test_numbers_out_of_cells(tmp_path: Path) -> None:
    text = HEAD + (
        "services: {markets: {url: https://m.example}}\nagents: {a: {provider: x}}\n"
        "machineSets:\n  - from: {csv: t.csv}\n"
        '    template: {name: "m-{id}", address: "{address}", market: {machineType: t, runtimeProfile: p}, pairings: '
        '[{agent: a, role: r, paused: "{vis}"}]}\n'
    )
    machine = read(tmp_path, text, table(f"1,{address(1)},true")).fleet.machines[0]
    assert machine.model_dump()["pairings"][0]["paused"] is True


def test_included_files_add_machines_and_agents_and_may_include(tmp_path: Path) -> None:
    files = {
        "sites/a.yaml": f"machines: [{{name: a, address: {address(1)}}}]\n"
        "agents: {x: {provider: p}}\ninclude: [b/*.yaml]\n",
        "sites/b/b.yaml": f"machines: [{{name: b, address: {address(2)}}}]\ninclude: [../*.yaml, ../../fleet.yaml]\n",
    }
    fleet = read(tmp_path, HEAD + "include: [sites/*.yaml]\n", files).fleet
    assert [m.name for m in fleet.machines] == ["a", "b"]
    assert list(fleet.agents) == ["x"]


def test_mistakes_of_included_files_name_them(tmp_path: Path) -> None:
    files = {
        "a.yaml": "machines:\n  - {name: a, adress: x}\nagents: {x: {provider: 5}}\nguards: {}\n",
        "b.yaml": "agents: {x: {provider: p}}\n",
        "c.yaml": "machines: [\n",
    }
    found = problems(tmp_path, HEAD + "include: ['[a-c].yaml']\n", files)
    told = {(Path(p.file).name, p.line, p.column): p.message for p in found}
    assert told["a.yaml", 2, 15] == "unknown key `adress`; did you mean `address`?"
    assert told["a.yaml", 4, 1].startswith("unknown key `guards`")
    assert told["b.yaml", 1, 10] == "`x` is there twice"
    assert any(name == "c.yaml" for name, _, _ in told)


LOCKED = HEAD + "machines:\n  - {name: a, key: {file: a}}\n  - {name: b, address: '" + address(2) + "'}\n"


def test_the_lock_file_gives_the_addresses_that_are_left_out(tmp_path: Path) -> None:
    fleet = read(
        tmp_path, LOCKED, {"fleet.lock.yaml": f'machines: {{a: "{address(1)}", gone: "{address(9)}"}}\n'}
    ).fleet
    assert [m.address for m in fleet.machines] == [address(1), address(2)]


def test_the_lock_file_may_not_contradict(tmp_path: Path) -> None:
    found = problems(tmp_path, LOCKED, {"fleet.lock.yaml": f'machines:\n  b: "{address(3)}"\n'})
    assert [(p.line, p.column, p.message) for p in found] == [(8, 24, "another address than in fleet.lock.yaml")]
    assert "fleet.lock.yaml:2" in found[0].hint
