"""Payloads leaving a worker: what fits into a message, and what goes to the store."""
