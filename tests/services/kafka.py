"""One real Apache Kafka broker on loopback, for tests and benchmarks: a single KRaft node in a temporary directory."""

import base64
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

JARS = Path(__file__).resolve().parents[2] / ".cache" / "kafka"

# C1 and the serial collector start a broker in half the time; one partition per internal topic spares a hundred files.
JVM = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Djava.awt.headless=true")
# Any sixteen bytes; a random id that begins with a dash would be taken for an option.
CLUSTER = base64.urlsafe_b64encode(b"fn-notifications").decode().rstrip("=")
PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "num.partitions": "3",
    "offsets.topic.num.partitions": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # A member that was killed is given up soon, and a first member does not wait for company.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "500",
    "group.consumer.heartbeat.interval.ms": "500",
    "group.consumer.min.heartbeat.interval.ms": "100",
    # The controller lets a killed broker back in only when its former life has expired.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "250",
    "auto.create.topics.enable": "false",
}
LOGGING = """\
status=error
appender.file.type=File
appender.file.name=file
appender.file.fileName={file}
appender.file.layout.type=PatternLayout
appender.file.layout.pattern=%d %p %c{{1}}: %m%n
rootLogger.level=warn
rootLogger.appenderRef.file.ref=file
"""


class MissingKafkaError(RuntimeError):
    """Apache Kafka cannot be started here; the message says what to run."""


class BrokenKafkaError(RuntimeError):
    """Apache Kafka was started and did not come up; the message ends with its log."""


class ApacheKafka:
    """A broker that keeps its port and its data over `stop` or `kill` and the next `start`."""

    def __init__(self, home: Path, properties: Mapping[str, str], advertised: int | None = None) -> None:
        self._home = home
        self._port, self._secure_port, self.proxied_port, controller = _free_ports(4)
        self._log = home / "broker.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        public = f"PLAINTEXT://127.0.0.1:{self._port}"
        if any(name.startswith("listener.name.sasl_ssl.") for name in properties):
            public += f",SASL_SSL://127.0.0.1:{self._secure_port}"
        listened, told = public, public
        if advertised is not None:
            listened += f",PROXIED://127.0.0.1:{self.proxied_port}"
            told += f",PROXIED://127.0.0.1:{advertised}"
        places = {
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"{listened},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": told,
            "listener.security.protocol.map": (
                "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT"
            ),
            "log.dirs": str(home / "data"),
        }
        lines = (f"{name}={value}\n" for name, value in (PROPERTIES | places | dict(properties)).items())
        (home / "server.properties").write_text("".join(lines))
        (home / "log4j2.properties").write_text(LOGGING.format(file=self._log))

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def secure_bootstrap(self) -> str:
        """Where it speaks SASL_SSL, when `properties` set that listener up."""
        return f"127.0.0.1:{self._secure_port}"

    def format(self) -> None:
        """Prepare the data directory, once."""
        done = subprocess.run(
            self._java("kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", "server.properties"),
            cwd=self._home,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BrokenKafkaError(f"formatting failed: {done.stdout}{done.stderr}")

    def start(self, deadline: float = 60.0) -> None:
        """Start it and return once it answers; `deadline` in seconds."""
        output = (self._home / "output.log").open("ab")
        with output:
            self._process = subprocess.Popen(
                self._java("kafka.Kafka", "server.properties"),
                cwd=self._home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        # Ends the broker when this process is killed: the pipe it reads from closes with us.
        self._guard = subprocess.Popen(
            ["sh", "-c", f"read -r _; kill -9 {self._process.pid}"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._await_answer(time.monotonic() + deadline)

    def stop(self) -> None:
        """Let it shut down in order; kill it when that takes more than ten seconds. Idempotent."""
        if self._process is not None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
        self.kill()

    def kill(self) -> None:
        """End it as kill -9 does: no shutdown, no goodbye to anybody. Idempotent."""
        for process in (self._guard, self._process):
            if process is not None:
                process.kill()
                process.communicate()
        self._guard = self._process = None

    def _java(self, main: str, *arguments: str) -> list[str]:
        logging = "-Dlog4j2.configurationFile=log4j2.properties"
        return ["java", *JVM, logging, "-cp", f"{JARS}/*", main, *arguments]

    def _await_answer(self, until: float) -> None:
        client = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0, "reconnect.backoff.max.ms": 100})
        while time.monotonic() < until:
            if self._process is None or self._process.poll() is not None:
                break
            try:
                # The first answers may still name no broker: it registers with its own controller after opening.
                if client.list_topics(timeout=0.5).brokers:
                    return
            except KafkaException:
                continue
        self.kill()
        raise BrokenKafkaError(f"Apache Kafka did not answer: {self._last_words()}")

    def _last_words(self) -> str:
        files = (self._home / "output.log", self._log)
        return "".join(file.read_text()[-2000:] for file in files if file.exists())


@contextmanager
def apache_kafka(
    properties: Mapping[str, str] | None = None, *, advertised: int | None = None
) -> Iterator[ApacheKafka]:
    """A broker that answers, with `properties` over the defaults; stopped and removed with its data afterwards.

    Who comes to its `proxied_port` is told to go on at port `advertised`, where a proxy is to lead there.

    Raises `MissingKafkaError` when the jars or Java are not there.
    """
    if not any(JARS.glob("kafka_*.jar")):
        raise MissingKafkaError("Apache Kafka is not fetched; run: make kafka")
    if shutil.which("java") is None:
        raise MissingKafkaError("no 'java' on PATH; Apache Kafka 4 needs Java 17 or newer")
    with tempfile.TemporaryDirectory(prefix="kafka-", ignore_cleanup_errors=True) as home:
        broker = ApacheKafka(Path(home), properties or {}, advertised)
        broker.format()
        try:
            broker.start()
            yield broker
        finally:
            broker.stop()


def _free_ports(count: int) -> list[int]:
    """Ports nobody listens on at this moment, below those a client may be given: while the broker is down, a client
    that keeps connecting to such a port would sooner or later reach itself and keep the port.
    """
    ports: list[int] = []
    for port in random.sample(range(20_000, 32_000), 1_000):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            ports.append(port)
        if len(ports) == count:
            return ports
    raise BrokenKafkaError("no free port")
