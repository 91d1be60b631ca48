"""The server's own virtual environment, `.milvus-server/` in the checkout: made once, then kept.

Belongs here: pip, and unpacking the server that the wheel holds. The environment is apart because
the package pins what it likes, and because nothing of the product may depend on it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from filelock import FileLock

#: The newest embedded server on PyPI.
REQUIREMENT: Final = "milvus==2.3.5"
FOLDER: Final = Path(__file__).parents[2] / ".milvus-server"

# The wheel holds the server and its libraries compressed, 80 MB of 250. Its own launcher unpacks
# them into each data folder; unpacked once, every server of the tests shares them.
_UNPACK: Final = """
import lzma, pathlib, sys, milvus
folder = pathlib.Path(sys.argv[1])
folder.mkdir(exist_ok=True)
for packed in (pathlib.Path(milvus.__file__).parent / "data" / "bin").glob("*.lzma"):
    file = folder / packed.stem
    file.write_bytes(lzma.decompress(packed.read_bytes()))
    file.chmod(0o755)
"""


def python() -> Path:
    """The interpreter of the environment."""
    return FOLDER / "bin" / "python"


def binaries() -> Path:
    """Where the server and its libraries are unpacked."""
    return FOLDER / "server"


def installed() -> Path:
    """Make the environment unless it is complete; two callers at once make it once.

    Returns:
        Its folder.
    """
    FOLDER.mkdir(exist_ok=True)
    ready = FOLDER / ".ready"
    with FileLock(FOLDER / ".lock"):
        if not ready.exists() or ready.read_text() != REQUIREMENT:
            _run(sys.executable, "-m", "venv", str(FOLDER))
            _run(str(python()), "-m", "pip", "install", "--quiet", REQUIREMENT)
            _run(str(python()), "-c", _UNPACK, str(binaries()))
            ready.write_text(REQUIREMENT)
    return FOLDER


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
