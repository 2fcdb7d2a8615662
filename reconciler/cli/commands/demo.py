"""fleetctl demo: the whole story on a sandbox of its own, told with the commands a user would type."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from reconciler.adapters.journal_store import MEMORY, JournalStore
from reconciler.cli.commands.sandbox import start
from reconciler.cli.main import run
from reconciler.cli.options import Command, Options
from reconciler.cli.shipped import shipped
from reconciler.cli.wiring import connected, open_project
from reconciler.core.effects import ChainCall, Signer
from reconciler.core.errors import FleetError
from reconciler.core.ports import Draft, Sent
from reconciler.engine.watch import Watch
from reconciler.sandbox.lifecycle import down
from reconciler.sandbox.node import free_port

MACHINE = "air-002"
UPDATE = "updateAttribute(address,bytes,bytes,uint32)"


@click.command("demo", cls=Command)
@click.option("--block-time", default=1.0, show_default=True, help="Seconds between blocks of the demo's chain")
def command(options: Options, block_time: float) -> int:
    """Bring a local peaq up, take ten machines live on it, change them, repair them, and stop everything again."""
    with tempfile.TemporaryDirectory(prefix="fleetctl-demo-") as name:
        directory = Path(name)
        shutil.copytree(example(), directory, dirs_exist_ok=True)
        story = _Story(Console(stderr=True, no_color=options.no_color, highlight=False), directory, options)
        info = start(directory / ".fleetctl" / "sandbox", port=free_port(), block_time=block_time, quiet=options.quiet)
        try:
            with _environment({**info.env(), "XDG_STATE_HOME": str(directory / ".state")}):
                story.tell()
        finally:
            down(directory / ".fleetctl" / "sandbox")
            story.say("The sandbox is stopped and the demo's files are removed.")
    return 0


def example() -> Path:
    """The quickstart example."""
    return shipped("examples/quickstart")


class _Story:
    def __init__(self, console: Console, directory: Path, options: Options) -> None:
        self._console = console
        self._manifest = directory / "fleet.yaml"
        self._options = Options(file=self._manifest, quiet=options.quiet, no_color=options.no_color)

    def tell(self) -> None:
        self.say("1. Ten machines and two agents are declared. Their keys are made once, and only by this command.")
        self._fleetctl("keys", "generate")
        self.say("2. What would it take? Nothing is done yet.")
        self._fleetctl("plan")
        self.say("3. Do it: register, mint, fund, describe, publish, enrol, pair.")
        self._fleetctl("apply", "--yes")
        self.say("4. Again. There is nothing left to do, so nothing is done.")
        self._fleetctl("apply", "--yes")
        self.say("5. Edit one policy and one URL: one PATCH and one new token a pairing, one attribute on the chain.")
        self._edit("dailySpendLimit: 20", "dailySpendLimit: 15")
        self._edit(f"{{name: {MACHINE}, ", f"{{name: {MACHINE}, metadata: {{dataApi: https://new.example.com}}, ")
        self._fleetctl("apply", "--yes")
        self.say(f"6. Behind our back, somebody with the key of {MACHINE} changes its DID. Drift names just that.")
        asyncio.run(_tamper(self._options))
        self._fleetctl("drift", expect=2)
        self.say("7. Repair it.")
        self._fleetctl("apply", "--yes")
        self._fleetctl("drift")

    def say(self, text: str) -> None:
        self._console.print(f"\n{text}", style="bold cyan", markup=False)

    def _fleetctl(self, *arguments: str, expect: int = 0) -> None:
        self._console.print(f"$ fleetctl {' '.join(arguments)}", style="bold", markup=False)
        more = [*(["--no-color"] if self._options.no_color else []), *(["--quiet"] if self._options.quiet else [])]
        code = run([*arguments, "--file", str(self._manifest), *more])
        if code != expect:
            raise FleetError(f"fleetctl {' '.join(arguments)} ended with {code}, not {expect}")

    def _edit(self, old: str, new: str) -> None:
        text = self._manifest.read_text()
        if text.count(old) != 1:
            raise FleetError(f"the example has no single {old!r} to edit")
        self._manifest.write_text(text.replace(old, new))
        self._console.print(f"  fleet.yaml: {old}… becomes {new}…", markup=False)


async def _tamper(options: Options) -> None:
    """Write another documentation URL to a machine's DID, with the machine's own key."""
    project = open_project(options)
    signer = Signer("machine", MACHINE)
    account = project.keyring.address(signer)
    journal = JournalStore(MEMORY)
    async with connected(project, options, journal, lambda event: None) as session:
        args = (account, b"documentation_url", b"https://elsewhere.example.com", 0)
        call = session.chain.encode(ChainCall(signer, "did", UPDATE, args))
        fees, nonce = await session.chain.fees(), await session.chain.nonce(account, "latest")
        gas = (await session.chain.estimate(account, call)).gas
        draft = Draft(nonce, call, gas, fees, project.fleet.network.chain_id)
        signed = project.keyring.sign_transaction(signer, draft)
        await session.chain.broadcast(signed.raw)
        sent = Sent(signed.hash, account, str(signer), nonce, signed.raw, ())
        await Watch(session.world).included([sent])


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
