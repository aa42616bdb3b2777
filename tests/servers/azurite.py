"""Azurite, the Azure Blob Storage server of the tests, installed by npm on first use."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers.process import ServerFailedError, ServerProcess, accepts_connections, free_ports
from tests.time_limits import clock_stopped

if TYPE_CHECKING:
    from azure.storage.blob import BlobServiceClient

_FOLDER = Path(__file__).parent
_PROGRAM = _FOLDER / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
_INSTALL_SECONDS = 300


class Azurite:
    """A running blob service with one account, all in memory.

    With a certificate it serves https and accepts tokens as well as keys; it checks audience,
    issuer and times of a token, not its signature.

    Attributes:
        url: URL of the account.
        port: the port of ``url``.
        account_key: the well-known key of the only account.
    """

    account_name = "devstoreaccount1"
    account_key = (
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    )

    def __init__(self, certificate: tuple[Path, Path] | None = None) -> None:
        _install()
        self._directory = Path(tempfile.mkdtemp(prefix="azurite-"))
        (self.port,) = free_ports(1)
        scheme = "https" if certificate else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}/{self.account_name}"
        command: list[str | Path] = ["node", _PROGRAM, "--blobHost", "127.0.0.1"]
        command += ["--blobPort", str(self.port), "--silent", "--inMemoryPersistence"]
        # By default it sends telemetry, and refuses clients newer than itself.
        command += ["--disableTelemetry", "--skipApiVersionCheck"]
        if certificate:
            command += ["--oauth", "basic", "--cert", certificate[0], "--key", certificate[1]]
        self._process = ServerProcess(
            command,
            ready=lambda: accepts_connections(self.port),
            timeout=30,
            directory=self._directory,
        )

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._process.pid

    def connection_string(self, *, url: str | None = None, key: str | None = None) -> str:
        """Return a connection string as from the portal; ``url`` replaces the account's URL."""
        return (
            f"DefaultEndpointsProtocol=http;AccountName={self.account_name};"
            f"AccountKey={key or self.account_key};BlobEndpoint={url or self.url};"
        )

    def through(self, address: str) -> str:
        """Return the account's URL at another address, such as a proxy's."""
        return f"{address}/{self.account_name}"

    def client(self) -> BlobServiceClient:
        """Return a plain client to inspect the account; the caller closes it."""
        from azure.storage.blob import BlobServiceClient

        return BlobServiceClient.from_connection_string(self.connection_string())

    def make_container(self) -> str:
        """Create a container with a unique name; return the name."""
        name = f"container-{uuid.uuid4().hex[:12]}"
        with self.client() as client:
            client.create_container(name)
        return name

    def stop(self) -> None:
        """Stop the server and remove its folder."""
        self._process.stop()
        shutil.rmtree(self._directory, ignore_errors=True)


def _install() -> None:
    """Install ``node_modules`` as in the lock file, once for all processes."""
    wanted = hashlib.sha256((_FOLDER / "package-lock.json").read_bytes()).hexdigest()
    installed = _FOLDER / "node_modules" / ".installed"
    lock_file = Path(tempfile.gettempdir()) / f"npm-{wanted[:16]}.lock"
    with clock_stopped(), lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if installed.exists() and installed.read_text() == wanted:
            return
        if shutil.which("npm") is None:
            raise ServerFailedError(
                "the Azure tests run Azurite, which npm installs: install Node.js 20 or later"
            )
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        npm = subprocess.run(
            command, cwd=_FOLDER, capture_output=True, text=True, timeout=_INSTALL_SECONDS
        )
        if npm.returncode != 0:
            raise ServerFailedError(f"npm ci failed in {_FOLDER}:\n{npm.stdout}{npm.stderr}")
        installed.write_text(wanted)
