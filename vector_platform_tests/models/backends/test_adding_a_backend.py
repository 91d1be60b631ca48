"""The worked example of a model backend in `docs/contributing.md`: three files."""

from __future__ import annotations

from pathlib import Path

from vector_platform_tests.worked_examples import change_package, example, run_changed

SCRIPT = """
import sys
from pathlib import Path
from vector_platform.models.registry import open_model
from vector_platform.settings import Model
from vector_platform_tests.models.folders import write_transformer_layout

folder = write_transformer_layout(Path(sys.argv[1]) / "folder")
spec = Model(path=str(folder), backend="numpy")
model = open_model("m.v1", spec, cache_dir=Path(sys.argv[1]) / "cache")
print(model.fingerprint.runtime.split()[0])
for vector in model.encode_documents(["north", "east west east"]):
    print(*vector.tolist())
"""


def test_the_example_of_a_model_backend_is_three_files_and_embeds(tmp_path: Path) -> None:
    changed = change_package(example("Add a model backend"), tmp_path)
    assert changed == [
        "vector_platform/models/backends/numpy.py",
        "vector_platform/models/extras.py",
        "vector_platform/settings/models.py",
    ]
    assert run_changed(tmp_path, SCRIPT, str(tmp_path)) == ["numpy", "0.0 1.0", "1.0 0.0"]
