"""Azure's lifecycle management policies, which only its management API reads and writes.

That API needs a subscription, a resource group and another role than blobs do; a store has none of
them. So the policy is generated here, and applied by hand.
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
    """Expiry rules of an Azure container: generates a policy, and cannot read or write one."""

    provider = "azure"

    def policy(self, prefixes: Iterable[str], days: int) -> dict[str, Any]:
        """Return the management policy that removes blobs under each prefix at an age of ``days``.

        It contains our rules only. Azure replaces the account's whole policy: if there is one
        already, add these rules to it.
        """
        return {"rules": [self._rule(prefix, days) for prefix in dict.fromkeys(prefixes)]}

    def commands(self) -> tuple[str, str]:
        """Return two commands: show the account's policy, and replace it by ``policy.json``."""
        base = "az storage account management-policy"
        account = f"--account-name {account_name(self.config)} --resource-group GROUP"
        return (
            f"{base} show {account} --query policy",
            f"{base} create {account} --policy @{POLICY_FILE}",
        )

    def read(self) -> list[ExpiryRule]:
        """Raise LifecycleUnsupportedError."""
        self._refuse()

    def plan(
        self,
        prefixes: Iterable[str],
        days: int,
        *,
        retention_days: int = DEFAULT_RETENTION_DAYS,
    ) -> Plan:
        """Raise LifecycleUnsupportedError."""
        self._refuse()

    def apply(self, plan: Plan) -> None:
        """Raise LifecycleUnsupportedError."""
        self._refuse()

    def _rule(self, prefix: str, days: int) -> dict[str, Any]:
        path = f"{self.container}/{prefix}"
        return {
            "enabled": True,
            "name": _name_for(path),
            "type": "Lifecycle",
            "definition": {
                "actions": {"baseBlob": {"delete": {"daysAfterModificationGreaterThan": days}}},
                "filters": {"blobTypes": ["blockBlob"], "prefixMatch": [path]},
            },
        }

    def _refuse(self) -> NoReturn:
        show, _ = self.commands()
        raise LifecycleUnsupportedError(
            "Azure's expiry rules can be read and set only through its management API, as the "
            f"management policy of the storage account. To see it: {show}",
            provider=self.provider,
            container=self.container,
            key=None,
        )


def account_name(config: BlobStorageConfig) -> str:
    """Return the storage account of a configuration, or ``ACCOUNT`` if it does not name one."""
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


def _name_for(path: str) -> str:
    """Return a unique rule name of letters and digits, as Azure requires."""
    digest = hashlib.sha256(path.encode()).hexdigest()[:8]
    words = "".join(word.capitalize() for word in re.findall("[A-Za-z0-9]+", path))
    return f"mistralOffload{words}"[: _LONGEST_NAME - len(digest)] + digest
