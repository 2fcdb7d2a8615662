"""Bringing fleets up by either protocol: fleetctl against a loop on peaq's own SDK, and against the floor.

    python bench/apply.py                                   everything, about an hour and a half
    python bench/apply.py --sizes 10,50 --rounds 1          a first look
    python bench/apply.py --protocols v2                    one of the two
    python bench/apply.py --report                          only write RESULTS.md from what was measured

Each run has a fresh dev node. What is measured already, at this commit, is not measured again.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

import apply_report  # noqa: E402
from fleets import Fleet, official_python  # noqa: E402
from ledger import Ledger  # noqa: E402
from protocols import PROTOCOLS  # noqa: E402
from records import Records  # noqa: E402

from reconciler.sandbox.lifecycle import running  # noqa: E402
from reconciler.sandbox.node import free_port  # noqa: E402

RECORDS = Records("apply")
BLOCK_TIMES = {"1s": 1.0, "automine": 0.0}
OURS, THEIRS = "fleetctl", "sdk"
NO_OPS = 3


@dataclass(frozen=True)
class Case:
    """One run: who brings up how many machines on what sort of chain."""

    protocol: str
    size: int
    mode: str
    round: int
    who: str


def cases(
    protocols: list[str], sizes: list[int], modes: list[str], rounds: int, sdk_rounds: dict[int, int]
) -> Iterator[Case]:
    """Interleaved: in each round everything once, the two programs in turn first."""
    for number in range(1, rounds + 1):
        for protocol, mode, size in product(protocols, modes, sizes):
            both = [OURS] + ([THEIRS] if number <= sdk_rounds.get(size, rounds) else [])
            for who in both if number % 2 else reversed(both):
                yield Case(protocol, size, mode, number, who)


def run(case: Case) -> dict[str, Any]:
    """Bring the fleet up, see that it is, and say what that took."""
    protocol = PROTOCOLS[case.protocol]
    with tempfile.TemporaryDirectory(prefix="fleetctl-bench-") as name:
        directory = Path(name)
        fleet = Fleet.create(directory / "fleet", case.size, protocol)
        options = {"port": free_port(), "block_time": BLOCK_TIMES[case.mode], "chain_id": protocol.chain_id}
        with running(directory / "sandbox", **options) as info:
            ledger = Ledger(info)
            operator_id = ledger.register_operator() if protocol.registered else None
            before = ledger.mark()
            if case.who == OURS:
                took, answer = fleet.fleetctl(info, "apply", "--yes")
                found: dict[str, Any] = {**vars(took), **fleet.journal()}
            else:
                took, answer = fleet.loop(official_python(protocol), info, operator_id)
                found = {**vars(took), "inside": answer["inside"]}
            found |= ledger.between(before, ledger.mark(), protocol)
            # Whoever did it, the fleet is as declared: fleetctl finds nothing left to do.
            fleet.fleetctl(info, "plan", "--detailed-exitcode")
            if case.who == OURS and case.round == 1 and case.mode == "automine":
                found["noOp"] = no_op(fleet, ledger, info)
            ledger.close()
            return found


def no_op(fleet: Fleet, ledger: Ledger, info: Any) -> dict[str, Any]:
    """An apply that finds everything done: seconds of the process and inside it, and what it asks the node."""
    times, members = [], 0
    for _ in range(NO_OPS):
        before = ledger.mark()
        times.append(fleet.fleetctl(info, "apply", "--yes")[0])
        found = ledger.between(before, ledger.mark(), fleet.protocol)
        members = found["members"]
        if found["transactions"]:
            raise RuntimeError("an apply with nothing to do sent transactions")
    walls, cpus = [took.wall for took in times], [took.cpu for took in times]
    return {"walls": walls, "cpus": cpus, "inside": fleet.inside(info, "apply", "--yes"), "members": members}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--protocols", default="v1,v2", help="v1, v2 or both [v1,v2]")
    parser.add_argument("--sizes", default="10,50,200,1000", help="machines, comma-separated [10,50,200,1000]")
    parser.add_argument("--modes", default="1s,automine", help="1s, automine or both [1s,automine]")
    parser.add_argument("--rounds", type=int, default=3, help="[3]")
    parser.add_argument(
        "--sdk-rounds", default="200:1,1000:0", help="rounds of the SDK's loop where fewer [200:1,1000:0]"
    )
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    parser.add_argument("--report", action="store_true", help="measure nothing, only write the report")
    given = parser.parse_args()
    if given.again:
        RECORDS.forget()
    if not given.report:
        sdk_rounds = {int(n): int(r) for n, r in (part.split(":") for part in given.sdk_rounds.split(",") if part)}
        sizes, modes = [int(n) for n in given.sizes.split(",")], given.modes.split(",")
        wanted = list(cases(given.protocols.split(","), sizes, modes, given.rounds, sdk_rounds))
        # Made before anything is measured.
        for name in {case.protocol for case in wanted}:
            official_python(PROTOCOLS[name])
        RECORDS.measure((vars(case) for case in wanted), lambda case: run(Case(**case)))
    apply_report.write(RECORDS.newest())


if __name__ == "__main__":
    main()
