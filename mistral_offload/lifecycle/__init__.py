"""Expiry rules of a bucket: read, planned, and set without touching the rules of others."""
