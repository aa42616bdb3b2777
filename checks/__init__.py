"""Checks of the project's own rules: `python -m checks`, part of `make check`.

`structure` looks at modules: import circles and names. `language` looks at the words in docstrings,
comments, string literals and pages.
"""
