"""Expiry rules of buckets: read, plan and write them without touching rules of others."""
