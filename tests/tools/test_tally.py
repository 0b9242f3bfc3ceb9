"""scripts/tally.py counts what was run and lets no failure pass."""
import subprocess

import tree

GOOD = '<testsuites><testsuite><testcase classname="a" name="x"/><testcase name="y"><skipped/></testcase>' \
       "</testsuite></testsuites>"
BAD = '<testsuite><testcase name="x"/><testcase classname="c" name="z"><failure/></testcase></testsuite>'


def tally(folder, steps):
    for name, (status, xml) in steps.items():
        (folder / f"{name}.status").write_text(str(status))
        if xml is not None:
            (folder / f"{name}.xml").write_text(xml)
    r = subprocess.run([tree.ROOT / "scripts/tally.py", folder], capture_output=True, text=True)
    return r.returncode, r.stdout.rstrip("\n").split("\n")[-1]


def test_sums(tmp_path):
    assert tally(tmp_path, {"build": (0, None), "unit": (0, GOOD), "api": (0, GOOD)}) == (0, "2 passed, 0 failed, 2 skipped")


def test_failures_count(tmp_path):
    assert tally(tmp_path, {"unit": (1, BAD), "api": (0, GOOD)}) == (1, "2 passed, 1 failed, 1 skipped")


def test_a_step_that_says_nothing_failed(tmp_path):
    assert tally(tmp_path, {"unit": (0, GOOD), "api": (0, None)})[0] == 1


def test_a_step_that_ran_nothing_failed(tmp_path):
    assert tally(tmp_path, {"unit": (0, GOOD), "api": (0, "<testsuite/>")}) == (1, "1 passed, 1 failed, 1 skipped")


def test_exit_status_counts_though_all_cases_passed(tmp_path):
    assert tally(tmp_path, {"api": (3, GOOD)}) == (1, "1 passed, 1 failed, 1 skipped")


def test_a_failed_build_counts(tmp_path):
    assert tally(tmp_path, {"build-asan": (1, None), "unit": (0, GOOD)}) == (1, "1 passed, 1 failed, 1 skipped")


def test_nothing_at_all_is_a_failure(tmp_path):
    assert tally(tmp_path, {}) == (1, "0 passed, 1 failed")
