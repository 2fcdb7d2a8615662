// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// The ERC-20 face of the native coin: what it moves are the coins themselves. The payer's account code (the delegate)
/// hands them over, so only accounts that have sent a transaction pay, and contracts take them if they take coins.
contract Wpeaq {
    string public constant name = "Wrapped PEAQ";
    string public constant symbol = "WPEAQ";
    uint8 public constant decimals = 18;

    mapping(address => mapping(address => uint256)) public allowance;

    event Approval(address indexed owner, address indexed spender, uint256 value);
    event Transfer(address indexed from, address indexed to, uint256 value);

    function balanceOf(address account) external view returns (uint256) {
        return account.balance;
    }

    function approve(address spender, uint256 value) external returns (bool) {
        allowance[msg.sender][spender] = value;
        emit Approval(msg.sender, spender, value);
        return true;
    }

    function transfer(address to, uint256 value) external returns (bool) {
        return move(msg.sender, to, value);
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        uint256 allowed = allowance[from][msg.sender];
        require(allowed >= value, "trying to spend more than allowed");
        allowance[from][msg.sender] = allowed - value;
        return move(from, to, value);
    }

    function move(address from, address to, uint256 value) private returns (bool) {
        require(from.balance >= value, "Dispatched call failed with error: Token(FundsUnavailable)");
        if (from != to) {
            uint256 before = to.balance;
            (bool asked,) = from.call(abi.encode(to, value));
            require(asked && to.balance == before + value, "the coins did not move");
        }
        emit Transfer(from, to, value);
        return true;
    }
}
