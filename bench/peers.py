"""octoDNS, a reconciler of another trade, planning as many records as a fleet has resources, from its own package."""

import subprocess
import sys
from pathlib import Path

from measure import Done, process
from platformdirs import user_cache_dir

PIN = "octodns==1.22.0"
CONFIG = """\
providers:
  source: {class: octodns.provider.yaml.YamlProvider, directory: ./source}
  target: {class: octodns.provider.yaml.YamlProvider, directory: ./target}
zones:
  example.com.: {sources: [source], targets: [target]}
"""


def octodns() -> Path:
    """Its program, in an environment of its own, made where there is none."""
    home = Path(user_cache_dir("fleetctl")) / "bench-octodns"
    program, marker = home / "bin" / "octodns-sync", home / "installed.txt"
    if not marker.exists() or marker.read_text() != PIN:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        subprocess.run([str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", PIN], check=True)
        marker.write_text(PIN)
    return program


def write_zone(directory: Path, records: int) -> None:
    """A zone and its target, alike; both are local files, so that it has no network to wait for."""
    text = "".join(f"record-{n:06d}: {{type: TXT, values: ['machine {n}']}}\n" for n in range(records))
    for name in ("source", "target"):
        (directory / name).mkdir(parents=True)
        (directory / name / "example.com.yaml").write_text("---\n" + text)
    (directory / "octodns.yaml").write_text(CONFIG)


def plan(directory: Path) -> Done:
    """One plan that finds nothing to do."""
    done = process([str(octodns()), "--config-file", "octodns.yaml"], {"HOME": str(directory)}, directory)
    if "No changes were planned" not in done.stdout + done.stderr:
        raise RuntimeError(f"octoDNS did not say that nothing is to do:\n{done.stdout}{done.stderr}")
    return done
