#!/usr/bin/python3
"""Writes tests/data/micro.tiktoken: the part of the multilingual rank file that the micro model's tests need.

    make_rank_subset.py RANK_FILE GOLDEN.json... > micro.tiktoken

Kept are the 256 single bytes, every text token that the goldens' results contain, the tokens of the texts below,
and every token that is formed on the way while one of these is encoded. At each step of merging, the pair with
the lowest rank in the full file is therefore in the subset, too: it gives the same ids for these texts.
"""
import base64
import json
import sys

WORDS = "zero one two three four five six seven eight nine".split()
HANZI = "零一二三四五六七八九"
# What the model was taught to say, and the prompts of the tests.
TEXTS = (
    [" " + w for w in WORDS] + WORDS + [" " + w.capitalize() for w in WORDS] + list(HANZI)
    + [a + b for a in HANZI for b in HANZI]
    + [" Hello", " world", " Turn", " on", " off", " the", " light", " Thank", " you", ".", ",", "!", "?", " -", "-",
       "打开灯", "关灯", "关上灯", "你好", "世界", "谢谢", "。", "，", "！", "、", " ", "one", " one", "."]
)


def read_ranks(path):
    ranks = {}
    with open(path, "rb") as f:
        for line in f:
            token, rank = line.split(b" ")
            data = b"" if token == b"=" else base64.b64decode(token)
            if data:
                ranks[data] = int(rank)
    return ranks


def formed(ranks, piece):
    """The tokens that exist at any time while `piece` is merged; the piece itself is a token at once, but an
    encoder may as well have to build it."""
    parts = [piece[i:i + 1] for i in range(len(piece))]
    seen = set(parts)
    while len(parts) > 1:
        best = min(range(len(parts) - 1), key=lambda i: ranks.get(parts[i] + parts[i + 1], 1 << 30))
        if parts[best] + parts[best + 1] not in ranks:
            break
        parts[best:best + 2] = [parts[best] + parts[best + 1]]
        seen.add(parts[best])
    if piece in ranks:
        seen.add(piece)
    return seen


def tokens_of(value):
    """All lists under a "tokens" key."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "tokens":
                yield from item
            else:
                yield from tokens_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from tokens_of(item)


def main():
    ranks = read_ranks(sys.argv[1])
    by_id = {rank: data for data, rank in ranks.items()}
    wanted = {bytes([b]) for b in range(256)}
    for path in sys.argv[2:]:
        with open(path, encoding="utf-8") as f:
            for token in tokens_of(json.load(f)["runs"]):
                if token in by_id:
                    wanted |= formed(ranks, by_id[token])
    for text in TEXTS:
        wanted |= formed(ranks, text.encode())
    for data in sorted(wanted, key=ranks.__getitem__):
        print(base64.b64encode(data).decode(), ranks[data])


if __name__ == "__main__":
    main()
