"""Runs the worker until Ctrl-C, configured by environment variables."""

import asyncio
import logging
import os

from recording import TranscribeRecording

import mistral_offload.workflows as workflows

if __name__ == "__main__":
    logging.basicConfig(level=os.environ.get("LOG_LEVEL", "INFO"))
    asyncio.run(workflows.run_worker([TranscribeRecording]))
