"""One process, measured to its end: seconds by the clock and of a processor, and the most memory it held.

A process is counted, by the kernel, the memory of the one that started it. So it is started by a small one: this file.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 3600
MB = 1000 * 1000


@dataclass(frozen=True)
class Took:
    """Processor seconds hardly depend on what else is running; `rss` is in MB of 10^6 bytes."""

    wall: float
    cpu: float
    rss: float


@dataclass(frozen=True)
class Done:
    took: Took
    code: int
    stdout: str
    stderr: str


def process(
    command: Sequence[str], environ: Mapping[str, str], directory: Path, given: str = "", *, expect: int | None = 0
) -> Done:
    """Run it to its end. RuntimeError where it does not end with `expect` (None: with whatever)."""
    with tempfile.NamedTemporaryFile("r") as found:
        starter = [sys.executable, "-S", "-E", __file__, found.name, *command]
        ended = subprocess.run(
            starter,
            env=environ,
            cwd=directory,
            input=given,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        told = json.load(found)
    done = Done(Took(**told), ended.returncode, ended.stdout, ended.stderr)
    if expect is not None and done.code != expect:
        raise RuntimeError(f"{list(command)} ended with {done.code}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done


def main(found: str, command: list[str]) -> int:
    """Start it, wait for it, write what the kernel says of this one child; its exit code."""
    begun = time.perf_counter()
    child = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(child, 0)
    wall = time.perf_counter() - begun
    # Linux counts in kB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    with Path(found).open("w") as file:
        json.dump({"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "rss": usage.ru_maxrss * unit / MB}, file)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
