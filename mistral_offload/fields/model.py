"""``OffloadableModel``: the base class of models with offloadable fields."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class OffloadableModel(BaseModel):
    """A pydantic model some of whose fields may be large: those typed ``OffloadableField[…]``.

    Offloadable fields of any model are looked after here; workers that run the official SDK look
    only at those of models with this base class.
    """

    # Infinity and NaN survive in place as they do in a blob.
    model_config = ConfigDict(ser_json_inf_nan="constants")
