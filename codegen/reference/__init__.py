"""Generates the reference pages of the documentation from the code's signatures and docstrings."""
