"""The share of each process of pytest-xdist: whole files, in the order of collection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import LoadFileScheduling

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.workermanage import WorkerController


class FileScheduling(LoadFileScheduling):
    """``--dist loadfile``, in which a test that has ended its process is not run again."""

    def remove_node(self, node: WorkerController) -> str | None:
        """Return the test that ran when a process ended, None where it had none left."""
        units = self.assigned_work[node]
        ended = next((test for unit in units.values() for test in unit if not unit[test]), None)
        for unit in units.values():
            if ended in unit:
                unit[ended] = True
        left = {scope: unit for scope, unit in units.items() if not all(unit.values())}
        self.assigned_work[node] = left
        super().remove_node(node)
        return ended


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FileScheduling | None:
    """Keep the order of the files in ``--dist loadfile``: see ``tests/conftest.py``."""
    if config.option.dist != "loadfile":
        return None
    config.option.loadscopereorder = False
    return FileScheduling(config, log)
