"""What to do about an error of ours, where its own words do not say all of it."""

from __future__ import annotations

from mistral_offload.errors import (
    APIConnectionError,
    AuthenticationError,
    ContainerNotFoundError,
    MissingExtraError,
    MistralOffloadError,
    PermissionDeniedError,
    ServerError,
    StorageAccessDeniedError,
    StorageUnavailableError,
)

_REMEDIES: tuple[tuple[type[MistralOffloadError], str], ...] = (
    (AuthenticationError, "give a valid MISTRAL_API_KEY, or a file in MISTRAL_SA_TOKEN_PATH"),
    (PermissionDeniedError, "let the key's workspace use workflows, or give another key"),
    (ServerError, "wait, and look at the platform's status page"),
    (APIConnectionError, "look at SERVER_URL, the network, and HTTPS_PROXY"),
)


def remedy_for(error: MistralOffloadError, *, variables: str | None = None) -> str | None:
    """What to do about an error; None where its message says it.

    Args:
        error: what was raised.
        variables: what the names of the store's variables begin with, if it is about a store.
    """
    if isinstance(error, MissingExtraError):
        return f'pip install "mistral-offload[{error.extra}]"'
    if variables is not None:
        return _remedy_for_store(error, variables)
    return next((remedy for kind, remedy in _REMEDIES if isinstance(error, kind)), None)


def _remedy_for_store(error: MistralOffloadError, variables: str) -> str:
    if isinstance(error, ContainerNotFoundError):
        return f"create {error.container!r}, or mend the {variables}__… variables"
    if isinstance(error, StorageAccessDeniedError):
        return (
            f"mend the credentials ({variables}__…, or the provider's own chain), or give them the "
            "permissions of docs/storage.md"
        )
    if isinstance(error, StorageUnavailableError):
        return f"look at the network, the endpoint in {variables}__…, and HTTPS_PROXY"
    return f"mend the {variables}__… variables"
