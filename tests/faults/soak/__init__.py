"""The soak: many concurrent workflows under random faults, with its load, faults and counts."""
