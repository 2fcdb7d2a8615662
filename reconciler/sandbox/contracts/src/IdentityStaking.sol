// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import "./Owned.sol";

/// Bonds per machine, held in the native coin (which is what WPEAQ shows on peaq). There is no way out: bonds are permanent.
contract IdentityStaking is Pausable {
    struct Stake {
        uint256 amount;
        uint8 status;
        uint32 slashCount;
        uint64 unstakeRequestTime;
    }

    uint8 private constant ACTIVE = 1;

    address public stakingToken;
    uint256 public totalStaked;
    mapping(address => bool) public isAuthorized;
    mapping(uint256 => Stake) private stakes;

    event Authorized(address indexed addr);
    event Revoked(address indexed addr);
    event Staked(uint256 indexed machineId, address indexed owner, uint256 amount);

    error AlreadyStaked();
    error AmountZero();
    error InvalidAddress();
    error NotAuthorized();
    error SafeERC20FailedOperation(address token);

    function initialize(address _stakingToken, address _owner) external initializer {
        if (_stakingToken == address(0)) revert InvalidAddress();
        if (_owner == address(0)) revert OwnableInvalidOwner(_owner);
        stakingToken = _stakingToken;
        setOwner(_owner);
    }

    /// The registry sends the coins first and then says whose they are.
    receive() external payable {
        if (!isAuthorized[msg.sender]) revert NotAuthorized();
    }

    function authorize(address addr) external onlyOwner {
        if (addr == address(0)) revert InvalidAddress();
        isAuthorized[addr] = true;
        emit Authorized(addr);
    }

    function revoke(address addr) external onlyOwner {
        isAuthorized[addr] = false;
        emit Revoked(addr);
    }

    function stakeFor(uint256 machineId, address owner_, uint256 amount) external whenNotPaused {
        if (!isAuthorized[msg.sender]) revert NotAuthorized();
        if (owner_ == address(0)) revert InvalidAddress();
        if (amount == 0) revert AmountZero();
        if (isStaked(machineId)) revert AlreadyStaked();
        if (address(this).balance < totalStaked + amount) revert SafeERC20FailedOperation(stakingToken);
        stakes[machineId] = Stake(amount, ACTIVE, 0, 0);
        totalStaked += amount;
        emit Staked(machineId, owner_, amount);
    }

    function getStake(uint256 machineId) external view returns (uint256) {
        return stakes[machineId].amount;
    }

    function isStaked(uint256 machineId) public view returns (bool) {
        return stakes[machineId].amount != 0;
    }

    function getStakeInfo(uint256 machineId)
        external
        view
        returns (uint256 amount, uint8 status, uint32 slashCount, uint64 unstakeRequestTime)
    {
        Stake storage stake = stakes[machineId];
        return (stake.amount, stake.status, stake.slashCount, stake.unstakeRequestTime);
    }
}
