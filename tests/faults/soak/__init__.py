"""Many workflows at once while everything goes wrong: their load, the faults, what is counted."""
