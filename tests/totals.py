"""Adds up the JUnit reports of several pytest runs and prints them as one closing line.

python tests/totals.py report.xml ...
"""

import sys
from xml.etree import ElementTree


def closing_line(paths):
    """Return e.g. ``===== 410 passed, 2 skipped in 301.22s =====`` over all reports, and whether all passed."""
    suites = [suite for path in paths for suite in ElementTree.parse(path).getroot().iter("testsuite")]
    count = {key: sum(int(suite.get(key, 0)) for suite in suites) for key in ("tests", "failures", "errors", "skipped")}
    passed = count["tests"] - count["failures"] - count["errors"] - count["skipped"]
    parts = {"failed": count["failures"], "passed": passed, "skipped": count["skipped"], "errors": count["errors"]}
    text = ", ".join(f"{number} {name}" for name, number in parts.items() if number)
    seconds = sum(float(suite.get("time", 0)) for suite in suites)
    return f" {text} in {seconds:.2f}s ".center(80, "="), not (count["failures"] or count["errors"])


if __name__ == "__main__":
    line, fine = closing_line(sys.argv[1:])
    print(line)
    sys.exit(0 if fine else 1)
