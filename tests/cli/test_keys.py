"""``mistral-offload keys``."""

from __future__ import annotations

import pytest

from mistral_offload import PayloadEncryptionConfig

from .command import call_command


@pytest.mark.parametrize(("options", "size"), [((), 32), (("--bits", "192"), 24)])
def test_a_new_key_is_usable_and_new(options: tuple[str, ...], size: int) -> None:
    printed = []
    for _ in range(2):
        ended = call_command("keys", "new", *options)
        assert (ended.returncode, ended.stderr) == (0, "")
        printed.append(ended.stdout.removesuffix("\n"))
    assert len(set(printed)) == 2
    config = PayloadEncryptionConfig(mode="full", main_key=printed[0])
    assert len(config.keys[0]) == size


def test_another_size_is_refused() -> None:
    ended = call_command("keys", "new", "--bits", "100")
    assert ended.returncode == 2
    assert ended.stdout == ""
