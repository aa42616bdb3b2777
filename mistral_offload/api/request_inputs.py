"""Inputs in request bodies: their location, and the body with the encoded input in its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from mistral_offload.api.body import RawJSON, render_body
from mistral_offload.api.unset import UNSET
from mistral_offload.errors import PayloadTooLargeError
from mistral_offload.limits import INLINE_LIMIT_BYTES
from mistral_offload.payload.encoded_payload import EncodedPayload
from mistral_offload.payload.envelope import write_envelope

_INPUT = "input"


@dataclass(frozen=True, slots=True)
class InputLocation:
    """Location of the member ``input`` in a request body.

    Attributes:
        parent: member of the body that contains it; None when it is a member of the body itself.
        envelope: member that receives the envelope.
        offloadable: True when the input may be stored and replaced by a reference; False when the
            platform has to keep the input itself.
        hashed: True when a hash of the plain value is sent along.
    """

    parent: str | None = None
    envelope: str = _INPUT
    offloadable: bool = True
    hashed: bool = False

    def get(self, body: Mapping[str, object]) -> object:
        """Return the input; None or ``UNSET`` when there is nothing to encode."""
        return self._container(body).get(_INPUT, UNSET)

    def replace(self, body: Mapping[str, object], text: RawJSON, *, encoded: bool) -> bytes:
        """Render the body with this JSON text in place of the input.

        Args:
            body: members of the body.
            text: the input as JSON, or an envelope.
            encoded: True when the text is an envelope.
        """
        members: dict[str, object] = dict(self._container(body))
        if encoded and self.envelope != _INPUT:
            members |= {_INPUT: None, self.envelope: text}
        else:
            members[_INPUT] = text
        if self.parent is None:
            return render_body(members)
        return render_body({**body, self.parent: RawJSON(render_body(members))})

    def _container(self, body: Mapping[str, object]) -> Mapping[str, object]:
        return body if self.parent is None else cast("Mapping[str, Any]", body[self.parent])


HANDLER_INPUT: Final = InputLocation()
START_INPUT: Final = InputLocation(envelope="encoded_input")
SCHEDULE_INPUT: Final = InputLocation(parent="schedule", offloadable=False, hashed=True)
SCHEDULE_CHANGE_INPUT: Final = InputLocation(parent="schedule", offloadable=False)


def describe_input(path: Mapping[str, str], body: Mapping[str, object]) -> str:
    """Return the name of a request's input for error messages.

    Args:
        path: path parameters of the request.
        body: members of its body.
    """
    if "execution_id" in path:
        return f"the input of {body['name']!r} for execution {path['execution_id']!r}"
    if "schedule" in body:
        return "the input of a schedule"
    return f"the input of workflow {next(iter(path.values()))!r}"


def check_inline_size(description: str, payload: EncodedPayload) -> None:
    """Check that an input that cannot be offloaded is small enough for the platform.

    Raises:
        PayloadTooLargeError: it is over the platform's limit.
    """
    if len(payload.data) > INLINE_LIMIT_BYTES:
        raise PayloadTooLargeError(
            description,
            size=len(payload.data),
            limit=INLINE_LIMIT_BYTES,
            remedy="It cannot be offloaded, because the platform stores inputs of schedules "
            "itself: put the data where the workflow can read it, and schedule its location.",
        )


def render_inline_input(payload: EncodedPayload, digest: str | None, is_envelope: bool) -> RawJSON:
    """Return the JSON text of an input that cannot be offloaded.

    Args:
        payload: the encoded input.
        digest: hash of the plain input, sent as ``input_hash``; None to send none.
        is_envelope: False to send the data of the payload without an envelope.
    """
    if not is_envelope:
        return RawJSON(payload.data)
    envelope = write_envelope(payload)
    if digest is None:
        return RawJSON(envelope)
    return RawJSON(b'%b,"input_hash":"%b"}' % (envelope[:-1], digest.encode()))
