"""Chromium and its driver from Debian's packages, installed on first use."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers.process import ServerFailedError
from tests.time_limits import clock_stopped

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

_PACKAGES = ("chromium", "chromium-driver", "fonts-dejavu-core")
_INSTALL_SECONDS = 300
_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # root cannot use the sandbox
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # The browser must not send requests outside this machine.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1300,900",
)


@contextmanager
def open_browser() -> Iterator[Chrome]:
    """Open a headless browser with its own profile."""
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    _install()
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        options = ChromeOptions()
        options.binary_location = str(shutil.which("chromium"))
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        browser = Chrome(options, Service(shutil.which("chromedriver")))
        try:
            yield browser
        finally:
            browser.quit()


def _install() -> None:
    """Install missing packages; parallel test processes take turns."""
    lock_file = Path(tempfile.gettempdir()) / "mistral-offload-chromium.lock"
    with clock_stopped(), lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if shutil.which("chromium") and shutil.which("chromedriver"):
            return
        for command in (["update"], ["install", "-y", "--no-install-recommends", *_PACKAGES]):
            _run(["apt-get", "-qq", *command])


def _run(command: list[str]) -> None:
    advice = f"install them by hand:  apt-get install {' '.join(_PACKAGES)}"
    if shutil.which(command[0]) is None or os.geteuid() != 0:
        raise ServerFailedError(
            f"the browser tests need chromium and chromedriver on the PATH; {advice}"
        )
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    environment.pop("SSL_CERT_DIR", None)  # its value in tests names no certificates
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=_INSTALL_SECONDS, env=environment
    )
    if ended.returncode != 0:
        raise ServerFailedError(f"{' '.join(command)} failed; {advice}\n{ended.stderr}")
