"""Every mayfly.yaml shown in the documentation is accepted by `mayfly validate`."""

import os
import pathlib
import re
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def yaml_examples():
    for page in sorted((ROOT / "docs").glob("*.md")):
        text = page.read_text()
        for match in re.finditer(r"^```yaml\n(version: 1\n.*?)^```$", text, re.M | re.S):
            yield f"{page.name}:{text[: match.start()].count(chr(10)) + 2}", match.group(1)


def test_yaml_examples_validate():
    binary = os.environ.get("MAYFLY_BIN", str(ROOT / "build/dev/apps/mayfly"))
    examples = list(yaml_examples())
    assert len(examples) >= 4, "the documentation lost its examples"
    problems = []
    for place, text in examples:
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "mayfly.yaml").write_text(text)
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
