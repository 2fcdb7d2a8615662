"""Ten thousand machines with mistakes: a short answer with a count, as text and as JSON, and the right exit code."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from manifest_harness import HEAD, write

MANY = 10_000
INVALID = 3
SET = """\
machineSets:
  - from: {csv: machines.csv}
    template: {name: "air-{n}", address: "{address}"}
"""
Row = Callable[[int], str]


def validate(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "reconciler", "validate", *arguments]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=120, check=False)


def table(directory: Path, row: Row, head: str = HEAD) -> None:
    write(directory, head + SET, {"machines.csv": "n,address\n" + "".join(f"{row(n)}\n" for n in range(MANY))})


def short(number: int) -> str:
    """An address that lacks two digits."""
    return f"{number},0x{number:038x}"


def test_the_same_mistake_ten_thousand_times_is_told_in_a_few_lines(tmp_path: Path) -> None:
    table(tmp_path, short)
    done = validate(tmp_path)
    assert (done.returncode, done.stdout) == (INVALID, "")
    assert (
        done.stderr
        == """\
machines.csv:2:1: not an address: `0x` and 40 hex digits are expected
  → copy the whole address
machines.csv:3:1: not an address: `0x` and 40 hex digits are expected
  → copy the whole address
machines.csv:4:1: not an address: `0x` and 40 hex digits are expected
  → copy the whole address
  … and 9,997 more, the last at machines.csv:10001:1
10,000 problems; nothing was done. -v shows them all.
"""
    )


def test_as_json_it_is_as_short_and_says_how_many(tmp_path: Path) -> None:
    table(tmp_path, short)
    done = validate(tmp_path, "--output", "json")
    told = json.loads(done.stdout)
    assert done.returncode == told["exitCode"] == INVALID
    assert len(done.stdout) < 3_000
    error = told["error"]
    assert (error["code"], error["count"]) == ("manifest.invalid", MANY)
    assert [problem["line"] for problem in error["problems"]] == [2, 3, 4]
    assert [problem.get("more", 0) for problem in error["problems"]] == [0, 0, 9_997]
    assert error["problems"][-1]["last"] == "machines.csv:10001:1"
    assert error["message"].count("\n") == 2


def test_other_mistakes_are_seen_among_them(tmp_path: Path) -> None:
    rows = {17: "17,0x" + "1" * 40 + ",again", 9_000: "8999,0x" + "2" * 40}
    table(tmp_path, lambda n: rows.get(n, short(n)), HEAD.replace("name: berlin", "name: berlin\nagnets: {}"))
    done = validate(tmp_path)
    assert done.returncode == INVALID
    for said in (
        "fleet.yaml:4:1: unknown key `agnets`; did you mean `agents`?",
        "machines.csv:19:1: expected 2 cells, as in the header, got 3",
        "machines.csv:9002:1: two machines are called `air-8999`",
        "  … and 9,995 more, the last at machines.csv:10001:1",
        "10,001 problems; nothing was done. -v shows them all.",
    ):
        assert said in done.stderr
    assert len(done.stderr.splitlines()) < 20


@pytest.mark.parametrize("verbose", ["-v", "-vv", "--verbose"])
def test_all_of_them_are_told_where_that_is_asked_for(tmp_path: Path, verbose: str) -> None:
    table(tmp_path, short)
    done = validate(tmp_path, verbose)
    assert done.returncode == INVALID
    assert done.stderr.count("not an address") == MANY
    assert done.stderr.splitlines()[-1] == "10,000 problems; nothing was done."
    told = json.loads(validate(tmp_path, verbose, "--output=json").stdout)
    assert len(told["error"]["problems"]) == told["error"]["count"] == MANY


def test_a_mistake_in_what_all_share_is_one_mistake(tmp_path: Path) -> None:
    table(tmp_path, lambda n: f"{n},0x{n + 16:040x}", HEAD + "defaults: {metadata: {dataAppi: here}}\n")
    done = validate(tmp_path)
    assert done.returncode == INVALID
    assert (
        done.stderr
        == """\
fleet.yaml:6:23: unknown key `dataAppi`; did you mean `dataApi`?
  → write `dataApi`
1 problem; nothing was done.
"""
    )
