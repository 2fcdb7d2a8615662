// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import "./Owned.sol";
import "./Text.sol";

interface IRegistry {
    function getOwnerIfExists(uint256 machineId) external view returns (address owner_, bool exists_);
    function operatorOf(uint256 machineId) external view returns (address);
}

interface IBonds {
    function isStaked(uint256 machineId) external view returns (bool);
}

interface IReceiver {
    function onERC721Received(address operator, address from, uint256 tokenId, bytes calldata data)
        external
        returns (bytes4);
}

/// One transferable token per machine, numbered on its own.
contract MachineNFT is Pausable {
    string public constant name = "peaq Machine NFT";
    string public constant symbol = "MNFT";

    uint256 public totalMinted;
    mapping(uint256 => uint256) public tokenIdOf;
    mapping(uint256 => uint256) public machineIdOf;
    mapping(uint256 => address) private holders;
    mapping(address => uint256) private balances;
    mapping(uint256 => address) private approvals;
    mapping(address => mapping(address => bool)) public isApprovedForAll;
    IRegistry private registry;
    IBonds private staking;
    string private base;

    event Approval(address indexed owner, address indexed approved, uint256 indexed tokenId);
    event ApprovalForAll(address indexed owner, address indexed operator, bool approved);
    event BaseURISet(string baseURI);
    event IdentityRegistrySet(address indexed registry);
    event IdentityStakingSet(address indexed staking);
    event MachineMinted(uint256 indexed tokenId, uint256 indexed machineId, address indexed recipient);
    event Transfer(address indexed from, address indexed to, uint256 indexed tokenId);

    error AlreadyMinted();
    error ERC721IncorrectOwner(address sender, uint256 tokenId, address owner);
    error ERC721InsufficientApproval(address operator, uint256 tokenId);
    error ERC721InvalidApprover(address approver);
    error ERC721InvalidOperator(address operator);
    error ERC721InvalidOwner(address owner);
    error ERC721InvalidReceiver(address receiver);
    error ERC721NonexistentToken(uint256 tokenId);
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
        holders[tokenId] = recipient;
        balances[recipient]++;
        emit Transfer(address(0), recipient, tokenId);
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

    // --- ERC-721

    function balanceOf(address owner_) external view returns (uint256) {
        if (owner_ == address(0)) revert ERC721InvalidOwner(owner_);
        return balances[owner_];
    }

    function ownerOf(uint256 tokenId) public view returns (address holder) {
        holder = holders[tokenId];
        if (holder == address(0)) revert ERC721NonexistentToken(tokenId);
    }

    function tokenURI(uint256 tokenId) external view returns (string memory) {
        ownerOf(tokenId);
        return Text.uri(base, tokenId);
    }

    function getApproved(uint256 tokenId) external view returns (address) {
        ownerOf(tokenId);
        return approvals[tokenId];
    }

    function approve(address to, uint256 tokenId) external {
        address holder = ownerOf(tokenId);
        if (msg.sender != holder && !isApprovedForAll[holder][msg.sender]) revert ERC721InvalidApprover(msg.sender);
        approvals[tokenId] = to;
        emit Approval(holder, to, tokenId);
    }

    function setApprovalForAll(address operator, bool approved) external {
        if (operator == address(0)) revert ERC721InvalidOperator(operator);
        isApprovedForAll[msg.sender][operator] = approved;
        emit ApprovalForAll(msg.sender, operator, approved);
    }

    function transferFrom(address from, address to, uint256 tokenId) public {
        if (to == address(0)) revert ERC721InvalidReceiver(to);
        address holder = ownerOf(tokenId);
        bool allowed =
            msg.sender == holder || isApprovedForAll[holder][msg.sender] || approvals[tokenId] == msg.sender;
        if (!allowed) revert ERC721InsufficientApproval(msg.sender, tokenId);
        if (holder != from) revert ERC721IncorrectOwner(from, tokenId, holder);
        delete approvals[tokenId];
        balances[from]--;
        balances[to]++;
        holders[tokenId] = to;
        emit Transfer(from, to, tokenId);
    }

    function safeTransferFrom(address from, address to, uint256 tokenId) external {
        safeTransferFrom(from, to, tokenId, "");
    }

    function safeTransferFrom(address from, address to, uint256 tokenId, bytes memory data) public {
        transferFrom(from, to, tokenId);
        // 23 bytes is a delegated account, not a contract.
        if (to.code.length == 0 || to.code.length == 23) return;
        try IReceiver(to).onERC721Received(msg.sender, from, tokenId, data) returns (bytes4 answer) {
            if (answer != IReceiver.onERC721Received.selector) revert ERC721InvalidReceiver(to);
        } catch {
            revert ERC721InvalidReceiver(to);
        }
    }

    function supportsInterface(bytes4 interfaceId) external pure returns (bool) {
        return interfaceId == 0x01ffc9a7 || interfaceId == 0x80ac58cd || interfaceId == 0x5b5e139f;
    }
}
