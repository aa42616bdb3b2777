"""``WorkflowError``, for errors of an application's own."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory


class WorkflowError(ApplicationError):
    """Error that an activity or a workflow raises on purpose; subclasses name its kind.

    Raised in an activity, it fails the attempt, which is retried unless ``non_retryable`` is set.
    Raised in a workflow, it fails the execution. Callers in other processes do not receive the
    class: an activity's error arrives as the ``cause`` of an `ActivityError`, as an
    `ApplicationError` with its message, details and type.

    Args:
        message: the message that callers see.
        details: values for the caller; they are encoded like any payload.
        type: name of the kind of error, as retry policies list it. Default: the name of the class.
        non_retryable: True if no further attempt can succeed.
        next_retry_delay: pause before the next attempt, instead of the retry policy's.
        category: ``BENIGN`` for an error that is expected, and not to be logged as one.
    """

    def __init__(
        self,
        message: str,
        *details: Any,
        type: str | None = None,
        non_retryable: bool = False,
        next_retry_delay: timedelta | None = None,
        category: ApplicationErrorCategory = ApplicationErrorCategory.UNSPECIFIED,
    ) -> None:
        super().__init__(
            message,
            *details,
            # Temporal does not send the name of a subclass.
            type=type or self.__class__.__name__,
            non_retryable=non_retryable,
            next_retry_delay=next_retry_delay,
            category=category,
        )
