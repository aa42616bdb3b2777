"""Failures: lost payloads, their conversion for Temporal, and terminations."""
