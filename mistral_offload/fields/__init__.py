"""Activity fields: large fields of models are offloaded, one blob per field."""

import sys


def may_hold_fields() -> bool:
    """Return False if no value can contain an ``OffloadableField``: the class is not imported."""
    return f"{__name__}.field" in sys.modules
