"""Planning large fleets: nothing to do, 1 % changed, all new; against the bare reads, peaq's own SDK, and octoDNS.

    python bench/plan.py                              N = 100, 1,000 and 10,000, three rounds
    python bench/plan.py --sizes 100,1000 --rounds 1  a first look
    python bench/plan.py --report                     only write RESULTS.md from what was measured

Worlds are made once (bench/world.py) and kept. What is measured already, at this commit, is not measured again.
"""

import contextlib
import json
import random
import sys
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import peers  # noqa: E402
import plan_report  # noqa: E402
from fleets import official_python  # noqa: E402
from measure import Done, process  # noqa: E402
from options import Options, options  # noqa: E402
from protocols import V1  # noqa: E402
from records import Record, Records  # noqa: E402
from stage import CHANGED, NEW, NO_OP, Kept, Stage, official_environ, staged, verdict  # noqa: E402
from world import AGENT, OPERATOR, PAIRING, attributes, wallets  # noqa: E402

RECORDS = Records("plan")
FLEETCTL, FLOOR, SDK, OCTODNS = "fleetctl", "floor", "sdk", "octodns"
ATTRIBUTES = ["machineId", "nftTokenId", "operator", "documentation_url", "data_api", "data_visibility"]
SAMPLE = 20
CODES = {NO_OP: 0, CHANGED: 2, NEW: 2}
RESOURCES = 7
"""A machine's own: identity, NFT, funding, DID, record, pairing and token."""


def cases(given: Options) -> Iterator[Record]:
    """Interleaved: in each round of a story everything once, in turn first.

    All sizes in one round too: how cost grows is read off them, and a machine's speed wavers from one hour to the next.
    """
    for story in (NO_OP, CHANGED, NEW):
        who = [FLEETCTL, FLOOR] if story == NO_OP else [FLEETCTL]
        for number, size in product(range(1, given.rounds + 1), given.sizes):
            for name in who if number % 2 else reversed(who):
                yield {"size": size, "story": story, "round": number, "who": name}
    for size, name in product(given.sizes, (SDK, OCTODNS)):
        yield {"size": size, "story": NO_OP, "round": 1, "who": name}


@contextlib.contextmanager
def warmed(key: tuple[int, str]) -> Iterator[Stage]:
    """Nobody who is measured is the first to ask: a node takes seconds to find what lies in its files."""
    with staged(key) as found:
        if key[1] != NEW:
            floor(found)
        yield found


def run(found: Stage, case: Record) -> Record:
    if case["who"] == SDK:
        return read_back(found)
    if case["who"] == OCTODNS:
        return octodns(found.size)
    if case["who"] == FLOOR:
        done, counts = found.counted(lambda: floor(found))
        return {**counts, **json.loads(done.stdout)}
    expect = CODES[case["story"]]
    done, counts = found.counted(lambda: found.fleetctl("plan", "--detailed-exitcode", expect=expect))
    return {**counts, "said": verdict(done)}


def asked_of_floor(found: Stage) -> Record:
    accounts = [machine.address for machine in wallets(found.size)]
    return {"machines": accounts, "operator": OPERATOR.address, "attributes": ATTRIBUTES}


def floor(found: Stage) -> Done:
    wanted = json.dumps(asked_of_floor(found))
    done = process([sys.executable, str(HERE / "floor.py")], found.environ(), found.fleet, wanted)
    told = json.loads(done.stdout)
    if told["refused"] or not told["records"] == told["pairings"] == found.size:
        raise RuntimeError(f"the floor found another world than was made: {told}")
    return done


def read_back(found: Stage) -> Record:
    """Twenty machines as the SDK reads them: proof that the world is what it should be, and a sample of its speed."""
    machines = dict(enumerate(wallets(found.size), 1))
    chosen = random.sample(sorted(machines), min(SAMPLE, found.size))
    wanted = {
        "machines": {machines[n].name: machines[n].address for n in chosen},
        "operator": OPERATOR.address,
        "attributes": ATTRIBUTES,
    }
    command = [str(official_python(V1)), str(HERE / "sdk_reads.py")]
    done, counts = found.counted(lambda: process(command, official_environ(found), found.fleet, json.dumps(wanted)))
    told = json.loads(done.stdout.strip().splitlines()[-1])
    for number in chosen:
        machine = machines[number]
        if told["found"][machine.name] != expected(number):
            raise RuntimeError(f"the SDK reads {machine.name} otherwise: {told['found'][machine.name]}")
    return {**counts, "listing": told["listing"], "machines": told["machines"], "sample": len(chosen)}


def expected(number: int) -> dict[str, Any]:
    """What the SDK must find of the machine with that number."""
    machine = wallets(number)[-1]
    return {
        "id": number + 1,
        "exists": True,
        "status": 1,
        "operator": OPERATOR.address,
        "token": number,
        "holder": machine.address,
        "balance": 2 * 10**17,
        "attributes": attributes(machine, number + 1, number),
        "record": {"name": machine.name, "status": "active", "owner": f"did:peaq:{OPERATOR.address}"},
        "pairings": [[AGENT.address, PAIRING["agentProvider"], PAIRING["agentRole"], "active", True]],
    }


def octodns(size: int) -> Record:
    with tempfile.TemporaryDirectory(prefix="fleetctl-octodns-") as name:
        peers.write_zone(Path(name), RESOURCES * size)
        return {**vars(peers.plan(Path(name)).took), "records": RESOURCES * size}


def main() -> None:
    given = options(__doc__, RECORDS)
    if not given.report:
        with Kept(warmed, most=len(given.sizes)) as kept:
            RECORDS.measure(cases(given), lambda case: run(kept.at((case["size"], case["story"])), case))
    plan_report.write(RECORDS.newest())


if __name__ == "__main__":
    main()
