"""Files of any size in the store, written and read in chunks."""
