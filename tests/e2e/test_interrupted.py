"""Killed, interrupted, started twice: a plain re-run ends in the same state, with every effect exactly once."""

import os
import pty
import random
import signal
import subprocess
import time
from collections.abc import Callable

import pytest
from e2e_harness import World, Yard

MakeYard = Callable[..., Yard]
SEED = 20261121


def test_a_chain_with_a_clock_of_its_own(new_yard: MakeYard, slow_world: World) -> None:
    yard = new_yard(3, world=slow_world)
    ran = yard.finish(yard.spawn("apply", "--yes"))
    assert ran.code == 0, ran.said
    yard.check_converged()
    assert yard.run("plan", "--detailed-exitcode").code == 0


def test_killed_at_any_instant(new_yard: MakeYard, slow_world: World) -> None:
    yard = new_yard(2, world=slow_world)
    instants = random.Random(SEED)
    killed = 0
    for _ in range(8):
        process = yard.spawn("apply", "--yes")
        time.sleep(instants.uniform(0.8, 2.2))
        process.kill()
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
    assert killed >= 2
    ran = yard.finish(yard.spawn("apply", "--yes"))
    assert ran.code == 0, ran.said
    yard.check_converged()
    assert yard.run("plan", "--detailed-exitcode").code == 0


def wait_for_lock(yard: Yard) -> None:
    """Until an apply of this yard is past reading its manifest and keys, and has begun."""
    end = time.monotonic() + 30
    locks = yard.home / "state" / "fleetctl" / "locks"
    while not any(path.read_text() for path in locks.glob("*-*.json")) and time.monotonic() < end:
        time.sleep(0.01)


@pytest.mark.parametrize("seconds", [0.0, 0.8])
def test_ctrl_c_says_how_to_go_on(new_yard: MakeYard, slow_world: World, seconds: float) -> None:
    yard = new_yard(2, world=slow_world)
    process = yard.spawn("apply", "--yes")
    wait_for_lock(yard)
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    ran = yard.finish(process)
    assert ran.code == 130, ran.said
    assert "Interrupted. What was sent is in the journal; apply again to go on." in ran.err
    assert "Traceback" not in ran.said
    again = yard.run("apply", "--yes")
    assert again.code == 0, again.said
    yard.check_converged()


def test_two_applies_with_one_key_from_two_places(new_yard: MakeYard, slow_world: World) -> None:
    first, second = new_yard(2, world=slow_world), new_yard(1, world=slow_world)
    second.operator = first.operator
    second.environ["PEAQOS_PRIVATE_KEY"] = first.environ["PEAQOS_PRIVATE_KEY"]
    holder = first.spawn("apply", "--yes")
    wait_for_lock(first)
    refused = second.run("apply", "--yes")
    assert refused.code == 7, refused.said
    assert f"process {holder.pid}" in refused.err
    assert str(first.file) in refused.err
    assert first.operator.address.lower() in refused.err
    assert first.finish(holder).code == 0
    first.check_converged()
    account = second.accounts["air-001"].address
    assert second.world.machine_id(account) == 0
    assert second.run("apply", "--yes").code == 0
    assert second.world.machine_id(account) != 0


def test_without_a_terminal_nobody_can_agree(new_yard: MakeYard) -> None:
    yard = new_yard(1)
    before = yard.footprint()
    ran = yard.finish(yard.spawn("apply"))
    assert ran.code == 3, ran.said
    assert "→ pass --yes" in ran.err
    assert ran.out == ""
    assert yard.footprint() == before
    assert not yard.journal.exists()


@pytest.mark.parametrize(("answer", "code"), [(b"n\n", 1), (b"\n", 1), (b"y\n", 0), (b"\x03", 130)])
def test_a_prompt_takes_no_for_an_answer(new_yard: MakeYard, answer: bytes, code: int) -> None:
    yard = new_yard(1)
    before = yard.footprint()
    mine, theirs = pty.openpty()
    process = yard.spawn(
        "apply", stdin=theirs, stderr=subprocess.PIPE, start_new_session=True, preexec_fn=lambda: _control(theirs)
    )
    os.close(theirs)
    assert process.stderr is not None
    said = ""
    while "Apply this plan?" not in said:
        read = os.read(process.stderr.fileno(), 4096).decode()
        assert read, said
        said += read
    # Between the question and the reading of the answer there is an instant at which a signal goes unnoticed.
    time.sleep(0.5)
    os.write(mine, answer)
    ran = yard.finish(process)
    os.close(mine)
    assert ran.code == code, ran.said
    assert (yard.footprint() == before) == (code != 0)
    assert ("Declined; nothing was done." in ran.err) == (code == 1)


def _control(terminal: int) -> None:
    """Make it the controlling terminal, so that Ctrl-C is a signal."""
    import fcntl
    import termios

    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
