"""Proxies and certificates that the environment prescribes, read as httpx reads them.

httpx raises errors of many kinds for values it cannot read, none of which names the variable; for
an entry of NO_PROXY it cannot read, it refuses to work at all. Here the error names the variable,
and such an entry is passed over.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpx

from mistral_offload.errors import ConfigurationError

_SCHEMES = ("http", "https", "all")
_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")


def read_proxies() -> Mapping[str, httpx.Proxy | None]:
    """Return the proxy for each pattern of URLs; None means a direct connection.

    Raises:
        ConfigurationError: a variable holds no URL of a proxy that httpx can use.
    """
    found = getproxies()
    no_proxy = [entry.strip() for entry in found.get("no", "").split(",")]
    if "*" in no_proxy:
        return {}
    proxies: dict[str, httpx.Proxy | None] = {}
    for scheme in _SCHEMES:
        if found.get(scheme):
            proxies[f"{scheme}://"] = _proxy(found[scheme], proxy_variable(scheme))
    if proxies:
        proxies.update((pattern, None) for entry in no_proxy if (pattern := _pattern(entry)))
    return proxies


def create_ssl_context() -> ssl.SSLContext:
    """Return a context with the certificates of SSL_CERT_FILE, SSL_CERT_DIR, or httpx's own.

    Raises:
        ConfigurationError: the file or directory that a variable names cannot be used.
    """
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if file:
        return _context("SSL_CERT_FILE", file, cafile=file)
    if folder:
        if not any(Path(each).is_dir() for each in folder.split(os.pathsep)):
            raise ConfigurationError(
                f"SSL_CERT_DIR names {folder!r}, which is not a directory: name one with "
                "certificates, or unset the variable"
            )
        return _context("SSL_CERT_DIR", folder, capath=folder)
    import certifi  # of httpx

    return _context("SSL_CERT_FILE", certifi.where(), cafile=certifi.where())


def proxy_variable(scheme: str) -> str:
    """Return the name of the variable that a proxy for ``http``, ``https`` or ``all`` is from."""
    lower = f"{scheme}_proxy"
    names = [name for name in os.environ if name.lower() == lower and os.environ[name]]
    if not names:
        return f"the system's proxy settings ({scheme})"
    return lower if lower in names else names[0]  # the lower-case one takes precedence


def shown_proxy(url: str) -> str:
    """Return a proxy's URL as it may be shown: scheme, host and port only."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    else:
        if host:
            login = "***@" if "@" in parts.netloc else ""
            return repr(f"{parts.scheme}://{login}{host}" + (f":{port}" if port else ""))
    return "(its value is not shown: it may contain a password)"


def proxy_error(
    variable: str, url: str, error_class: type[ConfigurationError] = ConfigurationError
) -> ConfigurationError:
    """Return the error for a proxy that cannot be used; it shows no password."""
    return error_class(
        f"{variable} is not a proxy that can be used: {shown_proxy(url)}. Set it to "
        "http://host:port, or to socks5://host:port with the packages for SOCKS installed; or "
        "unset it, or list the host in NO_PROXY"
    )


def check_proxy(
    server: str,
    proxy: str,
    *,
    others: Sequence[str] = (),
    error_class: type[ConfigurationError] = ConfigurationError,
) -> None:
    """Check the proxy that the environment prescribes for a server.

    Args:
        server: URL of the server.
        proxy: URL of the proxy; without a scheme, it is an http one.
        others: schemes that are supported beside http and https.
        error_class: class of the error.

    Raises:
        ConfigurationError: it cannot be used; the error names the variable and shows no password.
    """
    url = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parts = urlsplit(url)
        is_usable = bool(parts.hostname) and " " not in url and parts.port != 0
    except ValueError:
        is_usable = False
    else:
        if is_usable and parts.scheme in ("http", "https", *others):
            return
    variable = proxy_variable(urlsplit(server).scheme)
    if variable not in os.environ:
        variable = proxy_variable("all")
    raise proxy_error(variable, url, error_class)


def _proxy(text: str, variable: str) -> httpx.Proxy:
    url = text.strip() if "://" in text else f"http://{text.strip()}"
    try:
        proxy = httpx.Proxy(url)
    except (httpx.InvalidURL, ValueError):
        proxy = None
    if proxy is None or not proxy.url.host or " " in url or proxy.url.scheme not in _PROXY_SCHEMES:
        raise proxy_error(variable, url)
    if proxy.url.scheme.startswith("socks") and find_spec("socksio") is None:
        raise ConfigurationError(
            f"{variable} is a SOCKS proxy, {shown_proxy(url)}, for which a package is not "
            'installed: run  pip install "httpx[socks]"  or set the variable to http://host:port, '
            "or unset it"
        )
    return proxy


def _pattern(entry: str) -> str | None:
    """Return httpx's pattern for an entry of NO_PROXY, or None if httpx cannot read it."""
    host = entry.removeprefix("[").removesuffix("]") if entry.startswith("[") else entry
    if not host:
        return None
    if "://" in host:
        pattern = host
    elif _is_address(host, ipaddress.IPv4Address) or host.lower() == "localhost":
        pattern = f"all://{host}"
    elif _is_address(host, ipaddress.IPv6Address):
        pattern = f"all://[{host}]"
    else:
        pattern = f"all://*{host.lstrip('*')}"
    try:
        httpx.URL(pattern)
    except (httpx.InvalidURL, ValueError):
        return None
    return pattern


def _is_address(host: str, kind: type[ipaddress.IPv4Address | ipaddress.IPv6Address]) -> bool:
    try:
        kind(host.partition("/")[0])
    except ValueError:
        return False
    return True


def _context(
    variable: str, place: str, *, cafile: str | None = None, capath: str | None = None
) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=cafile, capath=capath)
    except OSError as error:  # ssl.SSLError is one
        reason = error.strerror or type(error).__name__
    log = os.environ.get("SSLKEYLOGFILE")
    if log and not os.access(log if os.path.exists(log) else os.path.dirname(log) or ".", os.W_OK):
        raise ConfigurationError(
            f"SSLKEYLOGFILE names {log!r}, which cannot be written: unset it, or name another file"
        )
    raise ConfigurationError(
        f"{variable} names {place!r}, whose certificates cannot be read ({reason}): name a file "
        "with certificates in PEM format, or unset the variable"
    )
