"""What things cost, ours beside its comparison: ``python -m benchmarks``, or ``make bench``."""
