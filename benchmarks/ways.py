"""Compared ways to put and get a blob."""

from __future__ import annotations

import hashlib
from typing import Protocol

import obstore
from botocore.exceptions import ClientError
from obstore.store import S3Store

from benchmarks.servers import Bucket
from mistral_offload.config import BlobStorageConfig, PayloadOffloadingConfig
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.encoded_payload import EncodedPayload
from mistral_offload.payload.encoder import PayloadEncoder


class Transfers(Protocol):
    """One way to put and get."""

    way: str

    def put(self, name: str, data: bytes) -> object:
        """Store a blob under a name that was not used before."""
        ...

    def get(self, name: str) -> bytes:
        """Read a blob that this object has put."""
        ...


class Place(Protocol):
    """A bucket that our way can be configured for."""

    def storage(self, **settings: object) -> BlobStorageConfig:
        """Return its storage config, with further ``settings``."""
        ...


class Ours:
    """`PayloadEncoder.encode` and ``decode``: bytes of JSON to a reference and back.

    Without a cache, unless ``settings`` enable one.
    """

    way = "mistral-offload"

    def __init__(self, bucket: Place, **settings: object) -> None:
        storage = bucket.storage(**{"cache_memory_bytes": 0, **settings})
        self.encoder = PayloadEncoder(PayloadOffloadingConfig(storage_config=storage))
        self._payloads: dict[str, EncodedPayload] = {}

    def put(self, name: str, data: bytes) -> object:
        """Encode the bytes as the payload of an execution."""
        payload = self.encoder.encode(data, PayloadContext("bench", name), offload=True)
        self._payloads[name] = payload
        return payload

    def get(self, name: str) -> bytes:
        """Decode the payload put under this name."""
        return self.encoder.decode(self._payloads[name])

    async def put_async(self, name: str, data: bytes) -> None:
        """Like ``put``, from an event loop."""
        self._payloads[name] = await self.encoder.encode_async(
            data, PayloadContext("bench", name), offload=True
        )

    async def get_async(self, name: str) -> bytes:
        """Like ``get``, from an event loop."""
        return await self.encoder.decode_async(self._payloads[name])


class Pooled:
    """The floor: one boto3 client with its connection pool."""

    way = "boto3, pooled"

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket.name
        self._client = bucket.client()

    def put(self, name: str, data: bytes) -> object:
        """Send one PUT."""
        return self._client.put_object(Bucket=self._bucket, Key=name, Body=data)

    def get(self, name: str) -> bytes:
        """Send one GET."""
        return self._client.get_object(Bucket=self._bucket, Key=name)["Body"].read()


class PooledChecked(Pooled):
    """The floor plus a SHA-256 of the bytes: the least that a checked transfer costs."""

    way = "boto3, pooled + SHA-256"

    def put(self, name: str, data: bytes) -> object:
        """Send one PUT, and compute the digest."""
        return hashlib.sha256(data).digest(), super().put(name, data)

    def get(self, name: str) -> bytes:
        """Send one GET, and compute the digest."""
        data = super().get(name)
        hashlib.sha256(data).digest()
        return data


class Obstore:
    """A peer: obstore, whose requests are made and signed in Rust; it checks no digest."""

    way = "obstore"

    def __init__(self, bucket: Bucket) -> None:
        self._store = S3Store(
            bucket.name,
            endpoint=bucket.endpoint_url,
            region=bucket.region_name,
            access_key_id=bucket.access_key,
            secret_access_key=bucket.secret_key,
            client_options={"allow_http": True},
        )

    def put(self, name: str, data: bytes) -> object:
        """Send one PUT, for a name that does not exist yet."""
        return obstore.put(self._store, name, data, mode="create", use_multipart=False)

    def get(self, name: str) -> bytes:
        """Send one GET."""
        return bytes(obstore.get(self._store, name).bytes())


class Naive:
    """Typical hand-written code: a new session per operation, HEAD first, no cache."""

    way = "boto3, new session + HEAD"

    def __init__(self, bucket: Bucket) -> None:
        self._place = bucket

    def put(self, name: str, data: bytes) -> object:
        """Check for the blob; store it if missing."""
        client = self._place.client()
        try:
            client.head_object(Bucket=self._place.name, Key=name)
        except ClientError:
            client.put_object(Bucket=self._place.name, Key=name, Body=data)
        client.close()
        return None

    def get(self, name: str) -> bytes:
        """Check for the blob; read it."""
        client = self._place.client()
        client.head_object(Bucket=self._place.name, Key=name)
        data = client.get_object(Bucket=self._place.name, Key=name)["Body"].read()
        client.close()
        return data


WAYS: dict[str, type[Ours | Pooled | PooledChecked | Obstore | Naive]] = {
    each.way: each for each in (Ours, Pooled, PooledChecked, Obstore, Naive)
}
