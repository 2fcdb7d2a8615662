"""One process, measured to its end: seconds by the clock and of a processor, and the most memory it held."""

import os
import subprocess
import tempfile
import threading
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
    with tempfile.TemporaryFile("w+") as asked, tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        asked.write(given)
        asked.seek(0)
        begun = time.perf_counter()
        child = subprocess.Popen(command, env=environ, cwd=directory, stdin=asked, stdout=out, stderr=err)
        limit = threading.Timer(PATIENCE, child.kill)
        limit.start()
        # Not Popen.wait: only here does the kernel say what this one child took.
        _, status, usage = os.wait4(child.pid, 0)
        limit.cancel()
        took = Took(time.perf_counter() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / MB)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        done = Done(took, child.returncode, out.read(), err.read())
    if expect is not None and done.code != expect:
        raise RuntimeError(f"{list(command)} ended with {done.code}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done
