"""An environment of its own that holds the wheel, as a user's does, and nothing of the checkout.

Belongs here: building the wheel, installing it beside the libraries of the environment that runs
the tests, and running programs in it. The libraries are those of this environment, by a line in a
`.pth` file, whose own `.pth` files are not read: so the checkout is not on the path.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Programs of libraries that a deployment starts, or a user does.
SCRIPTS = ("create-dagster", "dagster", "dagster-daemon", "dagster-webserver", "dbt", "dg")
# What would let this process's deployment, or its checkout, into another's.
_OURS = ("PYTHONPATH", "VIRTUAL_ENV", "VECTOR_PLATFORM_", "DAGSTER_HOME", "PYTEST_")


@dataclass(frozen=True)
class Installation:
    """The environment.

    Attributes:
        folder: Its folder.
        wheel: What was installed.
    """

    folder: Path
    wheel: Path

    @property
    def scripts(self) -> Path:
        """Folder of its programs."""
        return self.folder / "bin"

    @property
    def environ(self) -> dict[str, str]:
        """What its programs run under."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(_OURS)}
        path = f"{self.scripts}{os.pathsep}{kept['PATH']}"
        return kept | {"PATH": path, "VIRTUAL_ENV": str(self.folder), "COLUMNS": "200"}

    def run(self, *command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run a program, one of its own first, to its end."""
        own = self.scripts / command[0]
        return subprocess.run(
            [str(own) if own.exists() else command[0], *command[1:]],
            cwd=cwd,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )

    def add(self, sources: Path) -> None:
        """Put a folder of modules on the path, as `pip install -e` does for a project."""
        (purelib,) = self.folder.glob("lib/python*/site-packages")
        (purelib / "project.pth").write_text(f"{sources}\n", encoding="utf-8")

    def says(self, *command: str, cwd: Path) -> str:
        """What a program prints that must end well."""
        done = self.run(*command, cwd=cwd)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def build_wheel(folder: Path) -> Path:
    """The wheel of the checkout, built by the backend that `pyproject.toml` names."""
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT))
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(folder: Path) -> Installation:
    """Build the wheel and install it into an environment of its own."""
    wheel = build_wheel(folder)
    found = Installation(folder / "environment", wheel)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(found.folder)], check=True)
    python = found.scripts / "python"
    _pip("--python", str(python), "install", "--no-deps", "--no-index", str(wheel))
    (purelib,) = found.folder.glob("lib/python*/site-packages")
    (purelib / "libraries.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    for point in entry_points(group="console_scripts"):
        if point.name in SCRIPTS:
            script = found.scripts / point.name
            called = f"from {point.module} import {point.attr}\n{point.attr}()\n"
            script.write_text(f"#!{python}\n{called}", encoding="utf-8")
            script.chmod(0o755)
    return found


def _pip(*arguments: str) -> None:
    quiet = ("--quiet", "--disable-pip-version-check", "--no-input")
    command = [sys.executable, "-m", "pip", *quiet, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
