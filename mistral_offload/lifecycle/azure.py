"""Azure's management policies, which only its management API reads and writes.

That API wants a subscription, a resource group and another role than blobs do, none of which a
store has. So a policy is made here, and a person applies it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any, NoReturn
from urllib.parse import urlsplit

from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import LifecycleUnsupportedError
from mistral_offload.lifecycle.bucket import BucketLifecycle
from mistral_offload.lifecycle.expiry_plan import Plan
from mistral_offload.lifecycle.rules import ExpiryRule
from mistral_offload.limits import DEFAULT_RETENTION_DAYS

POLICY_FILE = "policy.json"

_LONGEST_NAME = 256


class AzureLifecycle(BucketLifecycle):
    """A container of a storage account; `policy` is what it has to offer."""

    provider = "azure"

    def policy(self, prefixes: Iterable[str], days: int) -> dict[str, Any]:
        """The management policy under which blobs of each prefix are removed after so many days.

        It holds our rules only, and Azure replaces the whole policy of the account: where there is
        one, these rules are to be added to its own.
        """
        return {"rules": [self._rule(prefix, days) for prefix in dict.fromkeys(prefixes)]}

    def commands(self) -> tuple[str, str]:
        """What shows the account's present policy, and what replaces it by the file's."""
        base = "az storage account management-policy"
        account = f"--account-name {account_name(self.config)} --resource-group GROUP"
        return (
            f"{base} show {account} --query policy",
            f"{base} create {account} --policy @{POLICY_FILE}",
        )

    def read(self) -> list[ExpiryRule]:
        """Raises a LifecycleUnsupportedError."""
        self._refuse()

    def plan(
        self,
        prefixes: Iterable[str],
        days: int,
        *,
        retention_days: int = DEFAULT_RETENTION_DAYS,
    ) -> Plan:
        """Raises a LifecycleUnsupportedError."""
        self._refuse()

    def apply(self, plan: Plan) -> None:
        """Raises a LifecycleUnsupportedError."""
        self._refuse()

    def _rule(self, prefix: str, days: int) -> dict[str, Any]:
        place = f"{self.container}/{prefix}"
        return {
            "enabled": True,
            "name": _name_for(place),
            "type": "Lifecycle",
            "definition": {
                "actions": {"baseBlob": {"delete": {"daysAfterModificationGreaterThan": days}}},
                "filters": {"blobTypes": ["blockBlob"], "prefixMatch": [place]},
            },
        }

    def _refuse(self) -> NoReturn:
        show, _ = self.commands()
        raise LifecycleUnsupportedError(
            "Azure tells and takes expiry rules only through its management API, as management "
            f"policy of the storage account. To see it: {show}",
            provider=self.provider,
            container=self.container,
            key=None,
        )


def account_name(config: BlobStorageConfig) -> str:
    """The storage account of a configuration, or ``ACCOUNT`` where that does not tell."""
    if config.azure_connection_string is not None:
        text = config.azure_connection_string.get_secret_value()
        pairs = (pair.partition("=") for pair in text.split(";"))
        members = {name.strip().lower(): value.strip() for name, _, value in pairs}
        if "accountname" in members:
            return members["accountname"]
        url = members.get("blobendpoint", "")
    else:
        url = config.azure_storage_account_url or ""
    return (urlsplit(url).hostname or "ACCOUNT").partition(".")[0]


def _name_for(place: str) -> str:
    """A name for a rule: Azure takes letters and digits, and wants it to be the only one."""
    digest = hashlib.sha256(place.encode()).hexdigest()[:8]
    words = "".join(word.capitalize() for word in re.findall("[A-Za-z0-9]+", place))
    return f"mistralOffload{words}"[: _LONGEST_NAME - len(digest)] + digest
