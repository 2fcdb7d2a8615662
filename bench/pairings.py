"""A changed delegation policy for every pairing: a PATCH and a new token each, with 50 ms to Machine Markets and back.

    python bench/pairings.py                              N = 100 and 1,000, three rounds
    python bench/pairings.py --sizes 100 --rounds 1       a first look

Pairings per second, from the moment the first PATCH was sent until the last token was stored; against a bare loop that
asks and sends the same, as many at once. Processor time is that of an apply less that of a plan of the same, and the
bare loop's whole. (Not bench/http.py: Python would take it for its own http.)
"""

import itertools
import json
import re
import sqlite3
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import sections  # noqa: E402
from measure import process  # noqa: E402
from options import Options, options  # noqa: E402
from records import Record, Records  # noqa: E402
from stage import NO_OP, Kept, Stage, staged  # noqa: E402
from world import AGENT, POLICY  # noqa: E402

RECORDS = Records("pairings")
TITLE = "## Policies and tokens of many pairings"
FLEETCTL, BARE = "fleetctl", "bare loop"
DELAY_MS = 50
_LIMITS = (round(20 - step / 100, 2) for step in itertools.count(1))
"""Each run changes the policy once more, and never to more than it was."""


def cases(given: Options) -> Iterator[Record]:
    for size in given.sizes:
        for number in range(1, given.rounds + 1):
            for name in (FLEETCTL, BARE) if number % 2 else (BARE, FLEETCTL):
                yield {"size": size, "round": number, "who": name}


def run(found: Stage, case: Record) -> Record:
    policy = {**POLICY, "dailySpendLimit": next(_LIMITS)}
    found.slow_markets(DELAY_MS)
    if case["who"] == FLEETCTL:
        text = found.manifest.read_text()
        found.manifest.write_text(re.sub(r"(?m)^delegationPolicies: .*$", _line(policy), text))
        _, planned = found.counted(lambda: found.fleetctl("plan"))
        _, counts = found.counted(lambda: found.fleetctl("apply", "--yes"))
        counts = {**counts, **{name: counts[name] - planned[name] for name in ("cpu", "sandbox_cpu")}}
    else:
        command = [sys.executable, str(HERE / "pairings_floor.py")]
        given = json.dumps({"policy": policy, "key": AGENT.key, "secrets": str(found.fleet / "secrets")})
        _, counts = found.counted(lambda: process(command, found.environ(), found.fleet, given))
    return {**counts, **between(found, policy)}


def _line(policy: Record) -> str:
    return f"delegationPolicies: {{buyer: {json.dumps(policy)}}}"


def between(found: Stage, policy: Record) -> Record:
    """When it began at the server and ended at the sink; RuntimeError where a pairing was left out."""
    with sqlite3.connect(found.info.directory / "state" / "services.db") as db:
        rows = db.execute("SELECT body FROM document WHERE kind = 'pairing'").fetchall()
    pairings = [json.loads(body) for (body,) in rows]
    tokens = list((found.fleet / "secrets").glob("*.ops.token"))
    stored = {path.read_text().strip()[-4:] for path in tokens}
    done = [p for p in pairings if p["delegationPolicy"]["dailySpendLimit"] == policy["dailySpendLimit"]]
    if not len(done) == len(tokens) == found.size or {p["tokenLastFour"] for p in pairings} != stored:
        raise RuntimeError(f"{len(done)} of {found.size} pairings have the policy and a stored token")
    first = min(datetime.fromisoformat(pairing["updatedAt"]).timestamp() for pairing in pairings) - DELAY_MS / 1000
    seconds = max(path.stat().st_mtime for path in tokens) - first
    return {"seconds": seconds, "rate": found.size / seconds}


def report(records: list[Record]) -> None:
    if not records:
        print("nothing is measured yet")
        return
    first, loads = records[0], [record["load"] for record in records]
    about = f"`python bench/pairings.py` at commit {first['commit']}; {first['machine']}; load average before a run "
    about += f"{min(loads):.1f} to {max(loads):.1f}. Medians; {DELAY_MS} ms are added to every request."
    rows = []
    for key in sorted({(r["size"], r["who"]) for r in records}):
        group = [r for r in records if (r["size"], r["who"]) == key]
        rate, seconds, wall = (median(r[field] for r in group) for field in ("rate", "seconds", "wall"))
        per = {verb: median(_count(r, verb) for r in group) / key[0] for verb in ("GET", "PATCH", "POST")}
        own, server = (1000 * median(r[field] for r in group) / key[0] for field in ("cpu", "sandbox_cpu"))
        cells = [f"{key[0]:,}", key[1], len(group), f"{rate:.0f}", f"{seconds:.2f}", f"{wall:.2f}"]
        cells += [f"{own:.1f}", f"{server:.1f}"]
        rows.append([*cells, *(f"{count:.2f}" for count in per.values())])
    head = ("pairings", "who", "rounds", "pairings/s", "seconds", "wall s of the process", "its CPU ms each",
            "sandbox CPU ms each", "GET each", "PATCH each", "POST each")  # fmt: skip
    sections.write(TITLE, [about, "", *sections.table(head, rows)])


def _count(record: Record, verb: str) -> int:
    return sum(count for name, count in record["services"].items() if name.startswith(verb))


def main() -> None:
    given = options(__doc__, RECORDS, sizes="100,1000")
    if not given.report:
        with Kept(staged) as kept:
            RECORDS.measure(cases(given), lambda case: run(kept.at((case["size"], NO_OP)), case))
    report(RECORDS.newest())


if __name__ == "__main__":
    main()
