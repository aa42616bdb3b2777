"""Checks of the proxy and certificate variables that ``requests`` reads, for Azure and Google.

Imported where a client is created, so that importing a store imports no SDK.
"""

from __future__ import annotations

import os
import ssl
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from requests.utils import get_environ_proxies, select_proxy

from mistral_offload._http_environment import check_proxy
from mistral_offload.errors import StorageConfigError

_SOCKS_SCHEMES = ("socks4", "socks4a", "socks5", "socks5h")
_CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def check_variables(server: str) -> None:
    """Check the variables that requests to a server depend on.

    Raises:
        StorageConfigError: one has a value that cannot be used; it names the variable.
    """
    proxies = cast("dict[str, str]", cast("Any", get_environ_proxies)(server))
    proxy = cast("str | None", cast("Any", select_proxy)(server, proxies))
    if proxy:
        check_proxy(
            server,
            proxy,
            others=_SOCKS_SCHEMES if find_spec("socks") else (),
            error_class=StorageConfigError,
        )
    if urlsplit(server).scheme != "https":
        return
    for name in _CERTIFICATES:
        place = os.environ.get(name)
        if place:
            _check_certificates(name, place)
            return


@lru_cache(maxsize=16)
def _check_certificates(name: str, place: str) -> None:
    try:
        if Path(place).is_dir():
            return
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(place)
    except OSError as error:  # ssl.SSLError is one
        raise StorageConfigError(
            f"{name} names {place!r}, whose certificates cannot be read "
            f"({error.strerror or type(error).__name__}): name a file with certificates in PEM "
            "format, or unset the variable"
        ) from error
