"""Our own contracts with the interfaces of v1 and v2: Solidity in `src/`, what the compiler made of it in `artifacts/`.

`artifact(name)` gives an ABI. Protocol v2 is InfoDesk, MachineRegistry, MachineStateAndSync, MachineSubscription and
CrossChainMirror, at the addresses of `config.contracts_v2(chain_id)` (on chains 31338 and 9990 those of peaq's record
`agung-2026-08-28`, on 3338 those of `peaq-mainnet`), and Wpeaq at 0x…0809, the token that bonds are paid in: it is
the native coin, so bond, gas and balance come out of one purse. Batch calls all of them as the sender.

What peaq does not publish is guessed:
- An entry bond is 0.5 PEAQ (0.02 USD at 0.04 USD a PEAQ) for 365 days; basic is ten times, pro a hundred times that.
  Grace is 30 days, run-off 90; a bond does not decay. Status follows the clock of the chain.
- A second activation of a machine reverts with ERC721InvalidSender(0).
- The token takes coins only from accounts that have sent a transaction, never from contracts, and gives them to
  contracts only if those take coins. Its refusals are texts, not custom errors.
- Pauses and relocation stop nothing but what their errors say: MachineRelocating every write, TechnicallyPaused a new
  period. A machine is available while active or in grace, and neither paused by anybody nor relocating.
- Points are counted, never paid; vouchers and bonding rewards are what a test sets.

Switches that peaq's contracts do not have, for their owner alone: InfoDesk.setPeaqPriceUsd (0: PriceNotAvailable),
MachineSubscription.setVoucherCredit, setBondingReward, setEconomicAuthority and forget,
MachineStateAndSync.setRelocating, CrossChainMirror.setHomeChain.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SOURCES = HERE / "src"
ARTIFACTS = HERE / "artifacts"


@dataclass(frozen=True)
class Artifact:
    """One compiled contract."""

    abi: list[dict[str, Any]]
    runtime: str
    """Runtime code as 0x-hex, to be placed at an address."""


@cache
def artifact(name: str) -> Artifact:
    """The compiled contract of that name."""
    content = json.loads((ARTIFACTS / f"{name}.json").read_text(encoding="utf-8"))
    return Artifact(content["abi"], content["runtime"])
