"""Maps errors to remedies, for errors whose message does not already state one."""

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
    (AuthenticationError, "set a valid MISTRAL_API_KEY, or a token file in MISTRAL_SA_TOKEN_PATH"),
    (PermissionDeniedError, "enable workflows for the key's workspace, or set another key"),
    (ServerError, "wait, and check the platform's status page"),
    (APIConnectionError, "the variables are SERVER_URL and HTTPS_PROXY"),
)


def remedy_for(error: MistralOffloadError, *, variables: str | None = None) -> str | None:
    """Return the remedy for an error; None if its message states it.

    Args:
        error: the error that was raised.
        variables: common beginning of the names of the store's variables, for errors of a store.
    """
    if isinstance(error, MissingExtraError):
        return f'pip install "mistral-offload[{error.extra}]"'
    if variables is not None:
        return _remedy_for_store(error, variables)
    return next((remedy for kind, remedy in _REMEDIES if isinstance(error, kind)), None)


def _remedy_for_store(error: MistralOffloadError, variables: str) -> str:
    if isinstance(error, ContainerNotFoundError):
        return f"create {error.container!r}, or fix the {variables}__… variables"
    if isinstance(error, StorageAccessDeniedError):
        return (
            f"fix the credentials ({variables}__…, or the provider's own chain), or grant them the "
            "permissions listed in docs/storage.md"
        )
    if isinstance(error, StorageUnavailableError):
        return f"the variables are {variables}__… and HTTPS_PROXY"
    return f"fix the {variables}__… variables"
