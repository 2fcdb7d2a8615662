// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import "./Machines.sol";

/// Which chain is a machine's home. Here it is this one unless a test says otherwise.
contract CrossChainMirror is Wired {
    mapping(uint256 => uint16) public homeChainOf;

    event HomeChainRegistered(uint256 indexed machineId, uint16 homeChainId);
    event HomeChainUpdated(uint256 indexed machineId, uint16 previousChainId, uint16 newChainId);

    error AlreadyRegistered();

    function onMachineOnboarded(uint256 machineId, address, bytes calldata) external onlyStateAndSync {
        if (homeChainOf[machineId] != 0) revert AlreadyRegistered();
        homeChainOf[machineId] = infoDesk.localChainId();
        emit HomeChainRegistered(machineId, homeChainOf[machineId]);
    }

    function isHomedLocally(uint256 machineId) external view returns (bool) {
        return homeChainOf[machineId] != 0 && homeChainOf[machineId] == infoDesk.localChainId();
    }

    /// A switch of the sandbox.
    function setHomeChain(uint256 machineId, uint16 chainId) external onlyOwner {
        emit HomeChainUpdated(machineId, homeChainOf[machineId], chainId);
        homeChainOf[machineId] = chainId;
    }
}
