#!/usr/bin/env bash
# A NaN survives in a plain value and is lost in a pydantic model (temporalio's pydantic converter).
#
# Versions: temporalio 1.35.0, pydantic 2.13.0. Seen with CPython 3.11.
# One would guess: the converter treats a NaN alike wherever it stands.
# What happens: in a list or a dict it is written as NaN, which is not JSON, and arrives. As a field
#   of a model it is written as null, and the same type refuses to read it back.
# It matters because a workflow that returns such a model fails its caller, not itself.
# Output seen:
#   list of floats: [NaN,Infinity] -> [nan, inf]
#   field of a model: {"x":null} -> ValidationError
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check temporalio==1.35.0 pydantic==2.13.0
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import math

from pydantic import BaseModel, ValidationError
from temporalio.contrib.pydantic import pydantic_data_converter as converter


class Measurement(BaseModel):
    x: float


async def main() -> None:
    plain = await converter.encode([[math.nan, math.inf]])
    assert plain[0].data == b"[NaN,Infinity]", plain[0].data
    (values,) = await converter.decode(plain, [list[float]])
    assert math.isnan(values[0]) and values[1] == math.inf, values
    print("list of floats:", plain[0].data.decode(), "->", values)

    model = await converter.encode([Measurement(x=math.nan)])
    assert model[0].data == b'{"x":null}', model[0].data
    try:
        await converter.decode(model, [Measurement])
    except ValidationError as error:
        print("field of a model:", model[0].data.decode(), "->", type(error).__name__)
    else:
        raise SystemExit("the model was read back")


asyncio.run(main())
PYTHON
