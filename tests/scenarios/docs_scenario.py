"""Every mayfly.yaml shown in the documentation is accepted by `mayfly validate`."""

import os
import pathlib
import re
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def files_of(text):
    """The files that a page shows: code blocks whose first line is a comment with a path."""
    return {path: code for path, code in re.findall(r"^```(?:python|js)\n(?:#|//) (\S+/\S+)\n(.*?)^```$", text, re.M | re.S)}


def yaml_examples():
    for page in sorted((ROOT / "docs").glob("*.md")):
        text = page.read_text()
        for match in re.finditer(r"^```yaml\n(version: 1\n.*?)^```$", text, re.M | re.S):
            yield f"{page.name}:{text[: match.start()].count(chr(10)) + 2}", match.group(1), files_of(text)


def test_yaml_examples_validate():
    binary = os.environ.get("MAYFLY_BIN", str(ROOT / "build/dev/apps/mayfly"))
    examples = list(yaml_examples())
    assert len(examples) >= 4, "the documentation lost its examples"
    problems = []
    for place, text, files in examples:
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "mayfly.yaml").write_text(text)
            for name, code in files.items():
                path = pathlib.Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(code)
            done = subprocess.run([binary, "validate", folder], capture_output=True, text=True, timeout=60)
            if done.returncode != 0:
                problems.append(f"{place}\n{done.stdout}{done.stderr}")
    assert not problems, "\n".join(problems)


def test_links_lead_somewhere():
    missing = []
    for page in sorted((ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+\.md)\)", page.read_text()):
            if not (page.parent / target).exists():
                missing.append(f"{page.name} -> {target}")
    assert not missing, "\n".join(missing)


def test_lambda_operations_are_listed_as_they_are():
    source = (ROOT / "src/server/lambda/lambda_operations.cpp").read_text()
    declared = re.findall(r'Operation\{"\w+",\s*"[^"]+",\s*"(\w+)",\s*\w,\s*(\w+)', source)
    assert len(declared) > 60, "the operations are declared in another way: correct this test"
    page = (ROOT / "docs/lambda-compatibility.md").read_text()
    supported, refused = re.search(r"\| supported \|(.*?)\| refused \|(.*?)\n\n", page, re.S).groups()
    for part, wanted in ((supported, {n for n, f in declared if f != "nullptr"}), (refused, {n for n, f in declared if f == "nullptr"})):
        listed = set(re.findall(r"`(\w+)`", part))
        assert listed == wanted, f"only in the documentation: {listed - wanted}; only in the code: {wanted - listed}"
