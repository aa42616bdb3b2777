"""Files of any size in the store, written and read in chunks."""

import sys


def may_hold_files() -> bool:
    """Return False if no value can contain an ``OffloadableFile``: the class is not imported.

    So a program without files does not pay for the search in its values.
    """
    return f"{__name__}.file" in sys.modules
