"""`python -m tests.chaos --minutes 10 --seed 1`: break the service on real parts, and judge what it did."""

import argparse
import asyncio
import json
import os
import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.chaos.campaign import campaign
from tests.services.kafka import MissingKafkaError
from tests.services.postgres import postgres_server
from tests.services.stage import Broker, embedded_kafka, proxied_kafka


@contextmanager
def a_broker() -> Iterator[Broker]:
    """Apache Kafka; where it is missing, and this is no CI, the embedded broker, which cannot be cut off."""
    with ExitStack() as stack:
        try:
            broker = stack.enter_context(proxied_kafka())
        except MissingKafkaError as error:
            if os.environ.get("CI") == "true":
                raise
            sys.stderr.write(f"chaos: {error}; on the embedded broker instead, which is not cut off\n")
            broker = stack.enter_context(embedded_kafka())
        yield broker


def main() -> int:
    """Run one campaign. The last line of standard output is its account in JSON; the exit code is its verdict."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long things are broken (10)")
    parser.add_argument("--seed", type=int, help="decides what is broken when; default: any")
    parser.add_argument("--logs", type=Path, help="where the processes' logs are kept; default: nowhere")
    arguments = parser.parse_args()
    seed = random.randrange(1_000_000) if arguments.seed is None else arguments.seed
    sys.stderr.write(f"chaos: seed {seed}, {arguments.minutes:g} minutes\n")
    with TemporaryDirectory(prefix="fn-chaos-") as temporary, postgres_server() as postgres, a_broker() as kafka:
        directory = arguments.logs or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        result = asyncio.run(campaign(postgres, kafka, directory, seed=seed, seconds=60 * arguments.minutes))
    for problem in result.problems:
        sys.stderr.write(f"chaos: {problem}\n")
    sys.stdout.write(json.dumps(result.line) + "\n")
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main())
