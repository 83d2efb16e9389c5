"""The one package of a language: its handlers and AWS's SDK, as `setup.sh` installed it, in a ZIP file."""

import io
import pathlib
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
# boto3 describes every service of AWS; the handlers speak to one.
SERVICES = {"lambda", "sts"}
LEFT_OUT = {".map", ".ts", ".pyc", ".md"}


def wanted(path):
    if path.suffix in LEFT_OUT or "__pycache__" in path.parts:
        return False
    if path.parts[:2] == ("botocore", "data") and len(path.parts) > 3:
        return path.parts[2] in SERVICES
    return "dist-types" not in path.parts


def build(prefix, language):
    """The bytes of the ZIP file."""
    sources = [(HERE / language / "handlers", pathlib.Path()), (prefix / language, pathlib.Path())]
    if language == "nodejs":
        sources[1] = (prefix / language / "node_modules", pathlib.Path("node_modules"))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for folder, inside in sources:
            if not folder.is_dir():
                raise SystemExit(f"{folder} is missing; run tests/durable/setup.sh {prefix}")
            for path in sorted(folder.rglob("*")):
                if path.is_file() and wanted(path.relative_to(folder)):
                    archive.write(path, inside / path.relative_to(folder))
    return out.getvalue()
