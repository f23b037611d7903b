"""How long the work takes, beside two baselines of the same work: `python -m benchmarks`."""
