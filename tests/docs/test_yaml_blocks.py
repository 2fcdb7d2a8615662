"""Every YAML block of README and docs is a good manifest, or a good part of one. Those that are files are run."""

from pathlib import Path
from typing import Any

import pytest
from docs_harness import PAGES, Block, blocks
from ruamel.yaml import YAML

from reconciler.cli.main import run

AT = "0x000000000000000000000000000000000000000%d"
MACHINE = {
    "name": "press-07",
    "address": AT % 7,
    "labels": {"site": "berlin"},
    "market": {"machineType": "press", "runtimeProfile": "linux-arm64"},
}
FLEET: dict[str, Any] = {
    "apiVersion": "fleetctl/v1",
    "kind": "Fleet",
    "name": "docs",
    "network": "sandbox",
    "services": {"markets": {"url": "${PEAQOS_ORCHESTRATION_URL}", "apiKey": {"env": "PEAQOS_API_KEY"}}},
    "operator": {"key": {"env": "PEAQOS_PRIVATE_KEY"}},
    "delegationPolicies": {"small": {"perTransactionLimit": 5}},
    "agents": {"ops": {"provider": "anthropic", "key": {"file": "keys/ops.key"}}},
    "machines": [MACHINE, {**MACHINE, "name": "door-7", "address": AT % 8}],
}
"""What a block that is no whole manifest is put into: its keys replace those of this."""
FOUND = [
    block
    for page in PAGES
    for block in blocks(page)
    if block.language == "yaml" and not {"other", "file"} & set(block.options)
]


@pytest.mark.parametrize("block", FOUND, ids=lambda block: block.where)
def test_a_yaml_block_is_valid(block: Block, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    yaml = YAML()
    given = yaml.load(block.text)
    if "apiVersion" in given:
        text = block.text
    else:
        whole = {**FLEET, **given} if block.options.get("in") != "machine" else _with_machine(given)
        yaml.dump(whole, tmp_path / "whole.yaml")
        text = (tmp_path / "whole.yaml").read_text()
    (tmp_path / "fleet.yaml").write_text(text)
    assert run(["validate", "-f", str(tmp_path / "fleet.yaml")]) == 0, capsys.readouterr().err


def _with_machine(given: dict[str, Any]) -> dict[str, Any]:
    return {**FLEET, "machines": [{**MACHINE, **given}]}


def test_there_are_some() -> None:
    assert len(FOUND) > 3
