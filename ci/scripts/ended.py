"""Says how an apply ended, and what to do next: from the last line of its file of events.

Standard library only. On GitHub the text becomes an annotation, and the exit code an output of the step.
"""

import json
import os
import sys
from pathlib import Path

NEXT = {
    0: "Applied, or nothing was left to do.",
    1: "An error stopped it; the log says which.",
    3: "The manifest or the configuration is invalid, or a key is missing; nothing was done.",
    4: "A guard refused the plan; nothing was done. The log says what would pass.",
    5: "Applied in part: something failed or is blocked. Run it again once the cause is gone.",
    6: "The outcome of something is unknown. Run the job again: what happened is looked up first.",
    7: "Another fleetctl is using the same key on the same chain. Run the job again when it is done.",
    8: "The plan is stale: the world moved since it was made, and nothing was done. Re-run all jobs to plan anew.",
}
STOPPED = "It was stopped. What was sent is known; run the job again to go on."
CUT = "It ended without a word, as when it is killed. Run the job again: what happened is looked up first."


def ending(path: Path) -> tuple[int | None, str]:
    """The exit code, None where there was none, and a sentence."""
    try:
        last = json.loads(path.read_text(encoding="utf-8").splitlines()[-1])
    except (OSError, ValueError, IndexError):
        return None, CUT
    if last.get("type") == "result":
        code = int(last["exitCode"])
        return code, NEXT.get(code, f"It ended with exit code {code}; the log says why.")
    return None, STOPPED if last.get("type") == "interrupted" else CUT


def main() -> None:
    code, text = ending(Path(os.environ.get("FLEETCTL_EVENTS", "fleet-events.jsonl")))
    if output := os.environ.get("GITHUB_OUTPUT"):
        with Path(output).open("a", encoding="utf-8") as file:
            file.write(f"exit-code={'' if code is None else code}\n")
        text = f"::{'notice' if code == 0 else 'error'} title=fleetctl apply::{text}"
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
