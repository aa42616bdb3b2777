"""The page of environment variables, from the settings of workers and a list of the others."""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel

from codegen.reference.docstrings import inline
from codegen.reference.members import field_default
from mistral_offload import config
from mistral_offload.workflows import WorkerSettings

_GROUPS: dict[str, str] = {
    "storage_config": "BlobStorageConfig",
    "temporal_payload_encryption": "PayloadEncryptionConfig",
    "temporal_payload_compression": "PayloadCompressionConfig",
    "algorithm_config": "ZstdConfig",
    "lost_blobs": "LostBlobConfig",
    "temporal_payload_offloading": "PayloadOffloadingConfig",
    "activity_attributes_offloading": "FieldOffloadingConfig",
}


def variables_page() -> Iterator[str]:
    """Yield the parts of the page."""
    yield (
        "A worker reads these from its environment, and from `.env` in its working directory; "
        "operators' commands read them, too, or from the file of `--config`. Names are in upper or "
        "lower case. `__` separates levels, and a whole group can be one variable with a JSON "
        "object. An empty value or `null` means unset. An unknown variable of a group is an "
        "error; a misspelt group is a warning."
    )
    yield "## Worker"
    top = [(name, info) for name, info in WorkerSettings.model_fields.items() if not _model(info)]
    yield _table((name.upper(), info.default, info.description or "") for name, info in top)
    for name, info in WorkerSettings.model_fields.items():
        if model := _model(info):
            yield f"## `{name.upper()}`"
            yield (
                f"{_sentence(name)} The fields are those of "
                f"[`{_GROUPS[name]}`](settings.md#{_GROUPS[name].lower()})."
            )
            yield _table(_rows(name, model))
    yield "## Client"
    yield (
        "A client takes its settings as arguments. From the environment it reads its key, and "
        "what every HTTP client of a machine shares:"
    )
    yield _named(_CLIENT)
    yield (
        "Credentials of a store that are left out come from the variables of its provider, such as "
        "`AWS_PROFILE`, `AZURE_CLIENT_ID` and `GOOGLE_APPLICATION_CREDENTIALS`; see "
        "[stores](../storage.md)."
    )
    yield "## Commands and processes"
    yield _named(_PROCESS)


def _sentence(name: str) -> str:
    return {
        "temporal_payload_offloading": "Offloading of whole payloads; on when "
        "`…__STORAGE_CONFIG__…` is set.",
        "activity_attributes_offloading": "Offloading of [activity fields](../activity-fields.md); "
        "on when `…__STORAGE_CONFIG__…` is set.",
        "temporal_payload_encryption": "[Encryption](../encryption.md); on when a variable is set.",
        "temporal_payload_compression": "Compression; on when a variable is set.",
        "lost_blobs": "Conditions under which an execution ends because a blob is missing.",
    }[name]


def _rows(prefix: str, model: type[BaseModel]) -> Iterator[tuple[str, object, str]]:
    kind: type[BaseModel] = getattr(config, _GROUPS[prefix.rpartition("__")[2].lower()])
    for name, info in model.model_fields.items():
        variable = f"{prefix}__{name}".upper()
        inner = _model(info)
        if inner is not None and name in _GROUPS:
            yield from _rows(f"{prefix}__{name}".upper(), inner)
        else:
            described = kind.model_fields.get(name, info)
            yield variable, described.default, described.description or ""


def _model(info: Any) -> type[BaseModel] | None:
    annotation = info.annotation
    is_union = get_origin(annotation) in (Union, UnionType)
    for kind in get_args(annotation) if is_union else (annotation,):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def _table(rows: Iterator[tuple[str, object, str]]) -> str:
    lines = ["| variable | default | meaning |", "| --- | --- | --- |"]
    for name, value, meaning in rows:
        shown = "–" if type(value).__name__ == "PydanticUndefinedType" else field_default(value)
        lines.append(f"| `{name}` | {shown} | {inline(meaning)} |")
    return "\n".join(lines)


def _named(rows: dict[str, str]) -> str:
    lines = ["| variable | meaning |", "| --- | --- |"]
    return "\n".join([*lines, *(f"| `{name}` | {meaning} |" for name, meaning in rows.items())])


_CLIENT = {
    "MISTRAL_API_KEY": "the API key, if none is given as an argument",
    "MISTRAL_SA_TOKEN_PATH": "a file with the key, read for every request; takes precedence over "
    "`MISTRAL_API_KEY`",
    "HTTP_PROXY": "proxy for `http://` addresses; also `HTTPS_PROXY`, `ALL_PROXY`, and `NO_PROXY` "
    "for the exceptions, in either case of letters",
    "SSL_CERT_FILE": "file with the certificates to trust; `SSL_CERT_DIR` names a directory",
    "REQUESTS_CA_BUNDLE": "the same for the requests of the S3, Azure and Google stores; S3 reads "
    "`AWS_CA_BUNDLE` first, and `CURL_CA_BUNDLE` comes last",
    "SSLKEYLOGFILE": "file to which Python writes the keys of TLS connections, for debugging",
    "STORAGE_EMULATOR_HOST": "address of an emulator of Google Cloud Storage",
}

_PROCESS = {
    "MISTRAL_OFFLOAD_CODEC_TOKEN": "token of the [codec server](../codec-server.md)",
    "MISTRAL_OFFLOAD_OFFICIAL": "`off` switches the engine off [inside the official "
    "worker](../official-worker.md)",
    "MISTRAL_OFFLOAD_ENCRYPT_BLOBS": "inside the official worker: encrypt offloaded payloads too",
    "MISTRAL_OFFLOAD_ALLOW_OTHER_NAMESPACES": "inside the official worker: let it read blobs of "
    "every namespace",
    "MISTRAL_OFFLOAD_MAX_DECOMPRESSED_BYTES": "inside the official worker: the size that a "
    "compressed payload may unpack to",
    "MISTRAL_OFFLOAD_…": "inside the official worker: the other fields of "
    "[`BlobStorageConfig`](settings.md#blobstorageconfig), for all stores, for example "
    "`MISTRAL_OFFLOAD_CACHE_DIRECTORY`",
}
"""Variables that are no fields of the settings; a test compares these lists with the code."""
