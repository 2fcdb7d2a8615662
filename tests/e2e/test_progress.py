"""What somebody who waits is shown: waves with their blocks, on a terminal and in the log of a job."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Callable

import pytest
from e2e_harness import World, Yard, chain_only, heard

from reconciler.cli.options import Options
from reconciler.cli.render.progress import EVERY, Meter
from reconciler.engine.events import Event, Stage

BEGINS = [
    "wave 1 of 4: 1 operator_identity, about 1 block",
    "wave 2 of 4: 2 machine_identity, 2 wallet_funding, about 1 block",
    "wave 3 of 4: 2 machine_nft, 1 operator_did, about 1 block",
    "wave 4 of 4: 2 machine_did, about 1 block",
]
CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
WIDTH = 80


def on_a_terminal(yard: Yard, *given: str) -> str:
    """Everything that a terminal of 80 columns was sent."""
    yard.save()
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, WIDTH, 0, 0))
    environ = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", **yard.environ}
    process = subprocess.Popen(yard.command(*given), env=environ, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    sent = heard(ours)
    assert process.wait(60) == 0, sent
    return sent


def test_a_terminal_shows_each_wave_and_the_bar_fits(new_yard: Callable[..., Yard], slow_world: World) -> None:
    sent = on_a_terminal(chain_only(new_yard(2, world=slow_world)), "apply", "--yes")
    lines = [line.strip() for line in re.split(r"[\r\n]+", CODES.sub("", sent))]
    began = [line for line in lines if re.match(r"wave \d of 4: .*about", line)]
    assert [line.partition(" block")[0] + " block" for line in began] == BEGINS
    bars = [line for line in lines if "━" in line]
    assert any(re.search(r"applying .* \d+/\d+ .* left ", bar) for bar in bars), bars
    for number in range(1, 5):
        assert any(re.search(rf"wave {number} of 4: 1 block\b", bar) for bar in bars), bars
    assert max(map(len, bars)) <= WIDTH


def test_a_log_shows_each_wave_once(new_yard: Callable[..., Yard], slow_world: World) -> None:
    yard = chain_only(new_yard(2, world=slow_world))
    ran = yard.finish(yard.spawn("apply", "--yes", "--output", "json"))
    assert ran.code == 0, ran.said
    waves = [line for line in ran.err.splitlines() if line.startswith("wave ")]
    assert [line.partition(" block")[0] + " block" for line in waves] == BEGINS
    assert json.loads(ran.out)["result"]["transactions"] == 5


def test_who_asks_for_quiet_has_it(new_yard: Callable[..., Yard]) -> None:
    assert "wave" not in chain_only(new_yard(1)).run("apply", "--yes", "-q").err


def test_a_log_says_what_is_waited_for_if_nothing_was_said_for_long(capsys: pytest.CaptureFixture[str]) -> None:
    for options in (Options(), Options(quiet=True)):
        meter = Meter(options, "applying", 5)
        for text in ("too early", "no answer from the node", "too early again"):
            meter.event(Event(Stage.WAITING, text=text))
            meter._last -= EVERY * (text == "too early")
    assert capsys.readouterr().err == "no answer from the node\n"
