"""tables.py makes the tables of inverse text normalisation, and a mistake in a data file ends it with the line."""
import subprocess
import sys

import pytest

import tree

TABLES = tree.ROOT / "src/text/itn/tables.py"
GOOD = "words\tspaced\nnumber\tdigit\t1\tone\nclass\tunit\thours\nrule\t\t#1-9\t@unit\t{1}\n"


def make(tmp_path, text):
    (tmp_path / "x.tsv").write_text(text, "utf-8")
    r = subprocess.run([sys.executable, TABLES, "x", tmp_path / "x.tsv", tmp_path / "x.c"], capture_output=True,
                       text=True)
    return r, tmp_path / "x.c"


def test_tables_compile(tmp_path):
    r, c = make(tmp_path, GOOD)
    assert r.returncode == 0, r.stderr
    r = subprocess.run(["gcc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Isrc", "-fsyntax-only", c],
                       cwd=tree.ROOT, capture_output=True, text=True)
    assert r.returncode == 0, r.stderr


@pytest.mark.parametrize("line", [
    "nonsense\tx",
    "words\teverywhere",
    "number\tdigit\ttwo\ttwo",
    "number\tgiant\t2\ttwo",
    "number\tdigit\t2\tone",
    "number\tdigit\t2",
    "class\tunit\t hours",
    "same\tone|hours",
    "keep\tone",
    "rule\t\t#1-9\t@nowhere\t{1}",
    "rule\t\t#9-1\t\t{1}",
    "rule\t\t#many\t\t{1}",
    "rule\t\t#1-9\t\t{2}",
    "rule\t\t#1-9\t\t{1:huge}",
    "rule\t\t#1-9\t\t",
    "rule\t\t#1?\t\t{1}",
    "rule\t\t#1|@unit\t\t{1}",
    "rule\t\t!hours\t\tx",
    "rule\t\t#1\t!hours one\t{1}",
    "rule\t\t#1" + " hours" * 12 + "\t\t{1}",
])
def test_mistakes_end_it(tmp_path, line):
    r, c = make(tmp_path, GOOD + line + "\n")
    assert r.returncode != 0 and "x.tsv:5: " in r.stderr and "Traceback" not in r.stderr, r.stderr
    assert not c.exists()
