"""The v1 protocol on chain: identities, NFTs, wallets and DID attributes. One file a kind."""
