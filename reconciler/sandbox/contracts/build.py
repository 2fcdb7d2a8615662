"""Compile the contracts: `python -m reconciler.sandbox.contracts.build [--check]`."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from reconciler.sandbox.contracts import ARTIFACTS, SOURCES
from reconciler.sandbox.errors import SandboxError
from reconciler.sandbox.toolchain import Say, node_command, npm_package, silent

SOLC = ("solc", "0.8.30")
CONTRACTS = (
    "IdentityRegistry", "IdentityStaking", "EventRegistry", "MachineNFT",
    "Did", "Batch", "Wpeaq", "Delegate", "Multicall3",
    "InfoDesk", "MachineRegistry", "MachineStateAndSync", "MachineSubscription", "CrossChainMirror", "Placeholder",
)  # fmt: skip
COMPILE_SECONDS = 120
# The compiler as a filter: its standard JSON in, its standard JSON out.
FILTER = "process.stdout.write(require('solc').compile(require('fs').readFileSync(0, 'utf8')))"


def main(arguments: list[str]) -> int:
    """Write the artefacts, or with --check say which are not what the sources give. 0 when all is well."""
    try:
        fresh = compiled(say=_tell)
    except SandboxError as error:
        _tell(f"{error.message}\n{error.hint}")
        return 1
    stale = [name for name, text in fresh.items() if _stored(name) != text]
    if "--check" in arguments:
        for name in stale:
            _tell(f"{name}.json is stale")
        return 1 if stale else 0
    ARTIFACTS.mkdir(exist_ok=True)
    for name in stale:
        _file(name).write_text(fresh[name], encoding="utf-8")
        _tell(f"wrote {name}.json")
    return 0


def compiled(*, say: Say = silent) -> dict[str, str]:
    """The artefacts' texts by contract name, compiled now."""
    output = _compile(say)
    problems = [entry["formattedMessage"] for entry in output.get("errors", ())]
    if problems:  # warnings too: these sources have none
        raise SandboxError("the contracts do not compile:\n" + "\n".join(problems))
    return {name: _artifact(output["contracts"][f"{name}.sol"][name]) for name in CONTRACTS}


def _artifact(contract: dict[str, Any]) -> str:
    runtime = "0x" + contract["evm"]["deployedBytecode"]["object"]
    return json.dumps({"abi": contract["abi"], "runtime": runtime}, indent=1, sort_keys=True) + "\n"


def _compile(say: Say) -> dict[str, Any]:
    home = npm_package(*SOLC, say=say)
    done = subprocess.run(
        [*node_command(), "-e", FILTER], cwd=home, input=json.dumps(_task()),
        capture_output=True, text=True, timeout=COMPILE_SECONDS, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SandboxError(f"the compiler failed:\n{done.stderr[-1500:]}")
    output: dict[str, Any] = json.loads(done.stdout)
    return output


def _task() -> dict[str, Any]:
    sources = {path.name: {"content": path.read_text(encoding="utf-8")} for path in sorted(SOURCES.glob("*.sol"))}
    return {
        "language": "Solidity",
        "sources": sources,
        "settings": {
            "evmVersion": "prague",
            "optimizer": {"enabled": True, "runs": 200},
            "metadata": {"bytecodeHash": "none", "appendCBOR": False},
            "outputSelection": {"*": {"*": ["abi", "evm.deployedBytecode.object"]}},
        },
    }


def _file(name: str) -> Path:
    return ARTIFACTS / f"{name}.json"


def _stored(name: str) -> str | None:
    return _file(name).read_text(encoding="utf-8") if _file(name).exists() else None


def _tell(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
