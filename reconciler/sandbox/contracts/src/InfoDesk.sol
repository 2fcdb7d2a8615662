// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import "./Owned.sol";

/// Where the v2 contracts find one another, and what they agree on. USD have 18 decimals.
contract InfoDesk is Owned {
    mapping(bytes32 => address) public peer;
    mapping(uint8 => uint256) public tierPriceUsd;
    address public peaqToken;
    uint64 public subscriptionPeriodLength;
    uint64 public graceDuration;
    uint64 public runoffDuration;
    uint16 public localChainId;

    /// USD per PEAQ, 0 for none. On peaq an oracle of its own knows it.
    uint256 public peaqPriceUsd;

    event GraceDurationSet(uint64 value);
    event LocalChainIdSet(uint16 value);
    event PeaqTokenSet(address indexed addr);
    event PeerSet(bytes32 indexed key, address indexed addr);
    event RunoffDurationSet(uint64 value);
    event SubscriptionPeriodLengthSet(uint64 value);
    event TierPriceUsdSet(uint8 indexed tier, uint256 usdPrice);

    function initialize(address _owner) external initializer {
        setOwner(_owner);
    }

    function setPeer(bytes32 key, address addr) external onlyOwner {
        peer[key] = addr;
        emit PeerSet(key, addr);
    }

    function setPeaqToken(address addr) external onlyOwner {
        peaqToken = addr;
        emit PeaqTokenSet(addr);
    }

    function setTierPriceUsd(uint8 tier, uint256 usdPrice) external onlyOwner {
        tierPriceUsd[tier] = usdPrice;
        emit TierPriceUsdSet(tier, usdPrice);
    }

    function setSubscriptionPeriodLength(uint64 value) external onlyOwner {
        subscriptionPeriodLength = value;
        emit SubscriptionPeriodLengthSet(value);
    }

    function setGraceDuration(uint64 value) external onlyOwner {
        graceDuration = value;
        emit GraceDurationSet(value);
    }

    function setRunoffDuration(uint64 value) external onlyOwner {
        runoffDuration = value;
        emit RunoffDurationSet(value);
    }

    function setLocalChainId(uint16 value) external onlyOwner {
        localChainId = value;
        emit LocalChainIdSet(value);
    }

    function setPeaqPriceUsd(uint256 usdPrice) external onlyOwner {
        peaqPriceUsd = usdPrice;
    }
}
