// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import "./Owned.sol";
import "./Text.sol";

/// The DID precompile: a flat (account, name) -> value store with a deposit per attribute.
contract Did is Owned {
    struct Attribute {
        bytes name;
        bytes value;
        uint32 validity;
        uint256 created;
    }

    struct Entry {
        address writer;
        uint32 validity;
        uint64 created;
        uint256 deposit;
        bytes value;
    }

    mapping(address => mapping(bytes32 => Entry)) private entries;
    bool public openAdd;
    uint256 public deposit;

    // Nothing is indexed: the real chain emits one topic and everything else as data.
    event AddAttribute(address sender, address didAccount, bytes name, bytes value, uint32 validity);
    event UpdateAttribute(address sender, address didAccount, bytes name, bytes value, uint32 validity);
    event RemoveAttribute(address didAccount, bytes name);

    function initialize(address _owner) external initializer {
        setOwner(_owner);
        deposit = 0.005 ether;
    }

    receive() external payable {}

    /// True: anyone may add a new name on anyone's DID. False: only the account itself writes.
    function setOpenAdd(bool open) external onlyOwner {
        openAdd = open;
    }

    /// Wei reserved from the writer for each new attribute.
    function setDeposit(uint256 amount) external onlyOwner {
        deposit = amount;
    }

    function addAttribute(address didAccount, bytes memory name, bytes memory value, uint32 validityFor)
        public
        returns (bool)
    {
        check(name, value);
        if (!openAdd && msg.sender != didAccount) fail(5, "AttributeAuthorizationFailed");
        Entry storage entry = entries[didAccount][keccak256(name)];
        if (entry.writer != address(0)) fail(1, "AttributeAlreadyExist");
        entry.writer = msg.sender;
        entry.validity = expiry(validityFor);
        entry.created = uint64(block.timestamp * 1000);
        entry.value = value;
        entry.deposit = deposit;
        reserve(deposit);
        emit AddAttribute(msg.sender, didAccount, name, value, validityFor);
        return true;
    }

    function updateAttribute(address didAccount, bytes memory name, bytes memory value, uint32 validityFor)
        public
        returns (bool)
    {
        check(name, value);
        Entry storage entry = owned(didAccount, name);
        entry.validity = expiry(validityFor);
        entry.value = value;
        emit UpdateAttribute(msg.sender, didAccount, name, value, validityFor);
        return true;
    }

    function removeAttribute(address didAccount, bytes memory name) public returns (bool) {
        check(name, "");
        Entry storage entry = owned(didAccount, name);
        (address writer, uint256 held) = (entry.writer, entry.deposit);
        delete entries[didAccount][keccak256(name)];
        (bool returned,) = writer.call{value: held}("");
        require(returned, "Deposit not returned");
        emit RemoveAttribute(didAccount, name);
        return true;
    }

    function readAttribute(address didAccount, bytes memory name) public view returns (Attribute memory) {
        Entry storage entry = entries[didAccount][keccak256(name)];
        require(entry.writer != address(0), "Cannot find the item");
        return Attribute(name, entry.value, entry.validity, entry.created);
    }

    function add_attribute(address didAccount, bytes memory name, bytes memory value, uint32 validityFor)
        external
        returns (bool)
    {
        return addAttribute(didAccount, name, value, validityFor);
    }

    function update_attribute(address didAccount, bytes memory name, bytes memory value, uint32 validityFor)
        external
        returns (bool)
    {
        return updateAttribute(didAccount, name, value, validityFor);
    }

    function remove_attribute(address didAccount, bytes memory name) external returns (bool) {
        return removeAttribute(didAccount, name);
    }

    function read_attribute(address didAccount, bytes memory name) external view returns (Attribute memory) {
        return readAttribute(didAccount, name);
    }

    function owned(address didAccount, bytes memory name) private view returns (Entry storage entry) {
        if (!openAdd && msg.sender != didAccount) fail(5, "AttributeAuthorizationFailed");
        entry = entries[didAccount][keccak256(name)];
        if (entry.writer == address(0)) fail(4, "AttributeNotFound");
        if (entry.writer != msg.sender) fail(5, "AttributeAuthorizationFailed");
    }

    function check(bytes memory name, bytes memory value) private pure {
        require(name.length <= 64, "Name too long");
        require(value.length <= 2560, "Value too long");
        if (!ascii(name) || !ascii(value)) fail(9, "AttributeNonAsciiProperty");
    }

    /// Word by word; memory after the last byte is zero.
    function ascii(bytes memory text) private pure returns (bool) {
        uint256 high;
        for (uint256 at = 0; at < text.length; at += 32) {
            assembly {
                high := or(high, mload(add(add(text, 32), at)))
            }
        }
        return high & 0x8080808080808080808080808080808080808080808080808080808080808080 == 0;
    }

    /// Blocks from now to a block number; 0 means for ever.
    function expiry(uint32 validityFor) private view returns (uint32) {
        if (validityFor == 0) return type(uint32).max;
        uint256 until = block.number + validityFor;
        if (until > type(uint32).max) fail(6, "MaxBlockNumberExceeded");
        return uint32(until);
    }

    /// The writer's account code (the delegate) hands the coins over when this contract asks.
    function reserve(uint256 amount) private {
        if (amount == 0) return;
        uint256 before = address(this).balance;
        (bool asked,) = msg.sender.call(abi.encode(amount));
        if (!asked || address(this).balance != before + amount) failIn(5, 2, "InsufficientBalance");
    }

    function fail(uint256 code, string memory what) private pure {
        failIn(100, code, what);
    }

    function failIn(uint256 pallet, uint256 code, string memory what) private pure {
        revert(
            string.concat(
                "Dispatched call failed with error: Module(ModuleError { index: ",
                Text.decimal(pallet),
                ", error: [",
                Text.decimal(code),
                ", 0, 0, 0], message: Some(\"",
                what,
                "\") })"
            )
        );
    }
}
