"""The sandbox's one process: `python -m reconciler.sandbox.server DIRECTORY`, started by `lifecycle.up`."""

import asyncio
import json
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.loops.auto import auto_loop_factory

from reconciler.sandbox.accounts import Accounts
from reconciler.sandbox.chain import Chain
from reconciler.sandbox.config import SandboxConfig
from reconciler.sandbox.control import Control
from reconciler.sandbox.faults import Faults
from reconciler.sandbox.front import Front
from reconciler.sandbox.http import ControlApi, Dispatcher, RpcApp
from reconciler.sandbox.node import Node, start_node
from reconciler.sandbox.rpc import NodeRpc
from reconciler.sandbox.snapshot import CHAIN, read_snapshot

SETTINGS = "server.json"
OPERATOR_WEI = 10_000 * 10**18
WATCH_SECONDS = 0.5


@dataclass(frozen=True)
class Settings:
    """What `up` tells the process. Times in seconds."""

    port: int
    block_time: float
    node_binary: str
    operator_address: str
    api_key: str
    totp_secret: str
    chain_id: int
    snapshot: str = ""
    """Directory of a saved world to go on with, or \"\" for a new one."""


async def serve(directory: Path, settings: Settings) -> None:
    """Run until told to stop, or until the node ends."""
    chain = Path(settings.snapshot) / CHAIN if settings.snapshot else None
    node = start_node(
        Path(settings.node_binary), directory,
        block_time=settings.block_time, chain=chain, chain_id=settings.chain_id,
    )  # fmt: skip
    rpc = NodeRpc(node.url)
    try:
        app = await _assemble(rpc, node, directory, settings)
        config = uvicorn.Config(
            app, host="127.0.0.1", port=settings.port, lifespan="off", access_log=False,
            log_level="warning", timeout_keep_alive=75, timeout_graceful_shutdown=1,
        )  # fmt: skip
        server = uvicorn.Server(config)
        watch = asyncio.create_task(_end_with(node, server))
        await server.serve()
        watch.cancel()
    finally:
        await rpc.close()
        node.stop()


async def _assemble(rpc: NodeRpc, node: Node, directory: Path, settings: Settings) -> ASGIApp:
    from reconciler.sandbox.services import build_services

    faucet = await _admin(rpc, settings)
    config = SandboxConfig(
        directory=directory, node_url=node.url, faucet_address=faucet, api_key=settings.api_key,
        chain_id=settings.chain_id, operator_address=settings.operator_address, totp_secret=settings.totp_secret,
    )  # fmt: skip
    chain = Chain(rpc, config.contracts, faucet, v2=config.v2, automine=settings.block_time == 0)
    if not settings.snapshot:
        await chain.install()
        await chain.fund(settings.operator_address, OPERATOR_WEI)
    first_block = int(await rpc.call("eth_blockNumber"), 16)
    own = [settings.operator_address]
    accounts = Accounts(rpc, chain_id=config.chain_id, contracts=config.contracts, v2=config.v2, own=own)
    faults = Faults()
    front = Front(rpc, accounts, faults)
    control = ControlApi(Control(chain, accounts, first_block), faults, front, node_pid=node.process.pid)
    return Dispatcher(RpcApp(front), control.app(), build_services(config))


async def _admin(rpc: NodeRpc, settings: Settings) -> str:
    if not settings.snapshot:
        return str((await rpc.call("eth_accounts"))[0])
    admin = read_snapshot(Path(settings.snapshot)).admin
    await rpc.call("anvil_impersonateAccount", admin)
    return admin


async def _end_with(node: Node, server: uvicorn.Server) -> None:
    while node.process.poll() is None:  # noqa: ASYNC110
        await asyncio.sleep(WATCH_SECONDS)
    server.should_exit = True


def main(arguments: list[str]) -> None:
    """Entry of the process."""
    # The server re-raises the signal that ended it: leave in good order, so that the node is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    directory = Path(arguments[0])
    content: dict[str, Any] = json.loads((directory / SETTINGS).read_text(encoding="utf-8"))
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        runner.run(serve(directory, Settings(**content)))


if __name__ == "__main__":
    main(sys.argv[1:])
