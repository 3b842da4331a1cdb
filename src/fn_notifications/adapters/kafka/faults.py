"""librdkafka's errors in the application's words. They carry the error's name only: texts may quote values."""

from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import KafkaError, KafkaException

from fn_notifications.application.errors import Misconfigured, Unavailable


def name_of(error: KafkaException | KafkaError) -> str:
    """What librdkafka calls it, such as `_TIMED_OUT` or `TOPIC_AUTHORIZATION_FAILED`."""
    cause = _cause(error)
    return type(error).__name__ if cause is None else cause.name()


def code_of(error: KafkaException | KafkaError) -> int | None:
    """The number librdkafka gave it, None when it gave none."""
    cause = _cause(error)
    return None if cause is None else cause.code()


def is_fatal(error: KafkaException | KafkaError) -> bool:
    """Whether the client that said so is of no more use."""
    cause = _cause(error)
    return cause is not None and (cause.fatal() or cause.code() == KafkaError._FATAL)  # noqa: SLF001 - a public name there


def _cause(error: KafkaException | KafkaError) -> KafkaError | None:
    cause = error.args[0] if isinstance(error, KafkaException) and error.args else error
    return cause if isinstance(cause, KafkaError) else None


@contextmanager
def configured(what: str) -> Iterator[None]:
    """Turn a client's refusal of its configuration into `Misconfigured`."""
    try:
        yield
    except KafkaException as error:
        raise Misconfigured(f"{what} cannot be set up with these settings: {name_of(error)}") from None


@contextmanager
def available(what: str) -> Iterator[None]:
    """Turn whatever a client raises into `Unavailable`."""
    try:
        yield
    except KafkaException as error:
        raise Unavailable(f"{what}: {name_of(error)}") from None
