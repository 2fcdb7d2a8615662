"""Machine Markets: records, policies, pairings, tokens and runtime endpoints. One file a kind."""
