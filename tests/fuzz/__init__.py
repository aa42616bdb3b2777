"""Fuzzing of all readers of untrusted bytes; ``make fuzz`` runs it for longer."""
