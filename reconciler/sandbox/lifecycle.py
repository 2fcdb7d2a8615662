"""Bring a sandbox up, down, and say whether there is one. The state is in one directory."""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import pyotp
from eth_account import Account

from reconciler.sandbox import processes
from reconciler.sandbox.config import DEFAULT_PORT, V1_CHAIN_ID
from reconciler.sandbox.errors import SandboxError
from reconciler.sandbox.http import HEALTH
from reconciler.sandbox.info import FILE, SandboxInfo, read_info
from reconciler.sandbox.server import SETTINGS, Settings
from reconciler.sandbox.snapshot import read_snapshot, restore_services
from reconciler.sandbox.toolchain import Say, anvil_binary, silent

MODULE = "reconciler.sandbox.server"
STATE = "state"
LOG = "server.log"
START_SECONDS = 60.0
POLL_SECONDS = 0.05
LOG_TAIL = 1500


def up(
    directory: Path,
    *,
    port: int = DEFAULT_PORT,
    block_time: float = 0.0,
    snapshot: Path | None = None,
    chain_id: int = V1_CHAIN_ID,
    say: Say = silent,
) -> SandboxInfo:
    """A running sandbox, started unless there is one. block_time in seconds; 0 mines with each transaction.

    `snapshot` is the directory of a saved world to go on with; it is only read. Under a chain id other than its own,
    peaq's clients take the sandbox for that chain, and what is signed here is valid there: throwaway keys only.
    """
    directory = directory.absolute()
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    directory.chmod(0o700)
    with _alone(directory):
        running_already = status(directory)
        if running_already:
            return running_already
        _clean(directory)
        _require_free(port)
        binary = anvil_binary(say)
        say(f"starting the sandbox on port {port}")
        return _start(directory, port, block_time, binary, snapshot, chain_id=chain_id)


def down(directory: Path) -> bool:
    """Stop it and remove its state. Whether there was one running."""
    directory = directory.absolute()
    if not directory.is_dir():
        return False
    with _alone(directory):
        was_up = status(directory) is not None
        _clean(directory)
    with contextlib.suppress(OSError):
        directory.rmdir()  # only if nothing of the user's is in it
    return was_up


def status(directory: Path) -> SandboxInfo | None:
    """The sandbox that runs from this directory, if one does."""
    info = read_info(directory.absolute())
    if info is None or not processes.is_ours(info.server_pid, MODULE, _state(info.directory)):
        return None
    return info


@contextlib.contextmanager
def running(directory: Path, **options: Any) -> Iterator[SandboxInfo]:
    """A sandbox for as long as the block lasts; options as of `up`."""
    info = up(directory, **options)
    try:
        yield info
    finally:
        down(directory)


def _start(
    directory: Path, port: int, block_time: float, binary: Path, snapshot: Path | None, *, chain_id: int
) -> SandboxInfo:
    account = Account.from_key(read_snapshot(snapshot).operator_private_key) if snapshot else Account.create()
    settings = Settings(
        port=port, block_time=block_time, node_binary=str(binary), operator_address=account.address,
        api_key=secrets.token_urlsafe(24), totp_secret=pyotp.random_base32(), chain_id=chain_id,
        snapshot=str(snapshot.absolute()) if snapshot else "",
    )  # fmt: skip
    state = directory / STATE
    state.mkdir(mode=0o700)
    if snapshot:
        restore_services(snapshot, state)
    _write(state / SETTINGS, json.dumps(asdict(settings)))
    process = _spawn(directory)
    try:
        node_pid = _await_health(process, port, directory)
        info = SandboxInfo(
            directory=directory, port=port, block_time=block_time, chain_id=chain_id,
            api_key=settings.api_key, totp_secret=settings.totp_secret,
            operator_address=account.address, operator_private_key=f"0x{bytes(account.key).hex()}",
            server_pid=process.pid, node_pid=node_pid,
        )  # fmt: skip
        _write(directory / FILE, info.to_json())
    except BaseException:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _clean(directory, keep_log=True)
        raise
    return info


def _spawn(directory: Path) -> subprocess.Popen[bytes]:
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    with (directory / LOG).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", MODULE, _state(directory)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            cwd=directory, env={**os.environ, "PYTHONPATH": path}, start_new_session=True,
        )  # fmt: skip


def _await_health(process: subprocess.Popen[bytes], port: int, directory: Path) -> int:
    """The node's pid, as soon as everything answers."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            tail = (directory / LOG).read_text(encoding="utf-8", errors="replace")[-LOG_TAIL:]
            raise SandboxError(f"the sandbox ended while it started:\n{tail}", f"its log is {directory / LOG}")
        try:
            answer = httpx.get(f"http://127.0.0.1:{port}{HEALTH}", timeout=2, trust_env=False).json()
            return int(answer["nodePid"])
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            time.sleep(POLL_SECONDS)
    raise SandboxError(f"the sandbox was not up within {START_SECONDS:.0f} s", f"its log is {directory / LOG}")


def _clean(directory: Path, *, keep_log: bool = False) -> None:
    """End what still runs of an earlier sandbox and remove what it left."""
    info = read_info(directory)
    if info is not None:
        processes.end(info.server_pid, MODULE, _state(directory))
        processes.end(info.node_pid, "anvil", _state(directory))
    (directory / FILE).unlink(missing_ok=True)
    shutil.rmtree(directory / STATE, ignore_errors=True)
    if not keep_log:
        (directory / LOG).unlink(missing_ok=True)


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise SandboxError(f"port {port} is in use", "choose another port, or stop what listens there") from error


def _state(directory: Path) -> str:
    return str(directory / STATE)


def _write(path: Path, text: str) -> None:
    """For our own eyes only, and never half written."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """One up or down at a time: a lock on the directory itself leaves no file behind."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
