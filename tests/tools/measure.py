"""measure.py - how long files and functions are.

In this layout a brace alone in the first column opens or closes a function and nothing else; a function's
length is counted from its opening to its closing brace, both included.
"""
import re

import tree


def functions(path, text):
    """(length, "path:line", name) of every function."""
    found, start = [], None
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            found.append((number - start + 1, f"{path}:{start}", name_above(lines, start)))
            start = None
    return found


def name_above(lines, brace_line):
    """The word before the parameter list that ends just above the brace."""
    head = ""
    for line in reversed(lines[max(0, brace_line - 9) : brace_line - 1]):
        head = f"{line.strip()} {head}"
        if line[:1].strip() and "(" in line:
            break
    m = re.search(r"(\w+)\s*\(", head)
    return m.group(1) if m else "?"


def all_functions():
    return [f for p in tree.files("*.c", "*.h") for f in functions(p, tree.read(p))]


def all_files():
    return [(tree.read(p).count("\n"), p) for p in tree.files("*.c", "*.h")]


def quantile(sorted_values, q):
    return sorted_values[min(len(sorted_values) - 1, int(q * len(sorted_values)))] if sorted_values else 0
