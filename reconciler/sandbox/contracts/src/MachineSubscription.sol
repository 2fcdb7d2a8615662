// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import "./Machines.sol";

interface IToken {
    function transferFrom(address from, address to, uint256 value) external returns (bool);
}

/// A machine's paid time. Bonds stay here. Points are only counted, and a bond does not decay in run-off.
contract MachineSubscription is Wired {
    struct Subscription {
        uint8 tier;
        uint64 periodStart;
        uint64 periodEnd;
        uint256 bondedAmount;
        uint256 accumulatedPoints;
    }

    struct Signal {
        uint8 status;
        uint64 seq;
    }

    uint8 public constant TIER_COUNT = 3;
    uint8 private constant NOT_ACTIVATED = 0;
    uint8 private constant ACTIVE = 1;
    uint8 private constant GRACE = 2;
    uint8 private constant RUNOFF = 3;
    uint8 private constant TERMINATED = 4;

    bool private elsewhere;
    uint256 public totalBondedAmount;
    mapping(address => uint256) public pendingVoucherCredit;
    mapping(address => uint256) public pendingBondingReward;
    mapping(uint256 => Subscription) private kept;
    mapping(uint256 => Signal) public subscriptionSignal;
    uint256 public totalNetworkPoints;
    mapping(uint64 => uint256[]) private due;

    event Activated(
        uint256 indexed machineId,
        address indexed operator,
        uint8 tier,
        uint256 bondedAmount,
        uint64 periodStart,
        uint64 periodEnd
    );
    event BondingRewardRedeemed(uint256 indexed machineId, address indexed operator, uint256 discount);
    event Renewed(
        uint256 indexed machineId, address indexed operator, uint8 tier, uint256 bondedAmount, uint64 periodEnd
    );
    event SubscriptionStatusChanged(
        uint256 indexed machineId,
        address indexed operator,
        uint8 previousStatus,
        uint8 status,
        uint8 tier,
        uint64 periodEnd,
        uint64 seq
    );
    event VoucherRedeemed(uint256 indexed machineId, address indexed operator, uint256 amount);

    error AlreadyActivated();
    error AlreadyTerminated();
    error InvalidTier();
    error NotActivated();
    error PriceNotAvailable();
    error SafeERC20FailedOperation(address token);
    error TechnicallyPaused();
    error TierChangeWhileActive();

    /// The bonds, which are native coins.
    receive() external payable {}

    function onMachineOnboarded(uint256 machineId, address operator, bytes calldata data) external onlyStateAndSync {
        start(machineId, operator, operator, abi.decode(data, (uint8)));
    }

    function activate(uint256 machineId, uint8 tier) external {
        requireOwnerOrController(machineId);
        start(machineId, registry().ownerOf(machineId), msg.sender, tier);
    }

    function renew(uint256 machineId) external {
        extend(machineId, kept[machineId].tier);
    }

    function renew(uint256 machineId, uint8 tier) external {
        bool changes = tier != kept[machineId].tier;
        if (changes && subscriptionStatus(machineId) == ACTIVE) revert TierChangeWhileActive();
        extend(machineId, tier);
    }

    function isEconomicAuthority() external view returns (bool) {
        return !elsewhere;
    }

    function requiredPeaqAmount(uint8 tier) public view returns (uint256) {
        if (tier >= TIER_COUNT) revert InvalidTier();
        uint256 price = infoDesk.peaqPriceUsd();
        if (price == 0) revert PriceNotAvailable();
        return infoDesk.tierPriceUsd(tier) * 1 ether / price;
    }

    /// Entry 1, basic 10, pro 100.
    function tierPoints(uint8 tier) public pure returns (uint256) {
        return 10 ** tier;
    }

    /// How many periods end on that day since 1970.
    function dueBucketLength(uint64 day) external view returns (uint256) {
        return due[day].length;
    }

    function subscriptions(uint256 machineId) external view returns (Subscription memory) {
        return kept[machineId];
    }

    function subscriptionStatus(uint256 machineId) public view returns (uint8) {
        Subscription storage it = kept[machineId];
        if (it.periodStart == 0) return NOT_ACTIVATED;
        uint256 grace = uint256(it.periodEnd) + infoDesk.graceDuration();
        if (block.timestamp < it.periodEnd) return ACTIVE;
        if (block.timestamp < grace) return GRACE;
        return block.timestamp < grace + infoDesk.runoffDuration() ? RUNOFF : TERMINATED;
    }

    // --- switches of the sandbox

    function setEconomicAuthority(bool value) external onlyOwner {
        elsewhere = !value;
    }

    function setVoucherCredit(address operator, uint256 amount) external onlyOwner {
        pendingVoucherCredit[operator] = amount;
    }

    function setBondingReward(address operator, uint256 amount) external onlyOwner {
        pendingBondingReward[operator] = amount;
    }

    /// The machine is left as one that has never had a subscription.
    function forget(uint256 machineId) external onlyOwner {
        delete kept[machineId];
    }

    function start(uint256 machineId, address owner_, address payer, uint8 tier) private unlessRelocating(machineId) {
        requireRunning(machineId);
        Subscription storage it = kept[machineId];
        if (it.periodStart != 0) revert AlreadyActivated();
        uint256 bond = requiredPeaqAmount(tier);
        uint256 credit = min(pendingVoucherCredit[owner_], bond);
        pendingVoucherCredit[owner_] -= credit;
        (it.tier, it.periodStart) = (tier, uint64(block.timestamp));
        it.periodEnd = it.periodStart + infoDesk.subscriptionPeriodLength();
        collect(it, payer, bond, credit);
        note(machineId, owner_, NOT_ACTIVATED);
        if (credit != 0) emit VoucherRedeemed(machineId, owner_, credit);
        emit Activated(machineId, owner_, tier, bond, it.periodStart, it.periodEnd);
    }

    function extend(uint256 machineId, uint8 tier) private unlessRelocating(machineId) {
        requireOwnerOrController(machineId);
        requireRunning(machineId);
        Subscription storage it = kept[machineId];
        if (it.periodStart == 0) revert NotActivated();
        uint8 before = subscriptionStatus(machineId);
        if (before == TERMINATED) revert AlreadyTerminated();
        address owner_ = registry().ownerOf(machineId);
        uint256 bond = requiredPeaqAmount(tier);
        uint256 discount = min(pendingBondingReward[owner_], bond);
        pendingBondingReward[owner_] -= discount;
        it.tier = tier;
        it.periodEnd += infoDesk.subscriptionPeriodLength();
        collect(it, msg.sender, bond, discount);
        note(machineId, owner_, before);
        if (discount != 0) emit BondingRewardRedeemed(machineId, owner_, discount);
        emit Renewed(machineId, owner_, tier, bond, it.periodEnd);
    }

    function collect(Subscription storage it, address payer, uint256 bond, uint256 credit) private {
        it.bondedAmount += bond;
        totalBondedAmount += bond;
        if (bond == credit) return;
        address token = infoDesk.peaqToken();
        bool paid = IToken(token).transferFrom(payer, address(this), bond - credit);
        if (!paid) revert SafeERC20FailedOperation(token);
    }

    /// What the rest of the protocol is told of a new period.
    function note(uint256 machineId, address owner_, uint8 before) private {
        Subscription storage it = kept[machineId];
        uint256 points = tierPoints(it.tier);
        it.accumulatedPoints += points;
        totalNetworkPoints += points;
        due[it.periodEnd / 1 days].push(machineId);
        Signal storage signal = subscriptionSignal[machineId];
        (signal.status, signal.seq) = (ACTIVE, signal.seq + 1);
        emit SubscriptionStatusChanged(machineId, owner_, before, ACTIVE, it.tier, it.periodEnd, signal.seq);
    }

    function requireRunning(uint256 machineId) private view {
        IMachineState state = machineState();
        if (state.isTechnicalPausedGlobal() || state.isTechnicalPaused(machineId)) revert TechnicallyPaused();
    }

    function min(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }
}
