"""A function as its author meant it: counts the words of its input."""
import json
import pathlib
import sys

own = pathlib.Path(__file__).resolve().parent.parent
counts = {}
for word in (own / "in" / "text").read_text().split():
    counts[word] = counts.get(word, 0) + 1
(own / "out" / "counts.json").write_text(json.dumps(counts, sort_keys=True))
print(f"{len(counts)} words", file=sys.stderr)
