"""Functions of the program stay short; style_report tells more than this test refuses."""
import subprocess

import measure
import tree

LONGEST = 120  # lines; the aim is 60


def too_long(functions):
    return [f"{place}: {name}: {length} lines" for length, place, name in functions if length > LONGEST]


def test_no_function_is_longer_than_two_screens():
    functions = measure.all_functions()
    assert functions
    assert too_long(functions) == []


def test_report_runs():
    out = subprocess.run([tree.ROOT / "tests/tools/style_report"], check=True, capture_output=True, text=True).stdout
    assert "median" in out


def test_planted_function_is_measured():
    body = "    f();\n" * 119
    text = f"struct x {{\n    int a;\n}};\n\nint pn_long(int a,\n            int b)\n{{\n{body}}}\n\nint pn_ok(void)\n{{\n}}\n"
    found = measure.functions("src/x.c", text)
    assert found == [(121, "src/x.c:7", "pn_long"), (2, "src/x.c:130", "pn_ok")]
    assert len(too_long(found)) == 1
    assert measure.quantile([1, 2, 3, 4, 100], 0.5) == 3
