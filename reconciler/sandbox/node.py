"""The dev node as a child process that cannot outlive its parent."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from reconciler.sandbox.config import V1_CHAIN_ID
from reconciler.sandbox.errors import SandboxError

BLOCK_GAS = 15_000_000
BASE_FEE_WEI = 1_000_000_000
FAUCET_PEAQ = 1_000_000_000
START_SECONDS = 30.0
STOP_SECONDS = 5.0
PR_SET_PDEATHSIG = 1


@dataclass
class Node:
    """A running dev node. Its RPC is for the sandbox alone."""

    process: subprocess.Popen[bytes]
    url: str
    cache: Path

    def stop(self) -> None:
        """End it and remove what it left on disk."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.cache, ignore_errors=True)


def start_node(
    binary: Path,
    directory: Path,
    *,
    block_time: float = 0.0,
    chain: Path | None = None,
    chain_id: int = V1_CHAIN_ID,
) -> Node:
    """Start the node and wait until it answers. block_time in seconds; 0 mines with each transaction.

    `chain` is a saved one to go on with.
    """
    port = free_port()
    cache = directory / "node-cache"
    with (directory / "node.log").open("ab") as log:
        process = subprocess.Popen(
            _command(binary, port, chain_id, cache, block_time) + (["--load-state", str(chain)] if chain else []),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
            cwd=directory, env={"PATH": os.defpath, "HOME": str(directory)},
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
        )  # fmt: skip
    node = Node(process, f"http://127.0.0.1:{port}", cache)
    try:
        _await_answer(node, chain_id)
    except BaseException:
        node.stop()
        raise
    return node


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _command(binary: Path, port: int, chain_id: int, cache: Path, block_time: float) -> list[str]:
    command = [
        str(binary), "--quiet", "--host", "127.0.0.1", "--port", str(port),
        "--chain-id", str(chain_id), "--hardfork", "prague",
        "--gas-limit", str(BLOCK_GAS), "--block-base-fee-per-gas", str(BASE_FEE_WEI),
        # One unlocked account of its own, with a key nobody knows: the faucet and the contracts' admin.
        "--accounts", "1", "--mnemonic-random", "12", "--balance", str(FAUCET_PEAQ),
        # `safe` is one block behind, `finalized` two.
        "--slots-in-an-epoch", "1",
        "--cache-path", str(cache), "--no-request-size-limit", "--order", "fifo",
    ]  # fmt: skip
    return [*command, "--block-time", f"{block_time:g}"] if block_time else command


def _await_answer(node: Node, chain_id: int) -> None:
    question = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if node.process.poll() is not None:
            raise SandboxError("the dev node ended at once", "see node.log in the sandbox directory")
        try:
            if httpx.post(node.url, json=question, timeout=2, trust_env=False).json()["result"] == hex(chain_id):
                return
        except (httpx.HTTPError, KeyError, ValueError):
            pass
        time.sleep(0.02)
    raise SandboxError(f"the dev node did not answer within {START_SECONDS:.0f} s")


def _die_with_parent() -> None:
    # Linux only: SIGKILL of the server must not leave the node behind.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
