"""Failures: payloads that cannot be decoded, and how Temporal learns of them."""
