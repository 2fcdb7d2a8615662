// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

library Text {
    function decimal(uint256 value) internal pure returns (string memory) {
        if (value == 0) return "0";
        uint256 digits;
        for (uint256 rest = value; rest != 0; rest /= 10) digits++;
        bytes memory text = new bytes(digits);
        for (; value != 0; value /= 10) text[--digits] = bytes1(uint8(48 + value % 10));
        return string(text);
    }

    /// base + id, or nothing where no base is set.
    function uri(string memory base, uint256 id) internal pure returns (string memory) {
        return bytes(base).length == 0 ? "" : string.concat(base, decimal(id));
    }
}
