"""Sends a local file to a bucket, in chunks; killed by a test on its way.

Arguments: JSON of a storage configuration, the path.
"""

import json
import sys

from mistral_offload.config import BlobStorageConfig, FieldOffloadingConfig
from mistral_offload.files.configuration import configured_files
from mistral_offload.files.reference import root_of_run
from mistral_offload.files.source import source_of_path
from mistral_offload.payload.field_blob import NO_CIPHER

ROOT = root_of_run("default", "run-1")

if __name__ == "__main__":
    storage = BlobStorageConfig.model_validate(json.loads(sys.argv[1]))
    files = configured_files(FieldOffloadingConfig(storage_config=storage), None, NO_CIPHER)
    assert files is not None
    print(files.upload(source_of_path(sys.argv[2], None, None), ROOT).reference.key)
