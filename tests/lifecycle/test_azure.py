"""Azure management policies; no server here accepts one, so the form is compared with Azure's."""

from __future__ import annotations

import re

import pytest

from mistral_offload.config import BlobStorageConfig, StorageProvider
from mistral_offload.errors import LifecycleUnsupportedError
from mistral_offload.lifecycle.azure import AzureLifecycle, account_name
from mistral_offload.lifecycle.factory import open_lifecycle

PREFIXES = ["data/temporal-payload/", "data/temporal-activity-payload/"]
URL = "https://acme.blob.core.windows.net"


def config_for(**settings: object) -> BlobStorageConfig:
    return BlobStorageConfig.model_validate(
        {"storage_provider": StorageProvider.AZURE, "container_name": "payloads", **settings}
    )


@pytest.fixture
def lifecycle() -> AzureLifecycle:
    opened = open_lifecycle(config_for(azure_storage_account_url=URL))
    assert isinstance(opened, AzureLifecycle)
    return opened


def test_the_policy(lifecycle: AzureLifecycle) -> None:
    policy = lifecycle.policy(PREFIXES, 45)
    names = [rule.pop("name") for rule in policy["rules"]]
    assert policy == {
        "rules": [
            {
                "enabled": True,
                "type": "Lifecycle",
                "definition": {
                    "actions": {"baseBlob": {"delete": {"daysAfterModificationGreaterThan": 45}}},
                    "filters": {"blobTypes": ["blockBlob"], "prefixMatch": [f"payloads/{prefix}"]},
                },
            }
            for prefix in PREFIXES
        ]
    }
    assert len(set(names)) == 2
    assert all(re.fullmatch("mistralOffload[A-Za-z0-9]{8,242}", name) for name in names)


def test_names_differ_however_long_and_alike_prefixes_are(lifecycle: AzureLifecycle) -> None:
    prefixes = [f"{'x' * 500}/a", f"{'x' * 500}/b", "a-b/", "a_b/", "a.b/"]
    names = {rule["name"] for rule in lifecycle.policy(prefixes, 45)["rules"]}
    assert len(names) == len(prefixes)
    assert all(re.fullmatch("[A-Za-z0-9]{1,256}", name) for name in names)


def test_the_commands(lifecycle: AzureLifecycle) -> None:
    account = "--account-name acme --resource-group GROUP"
    assert lifecycle.commands() == (
        f"az storage account management-policy show {account} --query policy",
        f"az storage account management-policy create {account} --policy @policy.json",
    )


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"azure_storage_account_url": URL}, "acme"),
        ({"azure_connection_string": "AccountName=acme;AccountKey=c2VjcmV0"}, "acme"),
        ({"azure_connection_string": f"BlobEndpoint={URL};SharedAccessSignature=sv=1"}, "acme"),
        ({"azure_connection_string": "nonsense"}, "ACCOUNT"),
    ],
)
def test_the_account(settings: dict[str, str], name: str) -> None:
    assert account_name(config_for(**settings)) == name


def test_nothing_can_be_done_from_here(lifecycle: AzureLifecycle) -> None:
    for call in (lifecycle.read, lambda: lifecycle.plan(PREFIXES, 45)):
        with pytest.raises(LifecycleUnsupportedError, match="az storage account management-policy"):
            call()
