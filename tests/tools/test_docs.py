"""Links in the documentation lead somewhere; the two READMEs say the same."""
import os
import re

import tree

FENCE = re.compile(r"^```[^\n]*\n(.*?)^```[ \t]*$", re.M | re.S)
HEADING = re.compile(r"^(#{1,6})[ \t]+(.+?)[ \t]*$", re.M)
LINK = re.compile(r"\]\(([^()\s]+)\)")
ELSEWHERE = re.compile(r"[a-z]+:")


def prose(text):
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))


def headings(text):
    return HEADING.findall(FENCE.sub("", text))


def anchors(text):
    """As the usual renderers make them: lower case, punctuation dropped, blanks to hyphens."""
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for _, title in headings(text)}


def broken_links(path, text, exists, read):
    found = []
    for link in LINK.findall(prose(text)):
        if ELSEWHERE.match(link):
            continue
        name, _, anchor = link.partition("#")
        target = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
        if not exists(target):
            found.append(f"{path}: {link}: no such file")
        elif anchor and anchor not in anchors(read(target) if name else text):
            found.append(f"{path}: {link}: no such heading")
    return found


def differences(a, b):
    found = []
    if [len(h[0]) for h in headings(a)] != [len(h[0]) for h in headings(b)]:
        found.append("other headings")
    if FENCE.findall(a) != FENCE.findall(b):
        found.append("other code blocks")
    return found


def test_links_lead_somewhere():
    pages = tree.files("*.md")
    assert pages
    exists = lambda p: (tree.ROOT / p).exists()  # noqa: E731
    assert [v for p in pages for v in broken_links(p, tree.read(p), exists, tree.read)] == []


def test_every_page_is_in_the_index():
    index = tree.read("docs/README.md")
    pages = [p.split("/", 1)[1] for p in tree.files("docs/*.md") if p != "docs/README.md"]
    assert [p for p in pages if f"]({p})" not in index] == []


def test_readmes_say_the_same():
    assert differences(tree.read("README.md"), tree.read("README.zh-CN.md")) == []


def test_planted_violations_are_found():
    pages = {"docs/a.md": "# One, two\n[b](b.md#three-four) [self](#one-two) [out](https://x.y/z)\n`[no](link)`\n",
             "docs/b.md": "## Three Four\n```\n# no heading\n[no](link)\n```\n"}

    def check(extra):
        return broken_links("docs/a.md", pages["docs/a.md"] + extra, pages.__contains__, pages.__getitem__)

    assert check("") == []
    assert len(check("[x](c.md)\n")) == 1
    assert len(check("[x](b.md#no-heading)\n")) == 1
    assert len(check("![x](../b.md) [y](#none)\n")) == 2
    assert differences("# A\n```sh\nx\n```\n", "# 甲\n```sh\nx\n```\n") == []
    assert differences("# A\n```sh\nx\n```\n", "# 甲\n```sh\ny\n```\n") == ["other code blocks"]
    assert differences("# A\n## B\n", "# 甲\n") == ["other headings"]
