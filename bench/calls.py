"""What bringing up a small fleet asks of the node, by method: for a plan, an apply, and an apply with nothing to do.

python bench/calls.py --size 10 --block-time 1
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from fleets import Fleet  # noqa: E402
from ledger import Ledger, asked  # noqa: E402
from protocols import PROTOCOLS  # noqa: E402

from reconciler.sandbox.info import SandboxInfo  # noqa: E402
from reconciler.sandbox.lifecycle import running  # noqa: E402
from reconciler.sandbox.node import free_port  # noqa: E402

PHASES = {"plan": ("plan",), "apply": ("apply", "--yes"), "again": ("apply", "--yes")}


def count(fleet: Fleet, info: SandboxInfo) -> dict[str, dict[str, int]]:
    """Members of JSON-RPC batches, one by one: phase -> method -> calls."""
    ledger = Ledger(info)
    if fleet.protocol.registered:
        ledger.register_operator()
    found = {}
    for phase, arguments in PHASES.items():
        before = ledger.mark()
        fleet.fleetctl(info, *arguments)
        found[phase] = asked(before, ledger.mark())["methods"]
    ledger.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=10, help="machines [10]")
    parser.add_argument(
        "--block-time", type=float, default=1.0, help="seconds; 0 for a block with each transaction [1]"
    )
    parser.add_argument("--protocol", choices=PROTOCOLS, default="v1", help="[v1]")
    given = parser.parse_args()
    protocol = PROTOCOLS[given.protocol]
    with tempfile.TemporaryDirectory(prefix="fleetctl-bench-") as name:
        fleet = Fleet.create(Path(name) / "fleet", given.size, protocol)
        place, mining = Path(name) / "sandbox", given.block_time
        with running(place, port=free_port(), block_time=mining, chain_id=protocol.chain_id) as info:
            found = count(fleet, info)
    methods = sorted({method for calls in found.values() for method in calls})
    print(f"{'':28}" + "".join(f"{phase:>8}" for phase in found))
    for method in methods:
        print(f"{method:28}" + "".join(f"{calls.get(method, 0):8}" for calls in found.values()))
    print(f"{'together':28}" + "".join(f"{sum(calls.values()):8}" for calls in found.values()))


if __name__ == "__main__":
    main()
