"""Listings of servers that are almost S3: complete, or an error; never endless."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from mistral_offload.errors import StorageError
from mistral_offload.storage import BlobStat, MemoryStore
from mistral_offload.storage.listing_guard import ListingGuard
from mistral_offload.storage.store import Page
from tests.servers.almost_s3 import AlmostS3, Fault, Request
from tests.storage.almost import opened

KEYS = [f"k/sha256:{number:03d}" for number in range(10)]


def listing(after: str) -> Fault:
    """Make a server whose pages have no token, and begin after the value of a parameter."""

    def respond(request: Request) -> object:
        if request.operation != "list":
            return False
        return request.list_keys(request.query.get(after, ""), token=False)

    return respond


def ignoring_the_token(request: Request) -> object:
    return request.operation == "list" and request.list_keys("")


def ignoring_everything(request: Request) -> object:
    return request.operation == "list" and request.list_keys("", token=False)


def without_truncation(request: Request) -> object:
    """Serve the first version as the oldest servers do: without IsTruncated."""
    if request.operation != "list":
        return False
    after = request.query.get("start-after", request.query.get("marker", ""))
    return request.list_keys(after, token=False, with_truncation=False)


def naming_a_token_without_a_page(request: Request) -> object:
    return request.operation == "list" and request.respond(
        200, "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"
    )


def without_order(request: Request) -> object:
    """List a folder before the keys beside it, as SeaweedFS does, and give no token."""
    page = "".join(f"<Contents><Key>{key}</Key><Size>1</Size><LastModified>2026-05-04T10:00:00Z"
                   "</LastModified></Contents>" for key in ("k/b/c", "k/a"))  # fmt: skip
    return request.operation == "list" and request.respond(
        200, f"<ListBucketResult><IsTruncated>true</IsTruncated>{page}</ListBucketResult>"
    )


def repeating_an_empty_page(request: Request) -> object:
    return request.operation == "list" and request.respond(
        200,
        "<ListBucketResult><IsTruncated>true</IsTruncated>"
        "<NextContinuationToken>t</NextContinuationToken></ListBucketResult>",
    )


def ignoring_the_prefix(request: Request) -> object:
    if request.operation == "list":
        request.query["prefix"] = ""
        return request.list_keys("")
    return False


@pytest.mark.parametrize(
    ("after", "requests"),
    [
        ("start-after", 4),  # one a page
        ("marker", 7),  # ListObjects after a ListObjectsV2 that knows no key
    ],
)
async def test_a_listing_without_tokens_continues_after_the_last_key(
    after: str, requests: int
) -> None:
    with AlmostS3(listing(after), page_keys=3) as server, opened(server.url) as store:
        server.objects.update(dict.fromkeys(KEYS, b"x"))
        assert [blob.key for blob in store.list("k/")] == KEYS
        assert server.counts()["list"] <= requests
        assert [blob.key async for blob in store.list_async("k/")] == KEYS


def test_a_listing_with_tokens_takes_one_request_a_page() -> None:
    with AlmostS3(page_keys=3) as server, opened(server.url) as store:
        server.objects.update(dict.fromkeys(KEYS, b"x"))
        assert [blob.key for blob in store.list("k/")] == KEYS
        assert server.counts() == {"list": 4}


def test_a_full_page_that_says_nothing_may_not_be_the_last() -> None:
    keys = [f"k/{number:05d}" for number in range(1_500)]
    with AlmostS3(without_truncation) as server, opened(server.url) as store:
        server.objects.update(dict.fromkeys(keys, b"x"))
        assert [blob.key for blob in store.list("k/")] == keys
        assert server.counts() == {"list": 2}


@pytest.mark.parametrize(
    "fault",
    [
        ignoring_the_token,
        ignoring_everything,
        naming_a_token_without_a_page,
        repeating_an_empty_page,
        without_order,
        ignoring_the_prefix,
    ],
)
async def test_a_listing_that_cannot_be_completed_is_an_error(fault: Fault) -> None:
    with AlmostS3(fault, page_keys=3) as server, opened(server.url) as store:
        server.objects.update(dict.fromkeys([*KEYS, "a/other"], b"x"))
        with pytest.raises(StorageError) as failed:
            list(store.list("k/"))
        assert failed.value.container == "b"
        assert server.counts()["list"] <= 3
        with pytest.raises(StorageError):
            [blob.key async for blob in store.list_async("k/")]


class RepeatingStore(MemoryStore):
    """Lists given pages over and over."""

    def __init__(self, pages: list[Page]) -> None:
        super().__init__()
        self._pages = pages
        self.listed = 0

    def _list_page(self, prefix: str, token: str | None) -> Page:
        page = self._pages[self.listed % len(self._pages)]
        self.listed += 1
        return page


def page(keys: list[str], token: str) -> Page:
    with MemoryStore() as store:
        modified = store.now()
    return Page([BlobStat(key, 1, modified) for key in keys], token)


@pytest.mark.parametrize(
    "pages",
    [
        [page(["a"], "1")],
        [page(["a"], "1"), page(["b"], "2")],
        [page(["a"], "1"), page(["a"], "2")],
        [page([], "1"), page([], "2")],
    ],
    ids=["same", "two in turn", "same keys", "empty"],
)
async def test_every_provider_ends_a_listing_that_repeats_itself(pages: list[Page]) -> None:
    store = RepeatingStore(pages)
    with pytest.raises(StorageError, match="cannot be listed"):
        list(store.list())
    assert store.listed <= 3
    with pytest.raises(StorageError, match="cannot be listed"):
        await drain(store.list_async())


async def drain(listing: AsyncIterator[BlobStat]) -> None:
    async for _ in listing:
        pass


def test_empty_pages_are_allowed_but_not_for_ever() -> None:
    guard = ListingGuard("s3", "b", "")
    for number in range(1_000):
        guard.check([], str(number))
    guard.check(["a"], "a")
    for number in range(1_000):
        guard.check([], f"next {number}")
    with pytest.raises(StorageError, match="1,000 pages in a row are empty"):
        guard.check([], "one more")
