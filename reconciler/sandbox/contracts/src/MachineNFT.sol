// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import "./Erc721.sol";
import "./Text.sol";

interface IRegistry {
    function getOwnerIfExists(uint256 machineId) external view returns (address owner_, bool exists_);
    function operatorOf(uint256 machineId) external view returns (address);
}

interface IBonds {
    function isStaked(uint256 machineId) external view returns (bool);
}

/// One transferable token per machine, numbered on its own.
contract MachineNFT is Erc721, Pausable {
    string public constant name = "peaq Machine NFT";
    string public constant symbol = "MNFT";

    uint256 public totalMinted;
    mapping(uint256 => uint256) public tokenIdOf;
    mapping(uint256 => uint256) public machineIdOf;
    IRegistry private registry;
    IBonds private staking;
    string private base;

    event BaseURISet(string baseURI);
    event IdentityRegistrySet(address indexed registry);
    event IdentityStakingSet(address indexed staking);
    event MachineMinted(uint256 indexed tokenId, uint256 indexed machineId, address indexed recipient);

    error AlreadyMinted();
    error InvalidAddress();
    error MachineNotBonded();
    error MachineNotFound();
    error NotMachineOwner();
    error RecipientMustBeMachineOwner();

    function initialize(address _identityRegistry, address _identityStaking, address _owner) external initializer {
        if (_owner == address(0)) revert OwnableInvalidOwner(_owner);
        setOwner(_owner);
        setRegistry(_identityRegistry);
        setStaking(_identityStaking);
    }

    function mint(uint256 machineId, address recipient) external whenNotPaused {
        if (recipient == address(0)) revert InvalidAddress();
        (address machineOwner, bool known) = registry.getOwnerIfExists(machineId);
        if (!known) revert MachineNotFound();
        bool isOwner = msg.sender == machineOwner;
        if (!isOwner && msg.sender != registry.operatorOf(machineId)) revert NotMachineOwner();
        if (!isOwner && recipient != machineOwner) revert RecipientMustBeMachineOwner();
        if (!staking.isStaked(machineId)) revert MachineNotBonded();
        if (tokenIdOf[machineId] != 0) revert AlreadyMinted();
        uint256 tokenId = ++totalMinted;
        tokenIdOf[machineId] = tokenId;
        machineIdOf[tokenId] = machineId;
        give(tokenId, recipient);
        emit MachineMinted(tokenId, machineId, recipient);
    }

    function setIdentityRegistry(address _registry) external onlyOwner {
        setRegistry(_registry);
    }

    function setIdentityStaking(address _staking) external onlyOwner {
        setStaking(_staking);
    }

    function setBaseURI(string calldata _baseURI) external onlyOwner {
        base = _baseURI;
        emit BaseURISet(_baseURI);
    }

    function setRegistry(address _registry) private {
        if (_registry == address(0)) revert InvalidAddress();
        registry = IRegistry(_registry);
        emit IdentityRegistrySet(_registry);
    }

    function setStaking(address _staking) private {
        if (_staking == address(0)) revert InvalidAddress();
        staking = IBonds(_staking);
        emit IdentityStakingSet(_staking);
    }

    function tokenURI(uint256 tokenId) external view returns (string memory) {
        ownerOf(tokenId);
        return Text.uri(base, tokenId);
    }
}
