"""Turns what bench/plan.py measured into the section "Plans of large fleets" of RESULTS.md."""

from statistics import median

import sections
from records import Record

TITLE = "## Plans of large fleets"
CLI_SECONDS = 1.7
"""Of peaq's CLI 0.0.7 for each machine of a re-run that finds nothing to do: measured with 10 machines."""
NAMES = {"fleetctl": "fleetctl", "floor": "the bare reads", "octodns": "octoDNS 1.22.0, as many records as resources"}
STORIES = ("no-op", "1 % changed", "all new")
HEAD = (
    "machines", "plan", "who", "rounds", "wall s", "CPU s", "peak MB", "chain requests per machine", "service requests"
)  # fmt: skip


def write(records: list[Record]) -> None:
    if not records:
        print("nothing is measured yet")
        return
    loads = [record["load"] for record in records]
    first = records[0]
    sections.write(
        TITLE,
        [
            f"`python bench/plan.py` at commit {first['commit']}; {first['machine']}; load average before a run "
            f"{min(loads):.1f} to {max(loads):.1f}.",
            "Medians over the rounds; each run is a process of its own, start and imports included. Chain requests are",
            "members of JSON-RPC batches or HTTP requests, whichever are more. See docs/performance.md.",
            "",
            *sections.table(HEAD, _rows(records)),
            *sections.table(("machines", "a plan that finds nothing to do: seconds", "ratio"), _ratios(records)),
        ],
    )


def _rows(records: list[Record]) -> list[list[object]]:
    groups = sorted({(r["size"], STORIES.index(r["story"]), r["who"]) for r in records if r["who"] in NAMES})
    return [_group(size, STORIES[story], who, records) for size, story, who in groups]


def _group(size: int, story: str, who: str, records: list[Record]) -> list[object]:
    group = _of(records, size, story, who)
    asked = [chain(record) / size for record in group if "members" in record]
    services = [sum(record["services"].values()) for record in group if "services" in record]
    shown = [f"{size:,}", story, NAMES[who], len(group)]
    shown += [f"{median(r[field] for r in group):{form}}" for field, form in (("wall", ".2f"), ("cpu", ".2f"))]
    shown += [f"{median(r['rss'] for r in group):.0f}", f"{median(asked):.3f}" if asked else "–"]
    return [*shown, f"{median(services):.0f}" if services else "–"]


def chain(record: Record) -> float:
    return float(max(record["requests"], record["members"]))


def _ratios(records: list[Record]) -> list[list[object]]:
    rows: list[list[object]] = []
    for size in sorted({record["size"] for record in records}):
        ours, bare = (_of(records, size, "no-op", who) for who in ("fleetctl", "floor"))
        if not ours:
            continue
        wall, cpu = (median(record[field] for record in ours) for field in ("wall", "cpu"))
        if bare:
            over, busier = (wall / median(r["wall"] for r in bare), cpu / median(r["cpu"] for r in bare))
            rows.append([f"{size:,}", "fleetctl to the bare reads: wall", f"{over:.2f}"])
            rows.append([f"{size:,}", "fleetctl to the bare reads: CPU", f"{busier:.2f}"])
        for record in _of(records, size, "no-op", "sdk"):
            whole = record["listing"] + record["machines"] / record["sample"] * size
            what = f"of the SDK's reads, extrapolated from {record['sample']} machines to {whole:,.0f} s"
            rows.append([f"{size:,}", what, f"{whole / wall:.0f}"])
        cli = CLI_SECONDS * size
        what = f"the CLI's no-op run, extrapolated from 10 machines at {CLI_SECONDS} s each to {cli:,.0f} s"
        rows.append([f"{size:,}", what, f"{cli / wall:.0f}"])
        for record in _of(records, size, "no-op", "octodns"):
            what = f"of octoDNS, from its package, with {record['records']:,} records in local files, no network"
            rows.append([f"{size:,}", what, f"{record['wall'] / wall:.2f}"])
    return rows


def _of(records: list[Record], size: int, story: str, who: str) -> list[Record]:
    return [r for r in records if (r["size"], r["story"], r["who"]) == (size, story, who)]
