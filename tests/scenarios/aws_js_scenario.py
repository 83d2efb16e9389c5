"""AWS's SDK for JavaScript v3 against the real binary: the Lambda client, by endpoint URL alone, with signed requests.

The pinned package is installed into build/aws-js, or taken from the folder in AWS_JS.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lib import ROOT, Server, TemporaryFolder, environment

HERE = pathlib.Path(__file__).resolve().parent / "aws"
CLIENTS = pathlib.Path(os.environ.get("AWS_JS", ROOT / "build/aws-js"))
HANDLER = """export const handler = async (event) => {
  if (event.fail) throw new Error('as asked');
  return { got: event };
};
"""


def main():
    CLIENTS.mkdir(parents=True, exist_ok=True)
    for file in HERE.iterdir():
        shutil.copy(file, CLIENTS)
    if not (CLIENTS / "node_modules/@aws-sdk/client-lambda").exists():
        done = subprocess.run(["npm", "install", "--no-fund", "--no-audit", "--silent"], cwd=CLIENTS, capture_output=True, text=True)
        if done.returncode != 0:
            print(f"skipped: the SDK cannot be installed: {done.stderr.strip()[-400:]}")
            print("0 passed, 0 failed")
            return 0
    with TemporaryFolder() as folder, Server(folder / "data") as server:
        with zipfile.ZipFile(folder / "code.zip", "w") as archive:
            archive.writestr("index.mjs", HANDLER)
        keys = {"AWS_ACCESS_KEY_ID": "MAYFLYKEY" + server.key.split("_")[1].upper(), "AWS_SECRET_ACCESS_KEY": server.key,
                "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL_LAMBDA": server.url}
        return subprocess.run(["node", "lambda_check.mjs", str(folder / "code.zip")], cwd=CLIENTS, env=environment(**keys), timeout=300).returncode


if __name__ == "__main__":
    sys.exit(main())
