"""Opening the model versions of `platform.yaml`.

Belongs here: from a name and its settings to an embedder. Opening imports no inference library and
loads no weights; it hashes files, once per machine.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import pyarrow as pa

from vector_platform.lake.contract import MODEL_VERSIONS, canonical_json
from vector_platform.models.backends.static import StaticEmbedder
from vector_platform.models.backends.transformer import TransformerEmbedder
from vector_platform.models.base import Embedder
from vector_platform.models.derived.versions import open_derived
from vector_platform.models.errors import ModelError
from vector_platform.models.extras import library_of
from vector_platform.models.given.version import Proven, open_given
from vector_platform.models.identity.fingerprint import fingerprint_of
from vector_platform.models.identity.folder import ModelFolder, read_folder
from vector_platform.models.identity.origins import find_weights
from vector_platform.settings import Model


def open_model(
    name: str,
    spec: Model,
    *,
    cache_dir: Path,
    root: Path | None = None,
    open_base: Callable[[str], Embedder] | None = None,
    proven: Proven | None = None,
) -> Embedder:
    """Open a model version.

    Args:
        name: The model version.
        spec: Its settings.
        cache_dir: Folder for file hashes, conversions and exports; may be deleted at any time.
        root: What a relative `path` is relative to (`Settings.root`); the working directory
            when not given.
        open_base: Opens the model versions that this one is made from, by name; needed only for
            one that is, and for one whose vectors are given.
        proven: Why a query model has not reproduced given vectors; without it, it counts as not
            compared with them.

    Returns:
        The embedder, not loaded yet.

    Raises:
        ModelError: The weights cannot be had, or do not fit the settings.
        ModelDownloadError: The hub did not answer; a retry may help.
    """
    if spec.given is not None:
        return open_given(name, spec, open_base=open_base, proven=proven or _nobody_knows)
    if spec.endpoint is not None:
        from vector_platform.models.endpoint.version import open_endpoint

        return open_endpoint(name, spec)
    root = Path.cwd() if root is None else root
    weights = find_weights(name, spec, cache_dir=cache_dir, root=root)
    if spec.bases:
        if open_base is None:
            raise ModelError(name, f"made from {', '.join(spec.bases)}, which nobody opens here")
        return open_derived(name, spec, weights, cache_dir=cache_dir, open_base=open_base)
    folder = read_folder(name, weights)
    require_fit(name, spec, folder)
    fingerprint = fingerprint_of(name, spec, folder, cache_dir=cache_dir)
    if spec.kind == "static":
        return StaticEmbedder(name, fingerprint, folder)
    backend = import_module(f"vector_platform.models.backends.{library_of(spec)}")
    embedder: type[TransformerEmbedder] = backend.EMBEDDER
    return embedder(name, fingerprint, folder, batch_tokens=spec.batch_tokens, cache_dir=cache_dir)


def _nobody_knows(given: Embedder, model: Embedder) -> str:
    return f"whether query model {model.name} makes its vectors is not known here"


def require_fit(name: str, spec: Model, folder: ModelFolder) -> None:
    """See that a model version's settings fit the folder with its weights.

    Raises:
        ModelError: They do not.
    """
    if spec.kind != folder.kind:
        raise ModelError(
            name,
            f"kind is {spec.kind} but {folder.root} holds a {folder.kind} model; "
            f"set kind: {folder.kind}",
        )
    if folder.position_limit is not None and spec.max_tokens > folder.position_limit:
        raise ModelError(
            name,
            f"max_tokens is {spec.max_tokens} but the model holds {folder.position_limit}; "
            f"set max_tokens: {folder.position_limit} or less",
        )
    if not folder.include_prompt and (spec.document_prompt or spec.query_prompt):
        raise ModelError(
            name, "the model pools without its prompt, which is not supported; leave prompts empty"
        )


def registration(embedder: Embedder, run_id: str) -> pa.Table:
    """The row that binds a model version's name to its fingerprint in the lake."""
    row = {
        "model_version": embedder.name,
        "fingerprint": embedder.fingerprint.digest,
        "dimension": embedder.dimension,
        "details": canonical_json(embedder.fingerprint.details),
        "registered_at": datetime.now(UTC),
        "run_id": run_id,
    }
    return pa.Table.from_pylist([row], schema=MODEL_VERSIONS.schema)
