"""prometheus.py - a strict reader of Prometheus' text format 0.0.4."""
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
HELP = re.compile(rf"# HELP ({NAME}) (.+)\Z")
TYPE = re.compile(rf"# TYPE ({NAME}) (counter|gauge|histogram|summary|untyped)\Z")
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)\Z")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|\Z)')
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("", "_sum", "_count")}


def parse_value(text):
    assert re.fullmatch(r"[+-]?([0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?|Inf)|NaN", text), f"bad value {text!r}"
    return float(text)


def parse_labels(text):
    labels, at = {}, 0
    while at < len(text):
        m = LABEL.match(text, at)
        assert m, f"bad labels {text!r}"
        assert m.group(1) not in labels, f"label twice in {text!r}"
        labels[m.group(1)] = m.group(2)
        at = m.end()
    return labels


class Family:
    def __init__(self, name, kind):
        self.name, self.kind = name, kind
        self.samples = {}  # (name, ((label, value), ...)) -> number

    def total(self, **labels):
        """Sum of the family's samples (of a histogram: its observations) whose labels match."""
        name = self.name + ("_count" if self.kind == "histogram" else "")
        return sum(
            v for (n, ls), v in self.samples.items() if n == name and labels.items() <= dict(ls).items()
        )

    def series(self):
        """The label sets, without `le`."""
        return {tuple(kv for kv in ls if kv[0] != "le") for _, ls in self.samples}

    def check(self):
        if self.kind == "counter":
            assert all(v >= 0 for v in self.samples.values()), self.name
        if self.kind == "histogram":
            for labels in self.series():
                self._check_histogram(labels)

    def _check_histogram(self, labels):
        buckets = [
            (parse_value(dict(ls)["le"]), v)
            for (n, ls), v in self.samples.items()
            if n == self.name + "_bucket" and tuple(kv for kv in ls if kv[0] != "le") == labels
        ]
        assert [b for b, _ in buckets] == sorted({b for b, _ in buckets}), f"{self.name}: bounds must rise"
        assert [v for _, v in buckets] == sorted(
            v for _, v in buckets
        ), f"{self.name}: buckets are cumulative"
        count = self.samples[(self.name + "_count", labels)]
        assert buckets[-1] == (float("inf"), count), f"{self.name}: the last bucket is +Inf and holds all"
        assert self.samples[(self.name + "_sum", labels)] >= 0


def parse(text):
    """name -> Family. Fails on anything that a strict scraper would refuse."""
    assert text.endswith("\n"), "the last line needs its end"
    families, helped, now = {}, set(), None
    for line in text[:-1].split("\n"):
        if h := HELP.match(line):
            assert h.group(1) not in helped | set(families), f"help twice or late: {line!r}"
            helped.add(h.group(1))
        elif t := TYPE.match(line):
            assert t.group(1) not in families, f"family twice: {line!r}"
            now = families[t.group(1)] = Family(*t.groups())
        else:
            s = SAMPLE.match(line)
            assert s and now, f"bad line {line!r}"
            allowed = [now.name + x for x in SUFFIXES.get(now.kind, ("",))]
            assert s.group(1) in allowed, f"{line!r} outside its family"
            key = (s.group(1), tuple(parse_labels(s.group(2) or "").items()))
            assert key not in now.samples, f"series twice: {line!r}"
            now.samples[key] = parse_value(s.group(3))
    for f in families.values():
        assert f.name in helped, f"{f.name} has no help"
        f.check()
    return families
