// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// What a sandbox account runs (EIP-7702), so that Batch can call as the account, DID can take its deposit
/// and the token can move its coins.
/// To everybody else the account behaves as if it had no code.
contract Delegate {
    address private constant DID = address(0x800);
    address private constant BATCH = address(0x805);
    address private constant TOKEN = address(0x809);

    receive() external payable {}

    fallback() external payable {
        if (msg.sender == BATCH) act();
        else if (msg.sender == DID && msg.data.length == 32) give(DID, abi.decode(msg.data, (uint256)));
        else if (msg.sender == TOKEN && msg.data.length == 64) pay();
    }

    function pay() private {
        (address to, uint256 amount) = abi.decode(msg.data, (address, uint256));
        give(to, amount);
    }

    /// Call data: target (20 bytes), wei (32), gas or 0 (8), call data.
    function act() private {
        assembly {
            let size := sub(calldatasize(), 60)
            calldatacopy(0, 60, size)
            let limit := shr(192, calldataload(52))
            if iszero(limit) { limit := gas() }
            let ok := call(limit, shr(96, calldataload(0)), calldataload(20), 0, size, 0, 0)
            returndatacopy(0, 0, returndatasize())
            if ok { return(0, returndatasize()) }
            revert(0, returndatasize())
        }
    }

    function give(address to, uint256 amount) private {
        (bool sent,) = to.call{value: amount}("");
        require(sent, "balance too low");
    }
}
