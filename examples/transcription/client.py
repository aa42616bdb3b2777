"""Starts the workflow and waits. The client needs no storage, as input and result are small."""

import os

from mistral_offload import Mistral

if __name__ == "__main__":
    with Mistral(server_url=os.environ["SERVER_URL"]) as client:
        summary = client.workflows.execute_workflow_and_wait(
            "transcribe-and-summarize", input={"audio_id": "interview-7"}
        )
    print(f"{summary['audio_id']}: {summary['words']} words, {summary['characters']} characters")
    print(f"moved by the store: {summary['moved_bytes']} bytes")
