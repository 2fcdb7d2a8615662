// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// The ERC-20 face of the native coin: it can be read; coins move by plain transfers.
contract Wpeaq {
    string public constant name = "Wrapped PEAQ";
    string public constant symbol = "WPEAQ";
    uint8 public constant decimals = 18;

    function balanceOf(address account) external view returns (uint256) {
        return account.balance;
    }

    function allowance(address, address) external pure returns (uint256) {
        return 0;
    }
}
