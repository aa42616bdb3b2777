"""Faults between us and real servers, and what becomes of them; ``make faults`` prints a table."""
