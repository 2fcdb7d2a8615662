"""Turns what bench/apply.py measured into sections of RESULTS.md, one for each protocol."""

from collections.abc import Callable, Sequence
from statistics import median

import sections
from protocols import PROTOCOLS, Protocol
from records import Record

OURS, THEIRS = "fleetctl", "sdk"
COLUMNS: Sequence[tuple[str, Callable[[Record], float], str]] = (
    ("wall s", lambda r: r["wall"], "{:.1f}"),
    ("CPU s", lambda r: r["cpu"], "{:.1f}"),
    ("blocks", lambda r: r["blocks"], "{:.0f}"),
    ("floor", lambda r: r["floor"], "{:.0f}"),
    ("transactions", lambda r: r["transactions"], "{:.0f}"),
    ("RPC calls per machine", lambda r: r["members"] / r["size"], "{:.1f}"),
    ("HTTP requests", lambda r: r["requests"], "{:.0f}"),
    ("Mgas", lambda r: r["gas"] / 1e6, "{:.1f}"),
)


def write(records: list[Record]) -> None:
    """Replace the sections of what was measured, or add them; others stay as they are."""
    if not records:
        print("nothing is measured yet")
    for name, protocol in PROTOCOLS.items():
        if own := [record for record in records if record["protocol"] == name]:
            sections.write(protocol.title, _section(own, protocol))


def _section(records: list[Record], protocol: Protocol) -> list[str]:
    loads = [r["load"] for r in records]
    busy = f"{min(loads):.1f} to {max(loads):.1f}"
    lines = [
        f"`make bench` at commit {records[0]['commit']}; {records[0]['machine']}; load average before a run {busy}.",
        "Medians over the rounds; how it is measured is in docs/performance.md.",
        "",
        "| chain | machines | who | rounds | " + " | ".join(name for name, _, _ in COLUMNS) + " |",
        "| --- " * (4 + len(COLUMNS)) + "|",
    ]
    groups = _groups(records)
    for (mode, size, who), group in groups.items():
        cells = [form.format(median(value(r) for r in group)) for _, value, form in COLUMNS]
        lines.append(
            f"| {_chain(mode)} | {size} | {'fleetctl' if who == OURS else protocol.sdk} | {len(group)} | "
            + " | ".join(cells)
            + " |"
        )
    lines += ["", *_ratios(groups), *_journal(groups), *_no_ops(records)]
    return lines


def _groups(records: list[Record]) -> dict[tuple[str, int, str], list[Record]]:
    keys = sorted({(r["mode"], r["size"], r["who"]) for r in records})
    return {k: [r for r in records if (r["mode"], r["size"], r["who"]) == k] for k in keys}


def _ratios(groups: dict[tuple[str, int, str], list[Record]]) -> list[str]:
    lines = ["| chain | machines | times faster (wall) | blocks over the floor | times fewer RPC calls |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for (mode, size, who), ours in groups.items():
        if who != OURS:
            continue
        over = max(r["blocks"] - r["floor"] for r in ours)
        theirs = groups.get((mode, size, THEIRS))
        faster = fewer = "not measured"
        if theirs:
            faster = f"{_of(theirs, 'wall') / _of(ours, 'wall'):.1f}"
            fewer = f"{_of(theirs, 'members') / _of(ours, 'members'):.1f}"
            if len(theirs) < len(ours):
                faster += f" (the SDK's loop ran {_times(len(theirs))})"
        shown = f"{over:+d} at most" if mode != "automine" else "no floor: a block for each transaction"
        lines.append(f"| {_chain(mode)} | {size} | {faster} | {shown} | {fewer} |")
    return [*lines, ""]


def _journal(groups: dict[tuple[str, int, str], list[Record]]) -> list[str]:
    found = {}
    for (_, size, who), group in groups.items():
        if who == OURS:
            found[size] = median(r["journalBytes"] / r["steps"] for r in group)
    text = ", ".join(f"{value:.0f} bytes at {size} machines" for size, value in sorted(found.items()))
    return [f"Journal per step: {text}." if text else "", ""]


def _no_ops(records: list[Record]) -> list[str]:
    found = sorted((r["size"], r["noOp"]) for r in records if "noOp" in r)
    lines = []
    for size, no_op in found:
        lines.append(
            f"An apply that finds {size} machines as declared: {median(no_op['walls']):.2f} s for the whole process "
            f"({median(no_op['cpus']):.2f} s of a processor), {no_op['inside']:.2f} s once everything is imported, "
            f"{no_op['members'] / size:.2f} RPC calls per machine ({no_op['members']} in all)."
        )
    return lines


def _of(group: list[Record], field: str) -> float:
    return median(r[field] for r in group)


def _chain(mode: str) -> str:
    return "a block each second" if mode == "1s" else "a block with each transaction"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
