"""Outgoing payloads of workers: message sizes, and the choice of payloads to offload."""
