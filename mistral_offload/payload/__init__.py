"""Encoding of values to payload bytes and back: envelopes, references and transforms."""
