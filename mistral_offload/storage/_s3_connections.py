"""One urllib3 pool for all requests of an S3 store, its boto3 client's included.

Imported where a client is created, so that importing a store imports no SDK.
"""

from __future__ import annotations

import io
import os
import socket
import ssl
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import unquote, urlsplit

import urllib3
from botocore import exceptions
from botocore.awsrequest import AWSResponse
from botocore.httpsession import get_cert_path, mask_proxy_url
from botocore.utils import get_environ_proxies
from urllib3.util.ssl_ import create_urllib3_context

from mistral_offload._http_environment import check_proxy
from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import StorageConfigError
from mistral_offload.storage._http_connections import POOLS, socket_options
from mistral_offload.storage._s3_responses import require_document

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest
    from mypy_boto3_s3 import S3Client
    from urllib3 import HTTPConnectionPool
    from urllib3.response import BaseHTTPResponse

Body = bytes | memoryview | IO[bytes] | None
Responder = Callable[["AWSPreparedRequest"], "AWSResponse | None"]

_PROXY_HOST_HEADER = "BOTO_EXPERIMENTAL__ADD_PROXY_HOST_HEADER"
_NO_RETRIES = urllib3.Retry(False)
DEFAULT_PORTS = {"http": 80, "https": 443}


class Connections:
    """Sends requests over one pool, with the timeouts, proxy and CA bundle of a boto3 client.

    Failures are raised as the exceptions of botocore that its own session would raise. No retries,
    no redirects, no decoding of content. Safe to share between threads.

    Args:
        proxies: proxy URLs by scheme; they may contain credentials.
        config: timeouts, the number of connections kept open, and the CA bundle.
    """

    def __init__(self, proxies: Mapping[str, str], config: BlobStorageConfig) -> None:
        self._proxies = {name: _with_scheme(url) for name, url in proxies.items()}
        self._config = config
        self._managers: dict[str, urllib3.PoolManager] = {}
        self._pools: dict[tuple[str, str], HTTPConnectionPool] = {}
        self._lock = threading.Lock()
        self._thread = threading.local()

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str | bytes],
        body: Body = None,
        *,
        chunked: bool = False,
    ) -> BaseHTTPResponse:
        """Send a request; return the response with its body still to be read."""
        scheme, netloc, target = _split(url)
        proxy = self._proxies.get(scheme)
        if proxy and scheme == "http":
            target = url
        pool = self._pools.get((scheme, netloc)) or self._open_pool(scheme, netloc, proxy)
        with as_botocore_errors(url, proxy):
            return pool.urlopen(
                method,
                target,
                body=cast("Any", body),
                headers=cast("Any", headers),
                retries=_NO_RETRIES,
                redirect=False,
                assert_same_host=False,
                preload_content=False,
                decode_content=False,
                chunked=chunked,
                enforce_content_length=False,  # checked by StreamingBody
            )

    def respond(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        """Send a request of boto3; the handler of its ``before-send`` event."""
        responder: Responder | None = getattr(self._thread, "responder", None)
        if responder is not None and (given := responder(request)) is not None:
            return given
        encoding = request.headers.get("Transfer-Encoding", b"")
        response = self.send(
            request.method,
            request.url,
            cast("Any", request.headers),
            cast("Any", request.body),
            chunked=encoding in ("chunked", b"chunked"),
        )
        found = AWSResponse(request.url, response.status, cast("Any", response.headers), response)
        if not request.stream_output:
            with as_botocore_errors(request.url):
                read_all(found)
            require_document(request.method, response.status, response.headers, found.content)
        return found

    @contextmanager
    def responding(self, responder: Responder) -> Generator[None]:
        """Give boto3's requests in this thread to a function; it returns None to send one."""
        self._thread.responder = responder
        try:
            yield
        finally:
            self._thread.responder = None

    def close(self) -> None:
        """Close all connections; a later request opens new ones."""
        with self._lock:
            pools = list(self._pools.values())
            self._pools.clear()
            self._managers.clear()
        for pool in pools:
            pool.close()

    def _open_pool(self, scheme: str, netloc: str, proxy: str | None) -> HTTPConnectionPool:
        parts = urlsplit(f"//{netloc}")
        with self._lock:
            manager = self._managers.get(scheme)
            if manager is None:
                manager = self._managers[scheme] = self._open_manager(scheme, proxy)
            pool = manager.connection_from_host(
                parts.hostname, parts.port or DEFAULT_PORTS[scheme], scheme
            )
            self._pools[scheme, netloc] = pool
        return pool

    def _open_manager(self, scheme: str, proxy: str | None) -> urllib3.PoolManager:
        settings: dict[str, Any] = {
            "timeout": urllib3.Timeout(
                connect=self._config.connect_timeout_seconds,
                read=self._config.read_timeout_seconds,
            ),
            "maxsize": self._config.connections,
            "socket_options": socket_options(),
        }
        if scheme == "https" or (proxy or "").startswith("https:"):
            # One context for all connections: boto3 reads the certificates for each of them.
            context = _ssl_context(_ca_file(self._config))
            settings |= {"ssl_context": context, "cert_reqs": "CERT_REQUIRED"}
            if proxy is not None:
                settings["proxy_ssl_context"] = context
        if proxy is None:
            return _pooled(urllib3.PoolManager(**settings))
        parts = urlsplit(proxy)
        headers: dict[str, str] = {}
        if parts.username and parts.password:
            login = f"{unquote(parts.username)}:{unquote(parts.password)}"
            headers = urllib3.make_headers(proxy_basic_auth=login)
        return _pooled(urllib3.ProxyManager(proxy, proxy_headers=headers, **settings))


def _pooled(manager: urllib3.PoolManager) -> urllib3.PoolManager:
    manager.pool_classes_by_scheme = POOLS
    return manager


@contextmanager
def as_botocore_errors(url: str, proxy: str | None = None) -> Generator[None]:
    """Raise urllib3's exceptions as botocore's own session raises them."""
    try:
        yield
    except exceptions.BotoCoreError:
        raise
    except urllib3.exceptions.SSLError as error:
        raise exceptions.SSLError(endpoint_url=url, error=error) from error
    except (urllib3.exceptions.NewConnectionError, socket.gaierror) as error:
        raise exceptions.EndpointConnectionError(endpoint_url=url, error=error) from error
    except urllib3.exceptions.ProxyError as error:
        raise exceptions.ProxyConnectionError(
            proxy_url=mask_proxy_url(proxy or ""), error=error
        ) from error
    except urllib3.exceptions.ConnectTimeoutError as error:
        raise exceptions.ConnectTimeoutError(endpoint_url=url, error=error) from error
    except urllib3.exceptions.ReadTimeoutError as error:
        raise exceptions.ReadTimeoutError(endpoint_url=url, error=error) from error
    except urllib3.exceptions.ProtocolError as error:
        raise exceptions.ConnectionClosedError(endpoint_url=url, error=error) from error
    except Exception as error:
        raise exceptions.HTTPClientError(error=error) from error


def connections_of(client: S3Client, config: BlobStorageConfig) -> Connections | None:
    """Return a pool with the settings of a client; None if it has settings that a pool lacks."""
    settings: Any = client.meta.config
    if settings.proxies_config or settings.client_cert or os.environ.get(_PROXY_HOST_HEADER):
        return None
    proxies = settings.proxies
    if proxies is None:
        server = client.meta.endpoint_url
        proxies = cast("Mapping[str, str]", get_environ_proxies(server))
        if proxy := proxies.get(urlsplit(server).scheme):
            check_proxy(server, proxy, error_class=StorageConfigError)
    return Connections(proxies, config)


class _CAFile(NamedTuple):
    path: str
    setting: str


def _ca_file(config: BlobStorageConfig) -> _CAFile:
    """Return the CA bundle as boto3 finds it: ours, AWS's, that of ``requests``, certifi's."""
    if config.ca_bundle is not None:
        return _CAFile(str(config.ca_bundle), "ca_bundle")
    from botocore.session import Session

    found: str | None = Session(profile=config.profile_name).get_config_variable("ca_bundle")
    if found:
        is_variable = os.environ.get("AWS_CA_BUNDLE") == found
        return _CAFile(found, "AWS_CA_BUNDLE" if is_variable else "ca_bundle of the AWS profile")
    if found := os.environ.get("REQUESTS_CA_BUNDLE"):
        return _CAFile(found, "REQUESTS_CA_BUNDLE")
    return _CAFile(str(get_cert_path(True)), "certifi")


def _ssl_context(ca_file: _CAFile) -> ssl.SSLContext:
    context = create_urllib3_context()
    try:
        context.load_verify_locations(ca_file.path)
    except OSError as error:
        raise StorageConfigError(
            f"the certificates in {ca_file.path!r} ({ca_file.setting}) cannot be read: name a file "
            "with certificates in PEM format, or leave it out"
        ) from error
    return context


def _split(url: str) -> tuple[str, str, str]:
    """Return scheme, host with port, and path with query of a URL that a request is sent to."""
    scheme, _, rest = url.partition("://")
    netloc, slash, path = rest.partition("/")
    if not slash or "?" in netloc or "#" in path:
        parts = urlsplit(url)
        query = f"?{parts.query}" if parts.query else ""
        return parts.scheme, parts.netloc, f"{parts.path or '/'}{query}"
    return scheme, netloc, f"/{path}"


def _with_scheme(proxy: str) -> str:
    if proxy.startswith(("http:", "https:")):
        return proxy
    return f"http:{proxy}" if proxy.startswith("//") else f"http://{proxy}"


def read_all(response: AWSResponse) -> None:
    """Read the body of a response, which frees its connection."""
    _ = cast("Any", response).content


def empty_response(url: str, headers: Mapping[str, str]) -> AWSResponse:
    """Return a successful response without a body."""
    raw = urllib3.HTTPResponse(io.BytesIO(), headers, 200, preload_content=False)
    return AWSResponse(url, 200, cast("Any", headers), raw)
