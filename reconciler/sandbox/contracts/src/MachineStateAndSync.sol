// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import "./Machines.sol";

/// Brings machines in, and says which of them may work.
contract MachineStateAndSync is Wired {
    uint8 private constant ACTIVE = 1;
    uint8 private constant GRACE = 2;

    mapping(uint256 => bool) public isOperatorPaused;
    mapping(uint256 => bool) public isGeneralPaused;
    mapping(uint256 => bool) public isTechnicalPaused;
    mapping(uint256 => bool) public isRelocating;
    bool public isGeneralPausedGlobal;
    bool public isTechnicalPausedGlobal;

    event GeneralPausedGlobalSet(bool value);
    event GeneralPausedSet(uint256 indexed machineId, bool value);
    event MachineOnboarded(uint256 indexed machineId, address indexed operator);
    event OperatorPausedSet(uint256 indexed machineId, bool value);
    event TechnicalPausedGlobalSet(bool value);
    event TechnicalPausedSet(uint256 indexed machineId, bool value);

    error NotActive();
    error NotSuspended();

    function activateMachine(
        DIDDocument calldata doc,
        string calldata machineType_,
        bytes calldata credentialSubject_,
        address manufacturer_,
        uint8 tier
    ) external returns (uint256 machineId) {
        machineId = registry().computeTokenId(machineType_, credentialSubject_);
        emit MachineOnboarded(machineId, msg.sender);
        tell(REGISTRY, machineId, abi.encode(doc, machineType_, credentialSubject_, manufacturer_));
        tell(SUBSCRIPTION, machineId, abi.encode(tier));
        tell(MIRROR, machineId, "");
    }

    function suspend(uint256 machineId) external {
        requireMayPause(machineId);
        if (isOperatorPaused[machineId]) revert NotActive();
        setOperatorPaused(machineId, true);
    }

    function resume(uint256 machineId) external {
        requireMayPause(machineId);
        if (!isOperatorPaused[machineId]) revert NotSuspended();
        setOperatorPaused(machineId, false);
    }

    function isMachineAvailable(uint256 machineId) external view returns (bool) {
        uint8 status = IMachineSubscription(infoDesk.peer(SUBSCRIPTION)).subscriptionStatus(machineId);
        bool paused = isOperatorPaused[machineId] || isGeneralPaused[machineId] || isTechnicalPaused[machineId];
        bool held = paused || isGeneralPausedGlobal || isTechnicalPausedGlobal || isRelocating[machineId];
        return !held && (status == ACTIVE || status == GRACE);
    }

    // --- what peaq may do

    function setGeneralPaused(uint256 machineId, bool paused) external onlyOwner {
        isGeneralPaused[machineId] = paused;
        emit GeneralPausedSet(machineId, paused);
    }

    function setGeneralPausedGlobal(bool paused) external onlyOwner {
        isGeneralPausedGlobal = paused;
        emit GeneralPausedGlobalSet(paused);
    }

    function setTechnicalPaused(uint256 machineId, bool paused) external onlyOwner {
        isTechnicalPaused[machineId] = paused;
        emit TechnicalPausedSet(machineId, paused);
    }

    function setTechnicalPausedGlobal(bool paused) external onlyOwner {
        isTechnicalPausedGlobal = paused;
        emit TechnicalPausedGlobalSet(paused);
    }

    /// A switch of the sandbox: there is no other chain to go to.
    function setRelocating(uint256 machineId, bool relocating) external onlyOwner {
        isRelocating[machineId] = relocating;
    }

    function tell(bytes32 who, uint256 machineId, bytes memory data) private {
        IOnboarded(infoDesk.peer(who)).onMachineOnboarded(machineId, msg.sender, data);
    }

    function requireMayPause(uint256 machineId) private view {
        requireOwnerOrController(machineId);
        if (isRelocating[machineId]) revert MachineRelocating();
    }

    function setOperatorPaused(uint256 machineId, bool paused) private {
        isOperatorPaused[machineId] = paused;
        emit OperatorPausedSet(machineId, paused);
    }
}
