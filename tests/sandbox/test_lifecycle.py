"""Up, up again, down; and what happens when something dies or is in the way."""

import os
import signal
import socket
import stat
import time
from dataclasses import asdict
from pathlib import Path

import httpx
import pytest

from reconciler.sandbox import lifecycle, processes
from reconciler.sandbox.config import ContractsV2
from reconciler.sandbox.errors import SandboxError
from reconciler.sandbox.info import read_info
from reconciler.sandbox.lifecycle import down, running, status, up
from reconciler.sandbox.node import free_port


def alive(pid: int) -> bool:
    return processes.is_ours(pid)


def gone(pid: int, within: float = 5.0) -> bool:
    deadline = time.monotonic() + within
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def test_up_up_status_down(tmp_path: Path) -> None:
    place = tmp_path / "box"
    assert status(place) is None
    said: list[str] = []
    info = up(place, port=free_port(), say=said.append)
    try:
        assert said
        assert up(place, port=free_port()) == info == status(place) == read_info(place)
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in place.rglob("*.json")} == {0o600}
        assert httpx.get(f"{info.markets_url}/health").status_code == 200
        assert len(info.env()) == 14
        assert all(info.env().values())
        operator = {"jsonrpc": "2.0", "id": 1, "method": "eth_getBalance", "params": [info.operator_address, "latest"]}
        assert int(httpx.post(info.rpc_url, json=operator).json()["result"], 16) == 10_000 * 10**18
    finally:
        assert down(place)
    assert gone(info.server_pid)
    assert gone(info.node_pid)
    assert not place.exists()
    assert not down(place)


@pytest.mark.parametrize(("chain_id", "deployment"), [(9990, "agung-2026-08-28"), (3338, "peaq-mainnet"), (7, None)])
def test_under_another_chain_id(tmp_path: Path, chain_id: int, deployment: str | None) -> None:
    with running(tmp_path, port=free_port(), chain_id=chain_id) as info:
        assert read_info(tmp_path) == info
        assert info.env().get("PEAQOS_DEPLOYMENT_ID") == deployment
        asked = [
            {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []},
            *({"jsonrpc": "2.0", "id": 2, "method": "eth_getCode", "params": [at, "latest"]} for at in places(info.v2)),
        ]
        chain, *codes = (answer["result"] for answer in httpx.post(info.rpc_url, json=asked).json())
        assert int(chain, 16) == chain_id
        assert all(len(code) > 2 for code in codes)
        assert httpx.get(f"{info.mcr_url}/ready").status_code == 200


def places(v2: ContractsV2) -> list[str]:
    found = [value for value in asdict(v2).values() if value.startswith("0x")]
    assert len(found) == 7 + (v2.deployment == "peaq-mainnet")
    return found


def test_a_killed_server_takes_the_node_along_and_is_replaced(tmp_path: Path) -> None:
    with running(tmp_path, port=free_port(), block_time=0.2) as first:
        os.kill(first.server_pid, signal.SIGKILL)
        assert gone(first.node_pid)
        os.waitpid(first.server_pid, 0)
        assert status(tmp_path) is None
        second = up(tmp_path, port=first.port)  # the file of the dead one is no obstacle
        assert second.operator_private_key != first.operator_private_key
        # A dead node ends the server too.
        os.kill(second.node_pid, signal.SIGKILL)
        assert gone(second.server_pid)


def test_a_port_in_use_is_said_and_nothing_is_left(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(SandboxError, match="in use") as found:
            up(tmp_path / "box", port=taken.getsockname()[1])
    assert found.value.hint
    assert list((tmp_path / "box").iterdir()) == []


def test_a_failed_start_leaves_nothing_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    spawn = lifecycle._spawn

    def remember(directory: Path):
        process = spawn(directory)
        started.append(process.pid)
        return process

    monkeypatch.setattr(lifecycle, "_spawn", remember)
    monkeypatch.setattr(lifecycle, "anvil_binary", lambda say: Path("/bin/false"))
    with pytest.raises(SandboxError, match="ended while it started"):
        up(tmp_path, port=free_port())
    assert not alive(started[0])
    assert status(tmp_path) is None
    assert [path.name for path in tmp_path.iterdir()] == ["server.log"]


def test_a_terminated_server_stops_the_node_and_tidies_up(tmp_path: Path) -> None:
    with running(tmp_path, port=free_port()) as info:
        (tmp_path / "state" / "node-cache").mkdir(exist_ok=True)  # the node makes it when it has much to keep
        os.kill(info.server_pid, signal.SIGTERM)
        assert gone(info.server_pid)
        assert os.waitstatus_to_exitcode(os.waitpid(info.server_pid, 0)[1]) == 0
        assert gone(info.node_pid)
        assert not (tmp_path / "state" / "node-cache").exists()


def test_interval_mining(tmp_path: Path) -> None:
    with running(tmp_path, port=free_port(), block_time=0.3) as info:
        question = {"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber"}
        began = time.monotonic()
        before = after = int(httpx.post(info.rpc_url, json=question).json()["result"], 16)
        while after < before + 3 and time.monotonic() < began + 20:
            time.sleep(0.2)
            after = int(httpx.post(info.rpc_url, json=question).json()["result"], 16)
        # Nothing was sent: these came by the clock, and no faster.
        assert 3 <= after - before <= (time.monotonic() - began) / 0.3 + 1


def test_somebody_elses_process_is_never_ended(tmp_path: Path) -> None:
    processes.end(os.getpid(), "a mark that is not on this command line")
    assert alive(os.getpid())
