"""A machine more is as much work in a large manifest as in a small one: in calls, which no busy computer changes."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from manifest_harness import HEAD, KINDS, address, checksum, write

from reconciler.core.errors import ManifestError
from reconciler.core.folding import folded
from reconciler.manifest.parse import load

SIZES = (100, 200, 400)
CLOSE = 1.02
DEFAULTS = 'defaults: {metadata: {documentationUrl: "https://docs.example.com/{name}"}, v1: {dataVisibility: public}}\n'
Form = Callable[[int], tuple[str, dict[str, str]]]


def written_out(size: int) -> tuple[str, dict[str, str]]:
    machines = "".join(f'  - {{name: air-{n}, address: "{checksum(address(n + 16))}"}}\n' for n in range(size))
    return f"{HEAD}{DEFAULTS}machines:\n{machines}", {}


def tabled(size: int) -> tuple[str, dict[str, str]]:
    rows = "".join(f"{n},{checksum(address(n + 16))}\n" for n in range(size))
    made = 'machineSets:\n  - from: {csv: a.csv}\n    template: {name: "air-{n}", address: "{address}"}\n'
    return f"{HEAD}{DEFAULTS}{made}", {"a.csv": "n,address\n" + rows}


def included(size: int) -> tuple[str, dict[str, str]]:
    text, _ = written_out(size)
    head, _, machines = text.partition("machines:\n")
    lines, share = machines.splitlines(keepends=True), size // 10
    parts = {f"site-{at:05}.yaml": "machines:\n" + "".join(lines[at : at + share]) for at in range(0, size, share)}
    return f"{head}include: [site-*.yaml]\n", parts


def mistaken(size: int) -> tuple[str, dict[str, str]]:
    """Of two sorts for each machine, one of them in the defaults."""
    text, files = written_out(size)
    return text.replace("dataVisibility", "dataVisibilty").replace("- {name", "- {adress: 1, name"), files


def calls(directory: Path, form: Form, size: int) -> int:
    """How often anything is called, Python's own functions included, to read the manifest and tell what is wrong."""
    path, count = write(directory / f"{size}", *form(size)), 0

    def seen(_: object, event: str, __: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(seen)
    try:
        load(path, KINDS, None, checksum=lambda text: text)
    except ManifestError as error:
        folded(error.problems)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("form", [written_out, included, tabled, mistaken])
def test_a_machine_more_is_as_much_work_in_a_large_manifest(form: Form, tmp_path: Path) -> None:
    # What is made out once for a process is made out by the first.
    calls(tmp_path / "first", form, SIZES[0])
    few, some, many = (calls(tmp_path, form, size) for size in SIZES)
    first, second = (some - few) / (SIZES[1] - SIZES[0]), (many - some) / (SIZES[2] - SIZES[1])
    assert second < CLOSE * first
