// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// Code where clients look for some, and nothing behind it.
contract Placeholder {}
