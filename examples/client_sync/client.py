"""Sends a 10 MB document through the workflow and prints the result."""

import os

from mistral_offload import BlobStorageConfig, Mistral, PayloadOffloadingConfig

PAGE = "All work and no play makes Jack a dull boy.   " * 22  # about 1 kB

with Mistral(
    api_key=os.environ["MISTRAL_API_KEY"],
    server_url=os.environ["SERVER_URL"],
    workflow_payload_offloading=PayloadOffloadingConfig(
        storage_config=BlobStorageConfig(storage_provider="local", path=os.environ["BLOBS"])
    ),
) as client:
    document = {"title": " The Shining ", "pages": [PAGE] * 10_000}
    result = client.workflows.execute_workflow_and_wait("prepare-document", input=document)

print("title:", result["title"])
print("pages:", len(result["pages"]))
print("first page:", result["pages"][0][:30])
