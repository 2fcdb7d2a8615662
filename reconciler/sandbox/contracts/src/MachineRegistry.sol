// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import "./Erc721.sol";
import "./Machines.sol";
import "./Text.sol";

/// The machines of v2: one token each, numbered by the hash of what never changes, with its DID document.
contract MachineRegistry is Erc721, Wired {
    struct Machine {
        address controller;
        address manufacturer;
        string machineType;
        bytes credentialSubject;
        VerificationMethod[] verificationMethods;
        uint256[] authentication;
        ServiceEndpoint[] serviceEndpoints;
    }

    string public constant name = "peaq Machine";
    string public constant symbol = "MACHINE";

    mapping(uint256 => Machine) private machines;

    event AuthenticationUpdated(uint256 indexed tokenId);
    event ControllerUpdated(uint256 indexed tokenId, address indexed oldController, address indexed newController);
    event MachineMinted(uint256 indexed tokenId, address indexed to, address indexed controller, string machineType);
    event ServiceEndpointsUpdated(uint256 indexed tokenId);
    event VerificationMethodsUpdated(uint256 indexed tokenId);

    error CredentialSubjectMismatch();
    error ERC721InvalidSender(address sender);
    error InvalidAuthenticationIndex();
    error InvalidDIDFormat();
    error NotMachineOwner();

    modifier onlyOwnerOrController(uint256 tokenId) {
        if (msg.sender != ownerOf(tokenId) && msg.sender != machines[tokenId].controller) revert NotOwnerOrController();
        _;
    }

    function onMachineOnboarded(uint256 tokenId, address to, bytes calldata data) external onlyStateAndSync {
        (DIDDocument memory doc, string memory machineType_, bytes memory subject, address manufacturer_) =
            abi.decode(data, (DIDDocument, string, bytes, address));
        if (tokenId != computeTokenId(machineType_, subject)) revert CredentialSubjectMismatch();
        if (exists(tokenId)) revert ERC721InvalidSender(address(0));
        requireOwnDid(tokenId, doc.id);
        Machine storage machine = machines[tokenId];
        (machine.controller, machine.manufacturer) = (doc.controller, manufacturer_);
        (machine.machineType, machine.credentialSubject) = (machineType_, subject);
        keepMethods(machine, doc.verificationMethods);
        machine.authentication = doc.authentication;
        keepEndpoints(machine, doc.serviceEndpoints);
        give(tokenId, to);
        emit MachineMinted(tokenId, to, doc.controller, machineType_);
    }

    function setController(uint256 tokenId, address newController) external unlessRelocating(tokenId) {
        if (msg.sender != ownerOf(tokenId)) revert NotMachineOwner();
        Machine storage machine = machines[tokenId];
        emit ControllerUpdated(tokenId, machine.controller, newController);
        machine.controller = newController;
    }

    function setVerificationMethods(uint256 tokenId, VerificationMethod[] calldata newVerificationMethods)
        external
        onlyOwnerOrController(tokenId)
        unlessRelocating(tokenId)
    {
        Machine storage machine = machines[tokenId];
        requireWithin(machine.authentication, newVerificationMethods.length);
        delete machine.verificationMethods;
        keepMethods(machine, newVerificationMethods);
        emit VerificationMethodsUpdated(tokenId);
    }

    function setAuthentication(uint256 tokenId, uint256[] calldata newAuthentication)
        external
        onlyOwnerOrController(tokenId)
        unlessRelocating(tokenId)
    {
        Machine storage machine = machines[tokenId];
        requireWithin(newAuthentication, machine.verificationMethods.length);
        machine.authentication = newAuthentication;
        emit AuthenticationUpdated(tokenId);
    }

    function setServiceEndpoints(uint256 tokenId, ServiceEndpoint[] calldata newServiceEndpoints)
        external
        onlyOwnerOrController(tokenId)
        unlessRelocating(tokenId)
    {
        Machine storage machine = machines[tokenId];
        delete machine.serviceEndpoints;
        keepEndpoints(machine, newServiceEndpoints);
        emit ServiceEndpointsUpdated(tokenId);
    }

    // --- what there is

    function computeTokenId(string memory machineType_, bytes memory credentialSubject_)
        public
        pure
        returns (uint256)
    {
        return uint256(keccak256(abi.encode(machineType_, credentialSubject_)));
    }

    function didFromTokenId(uint256 tokenId_) public pure returns (string memory) {
        return string.concat("did:peaq:", Text.decimal(tokenId_));
    }

    function didDocument(uint256 tokenId) external view returns (DIDDocument memory) {
        Machine storage machine = found(tokenId);
        return DIDDocument(
            didFromTokenId(tokenId),
            machine.controller,
            machine.verificationMethods,
            machine.authentication,
            machine.serviceEndpoints
        );
    }

    function operatorOf(uint256 tokenId) external view returns (address) {
        return ownerOf(tokenId);
    }

    function controllerOf(uint256 tokenId) external view returns (address) {
        return found(tokenId).controller;
    }

    function machineTypeOf(uint256 tokenId) external view returns (string memory) {
        return found(tokenId).machineType;
    }

    function manufacturerOf(uint256 tokenId) external view returns (address) {
        return found(tokenId).manufacturer;
    }

    function credentialSubjectOf(uint256 tokenId) external view returns (bytes memory) {
        return found(tokenId).credentialSubject;
    }

    function verificationMethodsOf(uint256 tokenId) external view returns (VerificationMethod[] memory) {
        return found(tokenId).verificationMethods;
    }

    function authenticationOf(uint256 tokenId) external view returns (uint256[] memory) {
        return found(tokenId).authentication;
    }

    function serviceEndpointsOf(uint256 tokenId) external view returns (ServiceEndpoint[] memory) {
        return found(tokenId).serviceEndpoints;
    }

    function found(uint256 tokenId) private view returns (Machine storage) {
        ownerOf(tokenId);
        return machines[tokenId];
    }

    function beforeTransfer(uint256 tokenId) internal view override unlessRelocating(tokenId) {}

    function keepMethods(Machine storage machine, VerificationMethod[] memory methods) private {
        for (uint256 i = 0; i < methods.length; i++) machine.verificationMethods.push(methods[i]);
    }

    function keepEndpoints(Machine storage machine, ServiceEndpoint[] memory endpoints) private {
        for (uint256 i = 0; i < endpoints.length; i++) machine.serviceEndpoints.push(endpoints[i]);
    }

    function requireWithin(uint256[] memory indices, uint256 count) private pure {
        for (uint256 i = 0; i < indices.length; i++) {
            if (indices[i] >= count) revert InvalidAuthenticationIndex();
        }
    }

    /// A document may leave its id out.
    function requireOwnDid(uint256 tokenId, string memory did) private pure {
        bool own = bytes(did).length == 0 || keccak256(bytes(did)) == keccak256(bytes(didFromTokenId(tokenId)));
        if (!own) revert InvalidDIDFormat();
    }
}
