"""Models of requests and responses, as ``from mistral_offload.client import models``."""

from mistral_offload.api.models import *  # noqa: F403
from mistral_offload.api.models import __all__ as __all__  # noqa: PLC0414 - a re-export
