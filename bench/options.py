"""The options that these programs share."""

import argparse
from dataclasses import dataclass

from records import Records

SIZES = "100,1000,10000"


@dataclass(frozen=True)
class Options:
    sizes: list[int]
    rounds: int
    report: bool


def options(about: str | None, records: Records, *, sizes: str = SIZES, rounds: int = 3) -> Options:
    """From the command line; --again is done at once."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default=sizes, help=f"machines, comma-separated [{sizes}]")
    parser.add_argument("--rounds", type=int, default=rounds, help=f"[{rounds}]")
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    parser.add_argument("--report", action="store_true", help="measure nothing, only write the report")
    given = parser.parse_args()
    if given.again:
        records.forget()
    return Options([int(size) for size in given.sizes.split(",")], given.rounds, given.report)
