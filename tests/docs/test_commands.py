"""Every command block of README and docs, run page by page in a real shell against a real sandbox."""

import os
import pty
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from docs_harness import PAGES, ROOT, Unit, blocks, missing, name_of, units
from platformdirs import user_cache_dir

from reconciler.sandbox.lifecycle import down
from reconciler.sandbox.node import free_port

SECONDS = 300
LANGUAGES = {"sh", "run", "console", "yaml", "text", "json", "csv"}
NOT_RUN = {"README.md": 3, "docs/how-to/ci.md": 8, "docs/how-to/large-fleets.md": 1}
"""How many blocks of a page may not be run. Each must say why."""
RUNNING = [page for page in PAGES if units(page)]


@pytest.mark.parametrize(
    "page", [pytest.param(p, marks=pytest.mark.xdist_group(name_of(p))) for p in RUNNING], ids=name_of
)
def test_the_commands_of_a_page(page: Path, tmp_path: Path) -> None:
    steps = units(page)
    place, scratch = tmp_path / "place", tmp_path / "scratch"
    for directory in (place, scratch, tmp_path / "home"):
        directory.mkdir()
    ended = _shell(_script(steps, scratch), place, tmp_path, [a for step in steps for a in step.answers])
    at = int((scratch / "at").read_text())
    said = (scratch / f"{at}.out").read_text(errors="replace")
    assert ended == 0, f"{steps[at].where} ended with {ended}:\n{steps[at].script}\n{said}"
    for number, step in enumerate(steps):
        output = (scratch / f"{number}.out").read_text()
        line = missing(step, output)
        assert line is None, f"{step.where} shows {line!r} after {step.script}; what it printed:\n{output}"


def _script(steps: list[Unit], scratch: Path) -> str:
    """One shell for the whole page, which ends at the first step that does not end as it should."""
    lines = ["set -e"]
    for number, step in enumerate(steps):
        (scratch / f"{number}.sh").write_text(step.script)
        # Where nobody answers there is no terminal, so that nothing waits for an answer.
        typed = "" if step.answers else "< /dev/null"
        source = f". {shlex.quote(f'{scratch}/{number}.sh')} > {shlex.quote(f'{scratch}/{number}.out')} 2>&1 {typed}"
        lines.append(f"echo {number} > {shlex.quote(f'{scratch}/at')}")
        lines.append(source if step.exit == 0 else f"set +e; {source}; ended=$?; set -e; [ $ended = {step.exit} ]")
    return "\n".join(lines)


def _shell(script: str, place: Path, root: Path, answers: list[str]) -> int:
    """How the shell ended. Its standard input is a terminal, at which the answers were typed ahead."""
    ours, theirs = pty.openpty()
    os.write(ours, "".join(f"{answer}\n" for answer in answers).encode())
    process = subprocess.Popen(
        ["bash", "-c", script], cwd=place, env=_environment(root), stdin=theirs, stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    try:
        return process.wait(SECONDS)
    except subprocess.TimeoutExpired:
        return 124
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        os.close(ours)
        os.close(theirs)
        for info in list(place.rglob("sandbox.json")):
            down(info.parent)


def _environment(root: Path) -> dict[str, str]:
    """A newcomer's: fleetctl and python on the path, nothing of ours set."""
    tools = root / "bin"
    tools.mkdir()
    fleetctl = tools / "fleetctl"
    fleetctl.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {sys.executable} -m reconciler "$@"\n')
    fleetctl.chmod(0o755)
    return {
        "PATH": os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "HOME": str(root / "home"),
        "XDG_CACHE_HOME": user_cache_dir(),
        "PRESS_HALL": str(Path(__file__).parent / "press-hall.sh"),
        "TUTORIAL_MANIFEST": str(_tutorial_manifest(root)),
        "FLEETCTL_SANDBOX_PORT": str(free_port()),
        "COLUMNS": "120",
        "LANG": "C.UTF-8",
    }


def _tutorial_manifest(root: Path) -> Path:
    """What the reader of the tutorial writes, as a file."""
    (block,) = [b for b in blocks(ROOT / "docs" / "tutorial.md") if b.options.get("file") == "fleet.yaml"]
    path = root / "tutorial.yaml"
    path.write_text(block.text)
    return path


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_is_not_run_says_why_and_stays_rare(page: Path) -> None:
    idle = [block for block in blocks(page) if "norun" in block.options]
    silent = [block.where for block in idle if not block.before.startswith("<!-- norun: ")]
    assert not silent, "say why, in a comment `<!-- norun: … -->` right above"
    assert len(idle) <= NOT_RUN.get(name_of(page), 0), [block.where for block in idle]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_says_what_it_is(page: Path) -> None:
    unknown = {f"{block.where}: {block.language}" for block in blocks(page)} - {
        f"{block.where}: {language}" for block in blocks(page) for language in LANGUAGES
    }
    fences = [line for line in page.read_text().splitlines() if line.lstrip().startswith("```")]
    assert not unknown
    assert len(fences) == 2 * sum(block.language != "run" for block in blocks(page)), "a fence is indented or unnamed"
