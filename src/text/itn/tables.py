#!/usr/bin/python3
"""tables.py NAME FILE.tsv OUT.c - the tables of tables.h from the words and rules of a language.

A line is fields between tabs; what they mean is in docs/itn.md. A mistake ends the build with file and line.
"""
import re
import sys

ROLES = ("keep", "join", "article", "point", "repeat",
         "digit", "figure", "count", "teen", "tens", "scale", "vague")
FIRST_NUMBER_ROLE = ROLES.index("digit")
ATOMS = {"": "CARDINAL", "ordinal": "ORDINAL", "digits": "DIGITS", "code": "CODE", "scaled": "SCALED",
         "minutes": "MINUTES", "clock": "CLOCK"}
FORMS = ("natural", "plain", "pad2", "before", "rest", "clock", "phone", "scaled")
IS_ORDINAL, NUMBER_FIRST, NUMBER_LAST, BEGINS = 1, 2, 4, 8
MAX_ELEMENTS, MAX_CLASSES, MAX_WORDS, MAX_NODES = 12, 64, 32767, 65535
U64_MAX = 2**64 - 1


class Mistake(Exception):
    pass


class Word:
    def __init__(self):
        self.role, self.value, self.flags, self.classes = "plain", 0, 0, 0
        self.written, self.not_before = None, []


class Language:
    def __init__(self):
        self.spaced = False
        self.words, self.ids = [], {}  # spelling -> index into words; spellings of one word share it
        self.classes, self.rules, self.rounds = {}, [], []
        self.phrases = []  # idioms and others that a number around them takes apart

    def word(self, spelling):
        if not spelling or spelling != spelling.strip() or re.search(r"[@#?!{}\t]", spelling):
            raise Mistake(f"'{spelling}' is no word")
        spelling = spelling.lower()
        if spelling not in self.ids:
            self.ids[spelling] = len(self.words)
            self.words.append(Word())
        return self.ids[spelling]

    def new_word(self, spelling, role):
        word = self.words[self.word(spelling)]
        if word.role != "plain":
            raise Mistake(f"'{spelling}' is '{word.role}' already")
        word.role = role
        return word


def fields_of(line, least, most):
    fields = line.split("\t")
    if not least <= len(fields) <= most:
        raise Mistake(f"{len(fields)} fields, not {least} to {most}")
    return fields + [""] * (most - len(fields))


def add_number(language, line):
    """number ROLE VALUE SPELLINGS [ordinal]: the spellings are words of their own with one meaning."""
    _, role, value, spellings, ordinal = fields_of(line, 4, 5)
    if role not in ROLES or ordinal not in ("", "ordinal"):
        raise Mistake(f"'{role} {ordinal}' is no part of a number")
    for spelling in spellings.split("|"):
        word = language.new_word(spelling, role)
        word.value = int(value)
        word.flags = IS_ORDINAL if ordinal else 0


def add_same(language, line):
    """same SPELLINGS: one word, spelled in several ways."""
    _, spellings = fields_of(line, 2, 2)
    first, *others = spellings.split("|")
    for other in others:
        if other.lower() in language.ids:
            raise Mistake(f"'{other}' is a word already")
        language.ids[other.lower()] = language.word(first)


def add_class(language, line):
    """class NAME SPELLINGS: each may have =WRITTEN."""
    _, name, spellings = fields_of(line, 3, 3)
    bit = language.classes.setdefault(name, len(language.classes))
    if bit >= MAX_CLASSES:
        raise Mistake("too many classes")
    for spelling in spellings.split("|"):
        spelling, _, written = spelling.partition("=")
        word = language.words[language.word(spelling)]
        word.classes |= 1 << bit
        if written:
            word.written = written


def add_keep(language, line):
    """keep SPELLINGS [NOT BEFORE]: idioms, which are none before one of the others."""
    _, spellings, not_before = fields_of(line, 2, 3)
    for spelling in spellings.split("|"):
        language.new_word(spelling, "keep").not_before = not_before.split("|") if not_before else []
        language.phrases.append(spelling)


def add_round(language, line):
    """round VALUE DECIMALS SUFFIX [OTHER SPELLING]; a blank before a suffix counts."""
    _, value, decimals, suffix, other = fields_of(line, 4, 5)
    language.rounds.append((int(value), int(decimals), suffix, other or None))


def span(text, most):
    """'3' '3-' '-9' '3-9' '' as (least, most)."""
    match = re.fullmatch(r"(\d*)(-?)(\d*)", text)
    if not match:
        raise Mistake(f"'{text}' is no range")
    low, dash, high = match.groups()
    first = int(low or 0)
    last = int(high) if high else most if dash or not low else first
    if first > last:
        raise Mistake(f"'{text}' is no range")
    return first, last


def atom(language, text):
    """'@class', '#1-12', '#digits:3-', or a word."""
    if text.startswith("@"):
        if text[1:] not in language.classes:
            raise Mistake(f"no class '{text}'")
        return "CLASS", language.classes[text[1:]], 0
    if not text.startswith("#"):
        return "WORD", language.word(text), 0
    kind, colon, limits = text[1:].partition(":")
    if not colon and not kind.isalpha():
        kind, limits = "", text[1:]
    if kind not in ATOMS:
        raise Mistake(f"'{text}' is no kind of number")
    return (ATOMS[kind], *span(limits, U64_MAX))


def pattern(language, text, context):
    elements = []
    for element in text.split():
        negated, optional = element.startswith("!"), element.endswith("?")
        if negated and (not context or optional or len(text.split()) > 1):
            raise Mistake(f"'{element}' can only be a context, alone")
        core = element[1:] if negated else element
        elements.append(([atom(language, a) for a in core.removesuffix("?").split("|")], optional, negated))
    if len(elements) > MAX_ELEMENTS:
        raise Mistake("the pattern is too long")
    return elements


def template(text, elements):
    """The C string: literal UTF-8, and for {n:form} the byte 1, '1' + element, '0' + form."""
    out = bytearray()
    for i, piece in enumerate(re.split(r"\{([^{}]*)\}", text)):
        if i % 2 == 0:
            out += piece.encode()
            continue
        number, _, form = piece.partition(":")
        if not number.isdigit() or not 1 <= int(number) <= len(elements) or (form and form not in FORMS):
            raise Mistake(f"'{{{piece}}}' is no part of the pattern")
        out += bytes((1, ord("0") + int(number), ord("0") + FORMS.index(form or "natural")))
    return bytes(out)


def begins_with_number(element):
    return all(a[0] not in ("WORD", "CLASS") for a in element[0])


def begins_with_word(element):
    return all(a[0] in ("WORD", "CLASS") for a in element[0])


def add_rule(language, line):
    """rule LEFT SAID RIGHT WRITTEN"""
    _, left, said, right, written = fields_of(line, 5, 5)
    elements = pattern(language, said, False)
    if not elements or elements[0][1] or not written:
        raise Mistake("a rule says what is said, beginning with something, and what is written")
    if not begins_with_number(elements[0]) and not begins_with_word(elements[0]):
        raise Mistake("a rule begins with numbers or with words")
    language.rules.append((pattern(language, left, True), elements, pattern(language, right, True),
                           template(written, elements)))


def add_say(language, line):
    """say SPELLING WRITTEN: a whole phrase."""
    _, spelling, written = fields_of(line, 3, 3)
    word = language.word(spelling)
    language.phrases.append(spelling)
    language.rules.append(([], [([("WORD", word, 0)], False, False)], [], template(written, [])))


def add_words(language, line):
    """words spaced|anywhere"""
    _, where = fields_of(line, 2, 2)
    if where not in ("spaced", "anywhere"):
        raise Mistake(f"words are 'spaced' or 'anywhere', not '{where}'")
    language.spaced = where == "spaced"


KINDS = {"words": add_words, "number": add_number, "same": add_same, "class": add_class, "keep": add_keep,
         "round": add_round, "rule": add_rule, "say": add_say}


def read(path):
    language = Language()
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            line = line.rstrip("\n")
            if not line or line.startswith("#"):
                continue
            kind = line.split("\t", 1)[0]
            try:
                if kind not in KINDS:
                    raise Mistake(f"'{kind}' begins no line")
                KINDS[kind](language, line)
            except (Mistake, ValueError) as mistake:
                sys.exit(f"{path}:{number}: {mistake}")
    mark_phrases(language)
    mark_beginnings(language)
    return language


def mark_phrases(language):
    """Which of them begin or end with a part of a number."""
    numbers = {s for s, i in language.ids.items() if language.words[i].role in ROLES[FIRST_NUMBER_ROLE:]}
    for phrase in language.phrases:
        ends = phrase.split() if language.spaced else phrase
        language.words[language.word(phrase)].flags |= \
            (NUMBER_FIRST if ends[0] in numbers else 0) | (NUMBER_LAST if ends[-1] in numbers else 0)


def mark_beginnings(language):
    """Which words some rule says first."""
    for _, said, _, _ in language.rules:
        for kind, which, _ in said[0][0]:
            for i, word in enumerate(language.words):
                if kind == "WORD" and i == which or kind == "CLASS" and word.classes >> which & 1:
                    word.flags |= BEGINS


def tree(ids):
    """Nodes (first edge, number of edges, word) and edges (byte, node), breadth first."""
    root = {}
    for spelling, word in ids.items():
        at = root
        for byte in spelling.encode():
            at = at.setdefault(byte, {})
        at[None] = word
    nodes, edges, order = [], [], [root]
    for at in order:
        branches = sorted(b for b in at if b is not None)
        nodes.append((len(edges), len(branches), at.get(None, -1)))
        for byte in branches:
            edges.append((byte, len(order)))
            order.append(at[byte])
    if len(nodes) > MAX_NODES or len(ids) > MAX_WORDS:
        sys.exit("too many words")
    return nodes, edges


def c_string(text):
    if text is None:
        return "NULL"
    data = text if isinstance(text, bytes) else text.encode()
    plain = lambda b: 32 <= b < 127 and b not in b'"\\?'  # noqa: E731
    return '"' + "".join(chr(b) if plain(b) else f"\\{b:03o}" for b in data) + '"'


class Writer:
    """C definitions in order of need; what is in a pattern comes before the rule that points to it."""

    def __init__(self):
        self.lines, self.serial = [], 0

    def array(self, kind, name, items):
        if not items:
            return "NULL"
        self.lines.append(f"static const {kind} {name}[] = {{")
        self.lines += [f"    {item}," for item in items]
        self.lines.append("};")
        return name

    def fresh(self, prefix):
        self.serial += 1
        return f"{prefix}_{self.serial}"

    def pattern(self, elements):
        items = []
        for atoms, optional, negated in elements:
            name = self.array("struct pn_itn_atom", self.fresh("atoms"),
                              [f"{{ PN_ITN_A_{k}, {lo}u, {hi}u }}" for k, lo, hi in atoms])
            items.append(f"{{ {name}, {len(atoms)}, {int(optional)}, {int(negated)} }}")
        return f"{{ {self.array('struct pn_itn_element', self.fresh('elements'), items)}, {len(items)} }}"

    def rules(self, name, rules):
        items = [f"{{ {self.pattern(left)}, {self.pattern(said)}, {self.pattern(right)}, "
                 f"{sum(not optional for _, optional, _ in said)}, {c_string(written)} }}"
                 for left, said, right, written in rules]
        return f"{{ {self.array('struct pn_itn_rule', name, items)}, {len(items)} }}"

    def word(self, w):
        before = self.array("char *const", self.fresh("not_before"),
                            [c_string(b) for b in w.not_before] + ["NULL"]) if w.not_before else "NULL"
        return (f"{{ {w.value}u, {w.classes}u, PN_ITN_{w.role.upper()}, {w.flags}, {c_string(w.written)}, "
                f"{before} }}")


def write(language, name, source):
    out = Writer()
    nodes, edges = tree(language.ids)
    out.array("struct pn_itn_node", "nodes", [f"{{ {e}, {n}, {w} }}" for e, n, w in nodes])
    out.array("struct pn_itn_edge", "edges", [f"{{ {b}, {n} }}" for b, n in edges])
    out.array("struct pn_itn_word", "words", [out.word(w) for w in language.words])
    by_number = out.rules("by_number", [r for r in language.rules if begins_with_number(r[1][0])])
    by_word = out.rules("by_word", [r for r in language.rules if begins_with_word(r[1][0])])
    rounds = out.array("struct pn_itn_round", "rounds",
                       [f"{{ {v}u, {d}, {c_string(s)}, {c_string(o)} }}"
                        for v, d, s, o in sorted(language.rounds, reverse=True)])
    out.lines += [f"const struct pn_itn_language pn_itn_{name} = {{",
                  f"    .spaced = {int(language.spaced)}, .nodes = nodes, .edges = edges, .words = words,",
                  f"    .by_number = {by_number}, .by_word = {by_word},",
                  f"    .rounds = {rounds}, .n_rounds = {len(language.rounds)},", "};"]
    return f'/* Made by tables.py from {source}. */\n#include "text/itn/tables.h"\n\n' + "\n".join(out.lines) + "\n"


def main():
    _, name, path, out = sys.argv
    text = write(read(path), name, path.rsplit("/", 1)[-1])
    with open(out, "w", encoding="utf-8") as f:
        f.write(text)


if __name__ == "__main__":
    main()
