"""The REST API as data and pure functions; no I/O, so async and sync code share it."""
