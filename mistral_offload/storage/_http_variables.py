"""The proxy and certificate variables that ``requests`` reads, for Azure and Google.

Imported where a client is created, so that importing a store imports no SDK.
"""

from __future__ import annotations

import os
import ssl
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit
from urllib.request import getproxies, getproxies_environment

from requests import Session
from requests.sessions import merge_setting
from requests.utils import get_environ_proxies, select_proxy

from mistral_offload._http_environment import check_proxy
from mistral_offload.errors import StorageConfigError

_SOCKS_SCHEMES = ("socks4", "socks4a", "socks5", "socks5h")
_CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")

if TYPE_CHECKING:
    _Base = Session
else:
    _Base = object


class ReadsVariables(_Base):
    """Applies the variables to each request, as every session of ``requests`` does.

    ``requests`` itself decodes all variables of the process twice for each request, to find those
    of proxies: 0.1 to 0.2 ms. Here it does so only if there are any.
    """

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        """Return the settings of one request."""
        if proxies or not self.trust_env or _may_have_proxies():
            return super().merge_environment_settings(url, proxies, stream, verify, cert)
        if verify is True or verify is None:
            verify = next(filter(None, map(os.environ.get, _CERTIFICATES)), verify)
        settings = {"proxies": proxies, "stream": stream, "verify": verify, "cert": cert}
        merge = cast("Any", merge_setting)
        return {name: merge(value, getattr(self, name)) for name, value in settings.items()}


class VariablesSession(ReadsVariables, Session):
    """A plain session."""


def _may_have_proxies() -> bool:
    """Return False if no variable, and no setting of the system, names a proxy."""
    if getproxies is not getproxies_environment:  # Windows and macOS have other places
        return True
    return any(name[-6:].lower() == "_proxy" for name in os.environ)


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
