"""`make test`: every test, on the real components where they exist, saying first what it will have to skip."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IN_CI = os.environ.get("CI") == "true"


def main() -> int:
    """Fetch what can be fetched, then run pytest under coverage. Returns the exit code."""
    missing = [tool for tool in ("java", "mvn") if shutil.which(tool) is None]
    if missing:
        print(f"{' and '.join(missing)} not found: tests on a real Apache Kafka are skipped (embedded broker only).")
    elif (fetched := subprocess.run([ROOT / "scripts/kafka.sh", "fetch"], check=False).returncode) != 0:
        print("Apache Kafka could not be fetched: tests on it are skipped.")
        if IN_CI:
            return fetched
    run = [sys.executable, "-m", "coverage", "run", "-m", "pytest", *sys.argv[1:]]
    if (tested := subprocess.run(run, cwd=ROOT, check=False).returncode) != 0:
        return tested
    if sys.argv[1:]:
        return 0
    core = "src/fn_notifications/domain/*,src/fn_notifications/application/*"
    report = [sys.executable, "-m", "coverage", "report", f"--include={core}", "--fail-under=95"]
    return subprocess.run(report, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
