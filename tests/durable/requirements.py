"""AWS's requirements as data, ours of the same form for what they leave out, and how they are tried."""

import pathlib

import yaml
from compare import fill, generate
from trial import Trial

HERE = pathlib.Path(__file__).resolve().parent
GROUPS = ["step", "wait", "child", "callback", "invoke"]


class Requirement:
    languages = ("python", "nodejs")
    config = {}

    def __init__(self, path):
        data = yaml.safe_load(path.read_text())
        self.id = self.function = path.stem
        self.group = path.parent.name
        self.description = data["description"]
        self.asynchronous = bool(data.get("AsyncInvoke"))
        self.handler = f"{self.group}.{self.group}_{self.id.removeprefix('m-').replace('-', '_')}"
        self.data = data

    def why_not(self, backend):
        return backend.cannot.get(self.id)

    def instance(self):
        """With fresh random values: (input, actions, result, events, logs) and the variables."""
        variables = {name: generate(text) for name, text in self.data.get("Variables", {}).items()}
        parts = (fill(self.data.get(key), variables) for key in ("Input", "CallbackActions", "ExpectedResult"))
        return *parts, self.data["ExpectedExecutionHistory"], fill(self.data.get("ExpectedLogs"), variables), variables

    def run(self, backend, language, name):
        """Why it fails, or None."""
        trial = Trial(backend, self, language)
        try:
            return trial.run(name)
        finally:
            trial.stop_if_running()


def load():
    groups = [HERE / "requirements" / group for group in GROUPS] + [HERE / "more"]
    # 1-2 before 1-10.
    by_number = lambda path: [int(part) for part in path.stem.split("-") if part.isdigit()]  # noqa: E731
    return [Requirement(path) for group in groups for path in sorted(group.glob("*.yaml"), key=by_number)]
