// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import "./Owned.sol";
import "./Text.sol";

interface IStaking {
    function stakeFor(uint256 machineId, address owner_, uint256 amount) external;
}

interface IAttributes {
    struct Attribute {
        bytes name;
        bytes value;
        uint32 validity;
        uint256 created;
    }

    function readAttribute(address didAccount, bytes calldata name) external view returns (Attribute memory);
}

/// Machine identities: a soulbound token per machine, whose number is the machine id.
contract IdentityRegistry is Owned {
    enum Status { None, Pending, Verified, Rejected, Deactivated }

    struct Machine {
        address wallet;
        Status status;
        address operator;
    }

    uint256 public constant MIN_BOND_FLOOR = 0.01 ether;
    string public constant name = "peaqOS Machine Identity";
    string public constant symbol = "PMID";

    uint256 public minBond;
    uint256 public totalMachines;
    mapping(address => uint256) public machineIdOfOwner;
    mapping(uint256 => Machine) private machines;
    address private staking;
    address private wpeaq;
    address private did;
    string private baseURI;

    event Approval(address indexed owner, address indexed approved, uint256 indexed tokenId);
    event ApprovalForAll(address indexed owner, address indexed operator, bool approved);
    event BaseURISet(string newBaseURI);
    event IdentityStakingSet(address indexed staking);
    event MachineDeactivated(uint256 indexed machineId, address indexed owner);
    event MachineReactivated(uint256 indexed machineId, address indexed owner);
    event MachineRejected(uint256 indexed machineId);
    event MachineVerified(uint256 indexed machineId);
    event MinBondChanged(uint256 indexed newMinBond);
    event OperatorSet(uint256 indexed machineId, address indexed operator);
    event Registered(uint256 indexed machineId, string machineURI, address indexed owner);
    event Transfer(address indexed from, address indexed to, uint256 indexed tokenId);
    event WPEAQSet(address indexed wpeaq);

    error AlreadyRegistered();
    error BondBelowFloor();
    error BondNotRequired();
    error ContractNotConfigured();
    error ERC721InvalidOwner(address owner);
    error ERC721NonexistentToken(uint256 tokenId);
    error ETHTransferFailed();
    error IdentityNFTSoulbound();
    error IncorrectBondAmount();
    error InvalidAddress();
    error InvalidMachineAddress();
    error InvalidStatus();
    error MachineNotFound();
    error NotMachineOwner();
    error WalletAlreadyBound(address wallet);

    modifier exists(uint256 machineId) {
        if (!machineExists(machineId)) revert MachineNotFound();
        _;
    }

    function initialize(address initialOwner) external initializer {
        if (initialOwner == address(0)) revert OwnableInvalidOwner(initialOwner);
        setOwner(initialOwner);
        minBond = 1 ether;
    }

    // --- registration

    function register() external payable returns (uint256) {
        return enroll(msg.sender, address(0));
    }

    function registerFor(address machineAddress) external payable returns (uint256) {
        if (machineAddress == address(0)) revert InvalidMachineAddress();
        return enroll(machineAddress, msg.sender);
    }

    function enroll(address wallet, address operator) private returns (uint256 machineId) {
        if (staking == address(0) || wpeaq == address(0) || did == address(0)) revert ContractNotConfigured();
        if (machineIdOfOwner[wallet] != 0) revert AlreadyRegistered();
        if (minBond == 0 && msg.value != 0) revert BondNotRequired();
        if (msg.value != minBond) revert IncorrectBondAmount();
        machineId = ++totalMachines;
        machineIdOfOwner[wallet] = machineId;
        machines[machineId] = Machine(wallet, Status.Pending, operator);
        emit Transfer(address(0), wallet, machineId);
        bond(machineId, wallet);
        emit Registered(machineId, Text.uri(baseURI, machineId), wallet);
        if (operator != address(0)) emit OperatorSet(machineId, operator);
    }

    function bond(uint256 machineId, address wallet) private {
        if (msg.value == 0) return;
        (bool paid,) = staking.call{value: msg.value}("");
        if (!paid) revert ETHTransferFailed();
        IStaking(staking).stakeFor(machineId, wallet, msg.value);
    }

    // --- status

    function deactivateMachine(uint256 machineId) external exists(machineId) {
        if (machines[machineId].wallet != msg.sender) revert NotMachineOwner();
        if (isDeactivated(machineId)) revert InvalidStatus();
        machines[machineId].status = Status.Deactivated;
        emit MachineDeactivated(machineId, msg.sender);
    }

    function reactivateMachine(uint256 machineId) external exists(machineId) {
        if (machines[machineId].wallet != msg.sender) revert NotMachineOwner();
        if (!isDeactivated(machineId)) revert InvalidStatus();
        machines[machineId].status = Status.Pending;
        emit MachineReactivated(machineId, msg.sender);
    }

    function verifyMachine(uint256 machineId) external onlyOwner exists(machineId) {
        judge(machineId, Status.Verified);
        emit MachineVerified(machineId);
    }

    function rejectMachine(uint256 machineId) external onlyOwner exists(machineId) {
        judge(machineId, Status.Rejected);
        emit MachineRejected(machineId);
    }

    function judge(uint256 machineId, Status verdict) private {
        Status now_ = machines[machineId].status;
        if (now_ == verdict || now_ == Status.Deactivated) revert InvalidStatus();
        machines[machineId].status = verdict;
    }

    // --- settings

    /// Zero switches the bond off; anything else keeps to the floor.
    function setMinBond(uint256 _minBond) external onlyOwner {
        if (_minBond != 0 && _minBond < MIN_BOND_FLOOR) revert BondBelowFloor();
        minBond = _minBond;
        emit MinBondChanged(_minBond);
    }

    function setIdentityStaking(address _staking) external onlyOwner {
        if (_staking == address(0)) revert InvalidAddress();
        staking = _staking;
        emit IdentityStakingSet(_staking);
    }

    function setWPEAQ(address _wpeaq) external onlyOwner {
        if (_wpeaq == address(0)) revert InvalidAddress();
        wpeaq = _wpeaq;
        emit WPEAQSet(_wpeaq);
    }

    function setDIDPrecompile(address _did) external onlyOwner {
        if (_did == address(0)) revert InvalidAddress();
        did = _did;
    }

    function setBaseURI(string calldata newBaseURI) external onlyOwner {
        baseURI = newBaseURI;
        emit BaseURISet(newBaseURI);
    }

    function rescueETH(address to, uint256 amount) external onlyOwner {
        (bool sent,) = to.call{value: amount}("");
        if (!sent) revert ETHTransferFailed();
    }

    // --- reads: an unknown id answers with zeros, except where ERC-721 demands a revert

    function machineExists(uint256 machineId) public view returns (bool) {
        return machines[machineId].wallet != address(0);
    }

    function getVerificationInfo(uint256 machineId)
        external
        view
        returns (address owner_, address wallet_, bool exists_, uint8 status_)
    {
        Machine storage machine = machines[machineId];
        return (machine.wallet, machine.wallet, machine.wallet != address(0), uint8(machine.status));
    }

    function getOwnerIfExists(uint256 machineId) external view returns (address owner_, bool exists_) {
        return (machines[machineId].wallet, machineExists(machineId));
    }

    function machineWalletOf(uint256 machineId) external view returns (address) {
        return machines[machineId].wallet;
    }

    function operatorOf(uint256 machineId) external view returns (address) {
        return machines[machineId].operator;
    }

    function machineStatus(uint256 machineId) external view returns (uint8) {
        return uint8(machines[machineId].status);
    }

    function getMachineStatus(uint256 machineId) external view returns (uint8) {
        return uint8(machines[machineId].status);
    }

    function isVerified(uint256 machineId) external view returns (bool) {
        return machines[machineId].status == Status.Verified;
    }

    function isDeactivated(uint256 machineId) public view returns (bool) {
        return machines[machineId].status == Status.Deactivated;
    }

    function verifyOwnership(uint256 machineId, address claimedOwner) external view returns (bool) {
        return machineExists(machineId) && machines[machineId].wallet == claimedOwner;
    }

    function isAuthorizedOrOwner(address caller, uint256 machineId) external view returns (bool) {
        Machine storage machine = machines[machineId];
        return caller != address(0) && (caller == machine.wallet || caller == machine.operator);
    }

    function getDIDPrecompile() external view returns (address) {
        return did;
    }

    function getMetadata(uint256 machineId, string calldata key)
        external
        view
        exists(machineId)
        returns (bytes memory)
    {
        try IAttributes(did).readAttribute(machines[machineId].wallet, bytes(key)) returns (
            IAttributes.Attribute memory found
        ) {
            return found.value;
        } catch {
            return "";
        }
    }

    // --- ERC-721, soulbound

    function balanceOf(address owner_) external view returns (uint256) {
        if (owner_ == address(0)) revert ERC721InvalidOwner(owner_);
        return machineIdOfOwner[owner_] == 0 ? 0 : 1;
    }

    function ownerOf(uint256 tokenId) public view returns (address) {
        if (!machineExists(tokenId)) revert ERC721NonexistentToken(tokenId);
        return machines[tokenId].wallet;
    }

    function tokenURI(uint256 machineId) external view returns (string memory) {
        ownerOf(machineId);
        return Text.uri(baseURI, machineId);
    }

    function getApproved(uint256 tokenId) external view returns (address) {
        ownerOf(tokenId);
        return address(0);
    }

    function isApprovedForAll(address, address) external pure returns (bool) {
        return false;
    }

    function approve(address, uint256) external pure {
        revert IdentityNFTSoulbound();
    }

    function setApprovalForAll(address, bool) external pure {
        revert IdentityNFTSoulbound();
    }

    function transferFrom(address, address, uint256) external pure {
        revert IdentityNFTSoulbound();
    }

    function safeTransferFrom(address, address, uint256) external pure {
        revert IdentityNFTSoulbound();
    }

    function safeTransferFrom(address, address, uint256, bytes calldata) external pure {
        revert IdentityNFTSoulbound();
    }

    function supportsInterface(bytes4 interfaceId) external pure returns (bool) {
        return interfaceId == 0x01ffc9a7 || interfaceId == 0x80ac58cd || interfaceId == 0x5b5e139f;
    }
}
