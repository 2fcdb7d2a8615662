// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// The Batch precompile: many calls in one transaction, each as the account that sent it.
contract Batch {
    enum Mode { All, Some, UntilFailure }

    bytes3 private constant DELEGATED = 0xef0100;
    address private constant DELEGATE = 0x100000000000000000000000000000000000007f;
    uint256 private constant MAX_CALLS = 512;
    uint256 private constant MAX_CALLDATA = 65536;

    event SubcallSucceeded(uint256 index);
    event SubcallFailed(uint256 index);

    function batchAll(
        address[] calldata to, uint256[] calldata value, bytes[] calldata callData, uint64[] calldata gasLimit
    ) external {
        run(Mode.All, to, value, callData, gasLimit);
    }

    function batchSome(
        address[] calldata to, uint256[] calldata value, bytes[] calldata callData, uint64[] calldata gasLimit
    ) external {
        run(Mode.Some, to, value, callData, gasLimit);
    }

    function batchSomeUntilFailure(
        address[] calldata to, uint256[] calldata value, bytes[] calldata callData, uint64[] calldata gasLimit
    ) external {
        run(Mode.UntilFailure, to, value, callData, gasLimit);
    }

    function batch_all(
        address[] calldata to, uint256[] calldata value, bytes[] calldata callData, uint64[] calldata gasLimit
    ) external {
        run(Mode.All, to, value, callData, gasLimit);
    }

    function batch_some(
        address[] calldata to, uint256[] calldata value, bytes[] calldata callData, uint64[] calldata gasLimit
    ) external {
        run(Mode.Some, to, value, callData, gasLimit);
    }

    function batch_some_until_failure(
        address[] calldata to, uint256[] calldata value, bytes[] calldata callData, uint64[] calldata gasLimit
    ) external {
        run(Mode.UntilFailure, to, value, callData, gasLimit);
    }

    function run(
        Mode mode,
        address[] calldata to,
        uint256[] calldata value,
        bytes[] calldata callData,
        uint64[] calldata gasLimit
    ) private {
        onlyAccounts();
        bool fits = to.length <= MAX_CALLS && value.length <= MAX_CALLS && callData.length <= MAX_CALLS
            && gasLimit.length <= MAX_CALLS;
        require(fits, "Value is too large for length");
        for (uint256 i = 0; i < callData.length; i++) {
            require(callData[i].length <= MAX_CALLDATA, "Value is too large for length");
        }
        for (uint256 i = 0; i < to.length; i++) {
            bool ok = subcall(
                mode,
                to[i],
                i < value.length ? value[i] : 0,
                i < callData.length ? callData[i] : callData_none(),
                i < gasLimit.length ? gasLimit[i] : 0
            );
            if (ok) emit SubcallSucceeded(i);
            else emit SubcallFailed(i);
            if (!ok && mode == Mode.UntilFailure) return;
        }
    }

    function subcall(Mode mode, address to, uint256 value, bytes calldata data, uint64 limit)
        private
        returns (bool ok)
    {
        // Two frames lie between here and the target; each keeps back a 64th.
        if (limit > gasleft() * 62 / 64) {
            if (mode == Mode.All) assembly { invalid() }
            return false;
        }
        bytes memory result;
        (ok, result) = msg.sender.call(abi.encodePacked(to, value, limit, data));
        if (!ok && mode == Mode.All) {
            assembly {
                revert(add(result, 32), mload(result))
            }
        }
    }

    function onlyAccounts() private view {
        bool account = msg.sender == tx.origin
            && keccak256(msg.sender.code) == keccak256(abi.encodePacked(DELEGATED, DELEGATE));
        require(account, "Function not callable by smart contracts");
    }

    function callData_none() private pure returns (bytes calldata) {
        return msg.data[:0];
    }
}
