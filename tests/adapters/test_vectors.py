"""Calldata, to the byte as the official clients write it (onchain-v1 §4)."""

from typing import Any

import pytest
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from reconciler.adapters import abi
from reconciler.adapters.chain import RpcChain
from reconciler.adapters.rpc import Rpc
from reconciler.core.address import Address, Output
from reconciler.core.effects import ChainCall, ChainGroup, Signer
from reconciler.core.fleet import ContractAddresses
from reconciler.core.ports import Raw
from reconciler.kinds.peaq_v1 import machine_did, machine_identity, machine_nft, operator_did, operator_identity

ACCOUNT = "0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1"
SEVENS = "0x" + "77" * 20
CONTRACTS = ContractAddresses(identity_registry="0x" + "11" * 20, identity_staking=SEVENS, machine_nft="0x" + "22" * 20)


@pytest.fixture
def chain() -> RpcChain:
    return RpcChain(Rpc.__new__(Rpc), CONTRACTS)


def only_group(steps: Any) -> ChainGroup:
    (step,) = steps
    assert isinstance(step.effect, ChainGroup)
    return step.effect


def packed(chain: RpcChain, steps: Any) -> bytes:
    raw = chain.pack([chain.encode(call) for call in only_group(steps).calls])
    assert (raw.to, raw.value) == (CONTRACTS.batch, 0)
    return bytes.fromhex(raw.data[2:])


def test_register(chain: RpcChain) -> None:
    spec = operator_identity.Spec(Address("operator_identity", "default"), ACCOUNT, 10**18)
    (call,) = only_group(operator_identity.OperatorIdentity().steps(spec, None, ())).calls
    assert chain.encode(call) == Raw("0x" + "11" * 20, "0x1aa3a008", 10**18)


def test_register_for(chain: RpcChain) -> None:
    spec = machine_identity.Spec(Address("machine_identity", "m"), SEVENS, ACCOUNT, "default", 10**18, "active")
    (call,) = only_group(machine_identity.MachineIdentity().steps(spec, None, ())).calls
    assert chain.encode(call) == Raw("0x" + "11" * 20, "0xe30e3834" + "00" * 12 + "77" * 20, 10**18)


def test_mint(chain: RpcChain) -> None:
    spec = machine_nft.Spec(Address("machine_nft", "m"), SEVENS, "42", Signer("operator", "default"))
    (call,) = only_group(machine_nft.MachineNft().steps(spec, None, ())).calls
    data = "0x94bf804d" + f"{42:064x}" + "00" * 12 + "77" * 20
    assert chain.encode(call) == Raw("0x" + "22" * 20, data, 0)


def test_the_operators_did(chain: RpcChain) -> None:
    spec = operator_did.Spec(Address("operator_did", "default"), ACCOUNT, "10", ("1", "2", "3"), 0)
    data = packed(chain, operator_did.OperatorDid().steps(spec, None, ()))
    assert len(data) == 1156
    assert keccak(data).hex() == "7975e1630ee6bc7b2ea0eb3877f702c87884022d24607224c052cc65cfc869b2"


def test_a_machines_did(chain: RpcChain) -> None:
    declared: dict[str, str | Output | None] = {
        "machineId": "42",
        "nftTokenId": "1",
        "operator": f"did:peaq:{SEVENS}",
        "documentation_url": "https://d",
        "data_api": "https://a",
        "data_visibility": "public",
    }
    spec = machine_did.Spec(Address("machine_did", "m"), ACCOUNT, declared, 0)
    data = packed(chain, machine_did.MachineDid().steps(spec, None, ()))
    assert len(data) == 2980
    assert keccak(data).hex() == "02e4425cc3e823d64b5b0e169ac5614462b86a52fe541c2989cb4b09cd6adf69"


def test_a_transfer_has_no_data(chain: RpcChain) -> None:
    call = ChainCall(Signer("operator", "default"), SEVENS, value=7)
    assert chain.encode(call) == Raw(SEVENS, "0x", 7)


def test_what_is_not_known_yet_is_not_encoded(chain: RpcChain) -> None:
    bond = Output(Address("registry", "v1"), "min_bond")
    with pytest.raises(ValueError, match="not known yet"):
        chain.encode(ChainCall(Signer("operator", "default"), "identityRegistry", "register()", (), bond))


@pytest.mark.parametrize(
    ("function", "selector"),
    [
        ("register()", "1aa3a008"),
        ("registerFor(address)", "e30e3834"),
        ("mint(uint256,address)", "94bf804d"),
        ("machineIdOfOwner(address)(uint256)", "367fbe44"),
        ("getVerificationInfo(uint256)(address,address,bool,uint8)", "9cc3fe74"),
        ("operatorOf(uint256)(address)", "f41875e1"),
        ("tokenIdOf(uint256)(uint256)", "06474d12"),
        ("ownerOf(uint256)(address)", "6352211e"),
        ("minBond()(uint256)", "831518b7"),
        ("paused()(bool)", "5c975abb"),
        ("deactivateMachine(uint256)", "597b6a21"),
        ("reactivateMachine(uint256)", "479a2146"),
        ("addAttribute(address,bytes,bytes,uint32)", "cc4a70ca"),
        ("updateAttribute(address,bytes,bytes,uint32)", "68b4b2c1"),
        ("removeAttribute(address,bytes)", "e8a81690"),
        ("readAttribute(address,bytes)((bytes,bytes,uint32,uint256))", "b2028b7d"),
        ("batchAll(address[],uint256[],bytes[],uint64[])", "96e292b8"),
    ],
)
def test_selectors(function: str, selector: str) -> None:
    assert abi.selector(function).hex() == selector


def test_results_are_decoded() -> None:
    function = "getVerificationInfo(uint256)(address,address,bool,uint8)"
    data = bytes.fromhex("00" * 12 + "77" * 20 + "00" * 12 + "77" * 20 + f"{1:064x}" + f"{2:064x}")
    assert abi.results(function, data) == (SEVENS, SEVENS, True, 2)


@pytest.mark.parametrize("data", [b"", b"\x01", b"\xff" * 64])
def test_results_of_another_shape_are_told(data: bytes) -> None:
    with pytest.raises(ValueError, match="getVerificationInfo answered data of another shape"):
        abi.results("getVerificationInfo(uint256)(address,address,bool,uint8)", data)


def test_checksums_agree_with_the_reference() -> None:
    from reconciler.adapters.checksum import checksum

    for number in range(200):
        address = "0x" + keccak(number.to_bytes(2)).hex()[:40]
        assert checksum(address) == to_checksum_address(address)
