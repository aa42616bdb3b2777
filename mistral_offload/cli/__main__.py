"""``python -m mistral_offload.cli``: runs the command if its script is not on the PATH."""

from mistral_offload.cli import main

main()
