"""Benchmarks of costs, each next to a comparison: ``python -m benchmarks``, or ``make bench``."""
