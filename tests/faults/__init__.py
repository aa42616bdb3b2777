"""Faults between this package and real servers; ``make faults`` prints a table of outcomes."""
