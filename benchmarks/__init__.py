"""What things cost; every module is a command: ``python -m benchmarks.payload_steps``."""
