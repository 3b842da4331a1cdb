#!/usr/bin/env bash
# Fetch the jars of one Apache Kafka broker into .cache/kafka, as scripts/kafka/pom.xml pins them.
#   scripts/kafka.sh fetch    does nothing when they are already there for this very pom
# Exit codes: 0 there, 2 wrong usage, 3 Java 17 or Maven is missing, otherwise Maven's own.
set -euo pipefail
cd "${BASH_SOURCE[0]%/*}/.."

readonly pom=scripts/kafka/pom.xml
readonly jars=.cache/kafka
# The pom the jars came from lies beside them: equal poms, equal jars.
readonly stamp=$jars/pom.xml

missing() {
  echo "kafka.sh: $1" >&2
  exit 3
}

require_java() {
  command -v java >/dev/null || missing "no 'java' on PATH; Apache Kafka 4 needs Java 17 or newer"
  local version
  version=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1) || true
  [[ $version =~ ^[0-9]+$ ]] || missing "'java -version' does not work; Apache Kafka 4 needs Java 17 or newer"
  ((version >= 17)) || missing "Java $version found; Apache Kafka 4 needs Java 17 or newer"
}

fetch() {
  require_java
  if cmp -s "$pom" "$stamp"; then
    return
  fi
  command -v mvn >/dev/null || missing "no 'mvn' on PATH; Maven fetches the jars"
  local fresh=$jars.new
  rm -rf "$fresh"
  mvn --quiet --batch-mode --strict-checksums --file "$pom" \
    dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$PWD/$fresh"
  cp "$pom" "$fresh/pom.xml"
  rm -rf "$jars"
  mv "$fresh" "$jars"
  echo "kafka.sh: Apache Kafka is in $jars"
}

case ${1-} in
  fetch) fetch ;;
  *)
    echo "usage: scripts/kafka.sh fetch" >&2
    exit 2
    ;;
esac
