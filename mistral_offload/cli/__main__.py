"""``python -m mistral_offload.cli``: the command where its script is not on the PATH."""

from mistral_offload.cli import main

main()
