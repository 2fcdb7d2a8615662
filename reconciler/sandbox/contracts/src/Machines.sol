// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import "./Owned.sol";

struct VerificationMethod {
    string id;
    string methodType;
    address controller;
    string publicKeyMultibase;
}

struct ServiceEndpoint {
    string id;
    string serviceType;
    string serviceEndpoint;
}

struct DIDDocument {
    string id;
    address controller;
    VerificationMethod[] verificationMethods;
    uint256[] authentication;
    ServiceEndpoint[] serviceEndpoints;
}

interface IInfoDesk {
    function peer(bytes32 key) external view returns (address);
    function peaqToken() external view returns (address);
    function peaqPriceUsd() external view returns (uint256);
    function tierPriceUsd(uint8 tier) external view returns (uint256);
    function subscriptionPeriodLength() external view returns (uint64);
    function graceDuration() external view returns (uint64);
    function runoffDuration() external view returns (uint64);
    function localChainId() external view returns (uint16);
}

interface IMachineRegistry {
    function ownerOf(uint256 machineId) external view returns (address);
    function controllerOf(uint256 machineId) external view returns (address);
    function computeTokenId(string calldata machineType, bytes calldata credentialSubject)
        external
        pure
        returns (uint256);
}

interface IMachineState {
    function isRelocating(uint256 machineId) external view returns (bool);
    function isTechnicalPaused(uint256 machineId) external view returns (bool);
    function isTechnicalPausedGlobal() external view returns (bool);
}

interface IMachineSubscription {
    function subscriptionStatus(uint256 machineId) external view returns (uint8);
}

interface IOnboarded {
    function onMachineOnboarded(uint256 machineId, address operator, bytes calldata data) external;
}

/// A v2 contract: it finds the others through the InfoDesk.
abstract contract Wired is Owned {
    bytes32 internal constant REGISTRY = keccak256("MACHINE_REGISTRY");
    bytes32 internal constant SUBSCRIPTION = keccak256("MACHINE_SUBSCRIPTION");
    bytes32 internal constant STATE_AND_SYNC = keccak256("MACHINE_STATE_AND_SYNC");
    bytes32 internal constant MIRROR = keccak256("CROSS_CHAIN_MIRROR");

    IInfoDesk public infoDesk;

    error MachineRelocating();
    error NotMachineStateAndSync();
    error NotOwnerOrController();

    modifier onlyStateAndSync() {
        if (msg.sender != infoDesk.peer(STATE_AND_SYNC)) revert NotMachineStateAndSync();
        _;
    }

    modifier unlessRelocating(uint256 machineId) {
        requireSettled(machineId);
        _;
    }

    function initialize(address desk, address _owner) external initializer {
        infoDesk = IInfoDesk(desk);
        setOwner(_owner);
    }

    function requireSettled(uint256 machineId) internal view {
        if (machineState().isRelocating(machineId)) revert MachineRelocating();
    }

    /// Reverts with the registry's own error where there is no such machine.
    function requireOwnerOrController(uint256 machineId) internal view {
        bool allowed = msg.sender == registry().ownerOf(machineId) || msg.sender == registry().controllerOf(machineId);
        if (!allowed) revert NotOwnerOrController();
    }

    function registry() internal view returns (IMachineRegistry) {
        return IMachineRegistry(infoDesk.peer(REGISTRY));
    }

    function machineState() internal view returns (IMachineState) {
        return IMachineState(infoDesk.peer(STATE_AND_SYNC));
    }
}
