"""Fingerprints: everything that decides a model version's vectors, in one digest.

Belongs here: the value, its digest, and how two of them differ.

What is in: the bytes of weights, tokenizer and module configuration; dimension; normalisation;
the longest input; both prompts; the backend with its precision; and the runtime that does the
arithmetic, as far as a release of it is known to move vectors: major.minor of torch or
OpenVINO, the major of transformers (which holds the architectures). What is out, because no
vector depends on it: the folder's place, batch size, thread count, patch releases, and
libraries that only load files. The static backend and the OpenVINO export are our own:
`STATIC_RUNTIME` and `OPENVINO_EXPORT` count their changes. The processor is not part of it
either: bits are promised on one machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vector_platform.lake.contract import canonical_json
from vector_platform.models.extras import extra_of, library_of
from vector_platform.models.identity.folder import ModelFolder
from vector_platform.models.identity.hashing import hash_files
from vector_platform.settings import Model

# Raised when the arithmetic of `models/backends/static.py` changes the vectors.
STATIC_RUNTIME = "static 1"
# Raised when the export of `models/backends/openvino.py` changes.
OPENVINO_EXPORT = "export 2"
# Kind and backend of a version that runs elsewhere.
ENDPOINT = "endpoint"


@dataclass(frozen=True)
class Fingerprint:
    """What a model version's vectors depend on.

    Attributes:
        kind: `transformer`, `static`, `endpoint` or `given`.
        weights: SHA-256 over the weight files.
        tokenizer: SHA-256 over the tokenizer's files.
        configuration: SHA-256 over the module configuration (architecture, pooling).
        pooling: How token vectors become one.
        normalisation: Always `l2`: the lake holds unit vectors.
        dimension: Length of a vector.
        max_tokens: Tokens of a text that are read; the rest is cut off.
        document_prompt: Put before every document.
        query_prompt: Put before every query.
        backend: Inference backend and precision.
        runtime: Library and release that compute, e.g. `torch 2.13, transformers 5`.
        lineage: Of a version made from others: which, and how. Of one whose weights are not here:
            what was declared. None for weights of its own.
    """

    kind: str
    weights: str
    tokenizer: str
    configuration: str
    pooling: str
    normalisation: str
    dimension: int
    max_tokens: int
    document_prompt: str
    query_prompt: str
    backend: str
    runtime: str
    lineage: Mapping[str, Any] | None = None

    @property
    def details(self) -> dict[str, Any]:
        """The fields by name, ready for JSON and for people."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @cached_property
    def digest(self) -> str:
        """First 128 bits, as 32 hex digits, of the SHA-256 over all fields."""
        return hashlib.sha256(canonical_json(self.details).encode()).hexdigest()[:32]


def fingerprint_of(name: str, spec: Model, folder: ModelFolder, *, cache_dir: Path) -> Fingerprint:
    """The fingerprint of a model folder run as the settings say. Hashes files, loads nothing.

    Raises:
        MissingExtra: The backend's library is not installed.
    """
    extra = extra_of(spec)
    if extra is not None:
        extra.require(f"model {name}")

    def digest(paths: tuple[Path, ...]) -> str:
        return hash_files(paths, root=folder.root, cache_dir=cache_dir)

    return Fingerprint(
        kind=spec.kind,
        weights=digest(folder.weights),
        tokenizer=digest(folder.tokenizer),
        configuration=digest(folder.configuration),
        pooling=folder.pooling,
        normalisation="l2",
        dimension=folder.dimension,
        max_tokens=spec.max_tokens,
        document_prompt=spec.document_prompt,
        query_prompt=spec.query_prompt,
        backend=spec.backend,
        runtime=STATIC_RUNTIME if spec.kind == "static" else _runtime(library_of(spec)),
    )


def _runtime(library: str) -> str:
    release = ".".join(version(library).split("+")[0].split(".")[:2])
    major = version("transformers").split(".")[0]
    export = f", {OPENVINO_EXPORT}" if library == "openvino" else ""
    return f"{library} {release}, transformers {major}{export}"
