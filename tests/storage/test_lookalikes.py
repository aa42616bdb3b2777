"""Differences between the test servers and the cloud, and the tests that cover them."""

from __future__ import annotations

import importlib
from typing import NamedTuple

import pytest


class Difference(NamedTuple):
    server: str
    cloud: str
    here: str
    stand_in: str


DIFFERENCES = [
    Difference(
        "azurite",
        "a wrong key is AuthenticationFailed",
        "it is AuthorizationFailure",
        "test_azure_errors.test_answers_to_a_put_are_told_by_code_and_status",
    ),
    Difference(
        "azurite",
        "a token needs a role on the container, else AuthorizationPermissionMismatch",
        "every token of the right audience may do everything",
        "test_azure_errors.test_answers_to_a_put_are_told_by_code_and_status",
    ),
    Difference(
        "azurite",
        "accounts with a hierarchical namespace list folders as blobs",
        "there are no such accounts",
        "test_azure.test_folders_of_a_hierarchical_namespace_are_no_blobs",
    ),
    Difference(
        "azurite",
        "blobs can be archived, or held by a policy; servers are busy",
        "neither",
        "test_azure_errors.test_answers_to_a_put_are_told_by_code_and_status",
    ),
    Difference(
        "azurite",
        "connections break in the middle of a blob",
        "never",
        "test_azure_errors.test_half_a_blob_is_asked_for_once",
    ),
    Difference(
        "fake-gcs-server",
        "requests need a token",
        "nobody is asked for one",
        "test_gcs_errors.test_a_service_accounts_token_goes_with_the_request",
    ),
    Difference(
        "fake-gcs-server",
        "a token that is refused is 401, one without permission 403",
        "neither",
        "test_gcs_errors.test_answers_are_told_by_status",
    ),
    Difference(
        "fake-gcs-server",
        "a body that does not have the CRC32C sent with it is refused",
        "it is accepted",
        "test_gcs.test_what_is_sent_for_a_put",
    ),
    Difference(
        "fake-gcs-server",
        "every kind of upload obeys ifGenerationMatch",
        "only one of kind multipart does, which is the one we make",
        "test_gcs.test_one_request_for_each_operation",
    ),
    Difference(
        "fake-gcs-server",
        "a bucket whose requester pays wants userProject",
        "it is ignored",
        "test_gcs.test_what_is_sent_for_a_put",
    ),
    Difference(
        "fake-gcs-server",
        "servers are busy and say for how long; blobs arrive damaged or in part",
        "never",
        "test_gcs_errors.test_a_blob_that_does_not_arrive_whole",
    ),
]


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda found: found.cloud)
def test_something_stands_in_for_every_difference(difference: Difference) -> None:
    module, _, test = difference.stand_in.partition(".")
    assert callable(getattr(importlib.import_module(f"tests.storage.{module}"), test))
