"""Everything that waits, in one colour; the other is generated from it."""
