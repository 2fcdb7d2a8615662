"""The v2 protocol on chain: machines that are tokens, their DID documents, subscriptions and bonds. One file a kind."""
