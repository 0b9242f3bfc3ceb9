"""tree.py - the files of the tree and what is in them, for the checks beside it."""
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]

NOT_CODE = re.compile(r"""/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.S)


def files(*patterns):
    """Paths relative to the root, of what git tracks or would track."""
    out = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return sorted(p for p in set(out.split("\0")) if p and (ROOT / p).is_file())


def read(path):
    return (ROOT / path).read_text("utf-8")


def code_only(text):
    """C source with its comments and literals blanked, line by line as before."""
    return NOT_CODE.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)
