"""How soon fleetctl answers: help, init, validate, and the first line of a plan, in interleaved rounds.

Prints the median and the best of each, and those of a bare Python, which is the floor. On a machine that does other
things at the same time the best is the honest figure, and the ratio to bare Python travels better than either.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXAMPLE = str(ROOT / "examples/quickstart/fleet.yaml")
FLEETCTL = [sys.executable, "-m", "reconciler"]
CASES = {
    "bare Python": [sys.executable, "-c", "pass"],
    "--help": [*FLEETCTL, "--help"],
    "init": [*FLEETCTL, "init", "{scratch}", "--yes"],
    "validate": [*FLEETCTL, "validate", "-f", EXAMPLE],
    "plan, first line": [*FLEETCTL, "plan", "-f", EXAMPLE],
}
LIMITS = {"--help": 0.3, "init": 0.3, "validate": 0.3, "plan, first line": 0.5}


def seconds(name: str, scratch: str) -> float:
    """Wall time to the end, or to the first line where that is asked."""
    command = [part.format(scratch=scratch) for part in CASES[name]]
    begun = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        if "line" in name:
            process.stderr.readline()
            took = time.perf_counter() - begun
            process.kill()
            return took
        process.communicate()
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    taken: dict[str, list[float]] = {name: [] for name in CASES}
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(rounds + 1):
            for name in CASES:
                took = seconds(name, f"{scratch}/{number}")
                # The first round warms the caches.
                taken[name] += [took] if number else []
    bare = min(taken["bare Python"])
    print(f"{rounds} rounds, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    print("| what | median | best | best : bare Python | wanted |\n| --- | --- | --- | --- | --- |")
    for name, times in taken.items():
        limit = f"< {LIMITS[name]} s" if name in LIMITS else ""
        print(f"| {name} | {statistics.median(times):.3f} s | {min(times):.3f} s | {min(times) / bare:.1f} | {limit} |")


if __name__ == "__main__":
    main()
