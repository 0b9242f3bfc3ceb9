#!/usr/bin/python3
"""tally.py RESULTS - adds up the steps of test.sh.

A step is NAME.status (its exit status) and, unless it is a build, NAME.xml (JUnit). A step that failed
without naming a failed test counts as one failure, and so does one that ran no test. Prints a line a step
that ran tests, the failed tests, and last "N passed, N failed[, N skipped]"; exits 1 when anything failed.
"""
import pathlib
import sys
import xml.etree.ElementTree as ElementTree


def read_cases(path):
    """(passed, failed names, skipped) of a JUnit file."""
    passed, failed, skipped = 0, [], 0
    for case in ElementTree.parse(path).iter("testcase"):
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            failed.append(f"{case.get('classname', '')} {case.get('name', '')}".strip())
        elif "skipped" in kinds:
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


def read_step(status_path):
    name = status_path.stem
    status = int(status_path.read_text())
    passed, failed, skipped = 0, [], 0
    if not name.startswith("build"):
        try:
            passed, failed, skipped = read_cases(status_path.with_suffix(".xml"))
        except (OSError, ElementTree.ParseError) as e:
            failed = [f"no results: {e}"]
        if not failed and passed + skipped == 0:
            failed = ["ran no test"]
    if status != 0 and not failed:
        failed = [f"exit status {status}"]
    return name, passed, failed, skipped


def main(folder):
    total_passed = total_failed = total_skipped = 0
    for status_path in sorted(pathlib.Path(folder).glob("*.status")):
        name, passed, failed, skipped = read_step(status_path)
        if passed or failed or skipped:
            print(f"  {name:12} {passed:5} ok {len(failed):4} bad {skipped:4} left out")
        for case in failed:
            print(f"      FAILED {name}: {case}")
        total_passed += passed
        total_failed += len(failed)
        total_skipped += skipped
    if total_passed + total_failed == 0:
        total_failed = 1
    print(f"{total_passed} passed, {total_failed} failed" + (f", {total_skipped} skipped" if total_skipped else ""))
    return 1 if total_failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
