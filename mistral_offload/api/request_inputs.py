"""Where in a request body the user's value is, and what is sent in its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from mistral_offload.api.body import UNSET, RawJSON, render_body
from mistral_offload.errors import PayloadTooLargeError
from mistral_offload.limits import INLINE_LIMIT_BYTES
from mistral_offload.payload.encoded_payload import EncodedPayload
from mistral_offload.payload.envelope import write_envelope

_INPUT = "input"


@dataclass(frozen=True, slots=True)
class EncodedPart:
    """The member ``input`` of a body, or of an object in it.

    Attributes:
        within: the member of the body that holds it; None: the body itself.
        envelope: the member that the envelope is put into.
        offloads: whether it may go to a store.
        hashed: whether a hash of the plain value goes with it.
    """

    within: str | None = None
    envelope: str = _INPUT
    offloads: bool = True
    hashed: bool = False

    def value_in(self, body: Mapping[str, object]) -> object:
        """The value; None or `UNSET` when there is nothing to encode."""
        return self._holder(body).get(_INPUT, UNSET)

    def replace(self, body: Mapping[str, object], text: RawJSON, *, encoded: bool) -> bytes:
        """The text of the body with JSON in place of the value."""
        members: dict[str, object] = dict(self._holder(body))
        if encoded and self.envelope != _INPUT:
            members |= {_INPUT: None, self.envelope: text}
        else:
            members[_INPUT] = text
        if self.within is None:
            return render_body(members)
        return render_body({**body, self.within: RawJSON(render_body(members))})

    def _holder(self, body: Mapping[str, object]) -> Mapping[str, object]:
        return body if self.within is None else cast("Mapping[str, Any]", body[self.within])


INPUT: Final = EncodedPart()
START: Final = EncodedPart(envelope="encoded_input")
SCHEDULE: Final = EncodedPart(within="schedule", offloads=False, hashed=True)
SCHEDULE_CHANGE: Final = EncodedPart(within="schedule", offloads=False)


def name_of_input(path: Mapping[str, str], body: Mapping[str, object]) -> str:
    """What the value of a request is called in errors."""
    if "execution_id" in path:
        return f"the input of {body['name']!r} for execution {path['execution_id']!r}"
    if "schedule" in body:
        return "the input of a schedule"
    return f"the input of workflow {next(iter(path.values()))!r}"


def check_kept_size(what: str, payload: EncodedPayload) -> None:
    """Refuse a value that the platform keeps itself, when it is too large for that.

    Raises:
        PayloadTooLargeError: it is over the platform's limit.
    """
    if len(payload.data) > INLINE_LIMIT_BYTES:
        raise PayloadTooLargeError(
            what,
            size=len(payload.data),
            limit=INLINE_LIMIT_BYTES,
            remedy="The platform keeps it itself, so it cannot be offloaded: put the data where "
            "the workflow can read it, and give the schedule its place.",
        )


def kept_text(payload: EncodedPayload, digest: str | None, is_envelope: bool) -> RawJSON:
    """What is sent for a value that the platform keeps itself."""
    if not is_envelope:
        return RawJSON(payload.data)
    envelope = write_envelope(payload)
    if digest is None:
        return RawJSON(envelope)
    return RawJSON(b'%b,"input_hash":"%b"}' % (envelope[:-1], digest.encode()))
