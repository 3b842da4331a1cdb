"""A broker without a broker: librdkafka's own mock cluster, inside this process, on loopback.

For trying things out and for tests. It lives as long as the process, keeps about 5 MB per partition and forgets the
oldest records beyond that (see `backlog.publish_as_read`), finds no offset by time, and knows neither retention nor
passwords. Other processes may use its address.
"""

import ctypes
from collections.abc import Sequence
from typing import Any, Final, Self

from confluent_kafka import cimpl
from confluent_kafka.admin import AdminClient

from fn_notifications.adapters.kafka.faults import available
from fn_notifications.application.errors import Misconfigured

# Kafka's numbers of the requests that `fail_requests` is for.
PRODUCE: Final = 0
FETCH: Final = 1
OFFSET_COMMIT: Final = 8
HEARTBEAT: Final = 12

_PRODUCER: Final = 0
_BROKER: Final = 1
_HANDLE = ctypes.c_void_p
# Results and arguments, from rdkafka.h and rdkafka_mock.h.
_FUNCTIONS: Final[dict[str, tuple[Any, Sequence[Any]]]] = {
    "rd_kafka_conf_new": (_HANDLE, ()),
    "rd_kafka_conf_set": (ctypes.c_int, (_HANDLE, *[ctypes.c_char_p] * 3, ctypes.c_size_t)),
    "rd_kafka_new": (_HANDLE, (ctypes.c_int, _HANDLE, ctypes.c_char_p, ctypes.c_size_t)),
    "rd_kafka_destroy": (None, (_HANDLE,)),
    "rd_kafka_mock_cluster_new": (_HANDLE, (_HANDLE, ctypes.c_int)),
    "rd_kafka_mock_cluster_destroy": (None, (_HANDLE,)),
    "rd_kafka_mock_cluster_bootstraps": (ctypes.c_char_p, (_HANDLE,)),
    "rd_kafka_mock_topic_create": (ctypes.c_int, (_HANDLE, ctypes.c_char_p, ctypes.c_int, ctypes.c_int)),
    "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, (_HANDLE, ctypes.c_int32)),
    "rd_kafka_mock_push_request_errors_array": (
        None,
        (_HANDLE, ctypes.c_int16, ctypes.c_size_t, ctypes.POINTER(ctypes.c_int)),
    ),
    "rd_kafka_mock_broker_set_down": (ctypes.c_int, (_HANDLE, ctypes.c_int32)),
    "rd_kafka_mock_broker_set_up": (ctypes.c_int, (_HANDLE, ctypes.c_int32)),
}


class EmbeddedBroker:
    """A context manager. Raises `Misconfigured` where librdkafka cannot host a cluster."""

    def __init__(self) -> None:
        self.bootstrap = ""
        """`host:port` while it is open."""
        self._library = _library()
        self._client = self._cluster = 0
        self._host: AdminClient | None = None

    def __enter__(self) -> Self:
        if self._library is None:
            self._host_in_a_client()
        else:
            self._start(self._library)
        return self

    def __exit__(self, *_: object) -> None:
        if self._library is not None:
            self._library.rd_kafka_mock_cluster_destroy(self._cluster)
            self._library.rd_kafka_destroy(self._client)
        self._client = self._cluster = 0
        self._host = None

    def create_topic(self, name: str, partitions: int) -> None:
        """Create a topic; one that is there stays as it is.

        Where librdkafka hides its functions, a topic has the four partitions of an automatically created one.
        """
        if self._host is not None:
            with available(f"topic {name} cannot be created"):
                self._host.list_topics(name, timeout=5)
            return
        # The one error it knows is that the topic exists.
        self._functions.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1)

    def fail_requests(self, request: int, *errors: int) -> None:
        """Answer the next requests of one kind (`PRODUCE`, ...) with these errors, one each."""
        codes = (ctypes.c_int * len(errors))(*errors)
        self._functions.rd_kafka_mock_push_request_errors_array(self._cluster, request, len(errors), codes)

    def go_down(self) -> None:
        """Close every connection and accept none; what was written stays."""
        self._functions.rd_kafka_mock_broker_set_down(self._cluster, _BROKER)

    def come_up(self) -> None:
        """Accept connections again."""
        self._functions.rd_kafka_mock_broker_set_up(self._cluster, _BROKER)

    @property
    def _functions(self) -> ctypes.CDLL:
        if self._library is None:
            raise Misconfigured("this build of librdkafka hides its mock cluster: no faults can be injected")
        return self._library

    def _start(self, library: ctypes.CDLL) -> None:
        reason = ctypes.create_string_buffer(512)
        conf = library.rd_kafka_conf_new()
        # Silent: this client only hosts the cluster and would complain that it has no servers of its own.
        library.rd_kafka_conf_set(conf, b"log_level", b"0", reason, len(reason))
        self._client = library.rd_kafka_new(_PRODUCER, conf, reason, len(reason)) or 0
        self._cluster = library.rd_kafka_mock_cluster_new(self._client, 1) or 0 if self._client else 0
        if not self._cluster:
            raise Misconfigured("librdkafka cannot start its embedded broker")
        # Three seconds by default: a lone first consumer would wait for company.
        library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)
        self.bootstrap = library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    def _host_in_a_client(self) -> None:
        self._host = AdminClient({"bootstrap.servers": "127.0.0.1:1", "test.mock.num.brokers": 1, "log_level": 0})
        with available("the embedded broker does not start"):
            brokers = self._host.list_topics(timeout=5).brokers.values()
        self.bootstrap = ",".join(f"{each.host}:{each.port}" for each in brokers)


def _library() -> ctypes.CDLL | None:
    """The librdkafka that confluent-kafka is linked to, None when it does not show the functions.

    Asking the extension module finds it wherever a wheel or a system package put it: symbols are looked up in a
    library's dependencies too.
    """
    try:
        library = ctypes.CDLL(cimpl.__file__)
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError):
        return None
    return library
