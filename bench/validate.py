"""Validating large manifests: written out, in included files, from a table; against a bare load of the same YAML.

    python bench/validate.py                              N = 100, 1,000 and 10,000, five rounds
    python bench/validate.py --sizes 100 --rounds 1       a first look

The bare load is ruamel's safe loader, once with its C parser and once without, in a process of its own that does
nothing else; fleetctl loads the same files, checks every field, and could name the line of each.
"""

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import sections  # noqa: E402
from measure import process  # noqa: E402
from options import Options, options  # noqa: E402
from records import ROOT, Record, Records  # noqa: E402
from stage import Kept  # noqa: E402
from world import Wallet, wallets, write_fleet  # noqa: E402

RECORDS = Records("validate")
TITLE = "## Validating large manifests"
WRITTEN, INCLUDED, TABLE = "written out", "ten included files", "a CSV table"
FLEETCTL, C_PARSER, PURE = "fleetctl", "bare load, C parser", "bare load, Python parser"
FILES = 10
LOAD = """\
import sys
from ruamel.yaml import YAML
for name in sys.argv[2:]:
    YAML(typ="safe", pure=sys.argv[1] == "pure").load(open(name))
"""
SET = """\
machineSets:
  - from: {csv: machines.csv}
    template: {name: "{name}", address: "{address}", key: {file: "keys/{name}.key"}}
"""


def write(directory: Path, form: str, machines: Sequence[Wallet]) -> None:
    """The same fleet in one of three forms."""
    write_fleet(directory, machines)
    manifest = directory / "fleet.yaml"
    head, _, entries = manifest.read_text().partition("machines:\n")
    if form == INCLUDED:
        lines, share = entries.splitlines(keepends=True), -(-len(machines) // FILES)
        for number in range(0, len(lines), share):
            part = directory / f"site-{number:05d}.yaml"
            part.write_text("machines:\n" + "".join(lines[number : number + share]))
        manifest.write_text(head + "include: [site-*.yaml]\n")
    if form == TABLE:
        rows = "".join(f"{machine.name},{machine.address}\n" for machine in machines)
        (directory / "machines.csv").write_text("name,address\n" + rows)
        manifest.write_text(head + SET)


def cases(given: Options) -> Iterator[Record]:
    for size in given.sizes:
        for form in (WRITTEN, INCLUDED, TABLE):
            for number in range(1, given.rounds + 1):
                who = [FLEETCTL, C_PARSER] + ([PURE] if number == 1 else [])
                for name in who if number % 2 else reversed(who):
                    yield {"size": size, "form": form, "round": number, "who": name}


def run(directory: Path, case: Record) -> Record:
    environ = {
        "PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(ROOT), "HOME": str(directory / "home"), "NO_COLOR": "1"
    }  # fmt: skip
    command = [sys.executable, "-m", "reconciler", "validate"]
    if case["who"] != FLEETCTL:
        files = sorted(str(path) for path in directory.glob("*.yaml"))
        command = [sys.executable, "-c", LOAD, "pure" if case["who"] == PURE else "c", *files]
    done = process(command, environ, directory)
    if case["who"] == FLEETCTL and f" {case['size']} machines" not in done.stdout.replace(",", ""):
        raise RuntimeError(f"it validated another fleet: {done.stdout[:300]}")
    return vars(done.took)


def report(records: list[Record]) -> None:
    if not records:
        print("nothing is measured yet")
        return
    first, loads = records[0], [record["load"] for record in records]
    rows = []
    for key in sorted({(r["size"], r["form"], r["who"]) for r in records}):
        group = [r for r in records if (r["size"], r["form"], r["who"]) == key]
        bare = [r for r in records if (r["size"], r["form"], r["who"]) == (*key[:2], C_PARSER)]
        wall, cpu, rss = (median(r[field] for r in group) for field in ("wall", "cpu", "rss"))
        ratio = f"{wall / median(r['wall'] for r in bare):.1f}" if bare else "–"
        rows.append([f"{key[0]:,}", key[1], key[2], len(group), f"{wall:.2f}", f"{cpu:.2f}", f"{rss:.0f}", ratio])
    head = ("machines", "manifest", "who", "rounds", "wall s", "CPU s", "peak MB", "to the bare load")
    about = f"`python bench/validate.py` at commit {first['commit']}; {first['machine']}; load average before a run "
    about += f"{min(loads):.1f} to {max(loads):.1f}. Medians; whole processes, start and imports included."
    note = "The table's machines stand in a CSV file, so that its bare load reads the head of the manifest only."
    sections.write(TITLE, [about, note, "", *sections.table(head, rows)])


class Manifest:
    """A temporary directory with one fleet in one form."""

    def __init__(self, key: tuple[int, str]) -> None:
        self._key = key
        self._place = tempfile.TemporaryDirectory(prefix="fleetctl-bench-")

    def __enter__(self) -> Path:
        size, form = self._key
        directory = Path(self._place.name) / "fleet"
        write(directory, form, wallets(size))
        return directory

    def __exit__(self, *_: object) -> None:
        self._place.cleanup()


def main() -> None:
    given = options(__doc__, RECORDS, rounds=5)
    if not given.report:
        with Kept(Manifest) as kept:
            RECORDS.measure(cases(given), lambda case: run(kept.at((case["size"], case["form"])), case))
    report(RECORDS.newest())


if __name__ == "__main__":
    main()
