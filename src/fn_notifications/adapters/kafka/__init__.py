"""Apache Kafka through confluent-kafka: events in, events out, and an embedded broker."""
