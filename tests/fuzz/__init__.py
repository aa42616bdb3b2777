"""What reads foreign bytes, given bytes nobody would send; ``make fuzz`` goes on for longer."""
