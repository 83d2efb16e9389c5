"""Finds policy sections: {"topic": "damage"} on standard input, the sections that fit best as JSON on standard output."""
import json
import pathlib
import re
import sys


def sections(text):
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title, _, body = part.partition("\n")
        yield title.strip(), " ".join(body.split())


def score(words, title, body):
    return sum(3 * (word in title.lower()) + (word in body.lower()) for word in words)


def main():
    words = re.findall(r"\w{3,}", json.load(sys.stdin)["topic"].lower())
    path = pathlib.Path(__file__).resolve().parent.parent / "data" / "policies.md"
    ranked = sorted(((score(words, t, b), t, b) for t, b in sections(path.read_text(encoding="utf-8"))), key=lambda each: -each[0])
    found = [{"title": t, "text": b} for points, t, b in ranked[:2] if points > 0]
    print(json.dumps({"sections": found} if found else {"error": "no policy about this topic"}, ensure_ascii=False))


if __name__ == "__main__":
    main()
