"""Known vulnerabilities of what is installed: fails where there are any, and says so where nobody could be asked.

pip-audit itself ends well where an index knows none of the packages, so its report is read and not its exit code.
"""

import json
import subprocess
import sys
from pathlib import Path

OWN = "peaq-fleetctl"
SECONDS = 180


def report() -> list[dict[str, object]] | None:
    """pip-audit's entries, one a package; None where it has none."""
    program = Path(sys.executable).with_name("pip-audit")
    command = [str(program), "--format", "json", "--progress-spinner", "off", "--timeout", "10"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        found = json.loads(done.stdout)["dependencies"]
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
        return None
    return [entry for entry in found if entry["name"] != OWN]


def verdict(entries: list[dict[str, object]] | None) -> tuple[int, str]:
    """Exit code, and what to say."""
    asked = [entry for entry in entries or () if "skip_reason" not in entry]
    if not asked:
        return 0, "audit: no advisory service could be reached; nothing was audited"
    bad = [f"{e['name']} {e['version']}: {v['id']}" for e in asked for v in e.get("vulns") or ()]  # type: ignore[attr-defined]
    skipped = len(entries or ()) - len(asked)
    if bad:
        return 1, "audit: known vulnerabilities:\n  " + "\n  ".join(bad)
    return 0, f"audit: {len(asked)} packages without known vulnerabilities, {skipped} not known to the service"


if __name__ == "__main__":
    code, text = verdict(report())
    sys.stderr.write(text + "\n")
    sys.exit(code)
