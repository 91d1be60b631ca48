"""The wordllama package's token vectors as a sentence-transformers folder.

Belongs here: that one conversion. The package's own loader does not find its bundled tokenizer
without a network; the two files it ships are enough: token vectors (float16, widened exactly to
float32) and a tokenizer. The folder has the layout that
`SentenceTransformer(modules=[StaticEmbedding, Normalize]).save()` writes, so that library, or a
user, can open it too. The weights are derived from models of others: they are read from the
installed package and never shipped with this one.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from vector_platform.models.errors import ModelUnavailableError
from vector_platform.models.identity.artifacts import build_once
from vector_platform.models.identity.hashing import hash_file

WEIGHTS = "weights/l2_supercat_256.safetensors"
TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"
# Raised when this conversion writes something else from the same files.
CONVERSION = "1"
_MODULES = "sentence_transformers.sentence_transformer.modules.static_embedding.StaticEmbedding"
_NORMALIZE = "sentence_transformers.base.modules.normalize.Normalize"


def convert_wordllama(name: str, package: Path, cache_dir: Path) -> Path:
    """The folder converted from an installed wordllama, made on the first call.

    Args:
        name: The model version, for messages.
        package: The folder of the installed package.
        cache_dir: Where converted folders and hashes are kept.

    Raises:
        ModelUnavailableError: This release of the package does not hold the files.
    """
    sources = [package / WEIGHTS, package / TOKENIZER]
    missing = [str(path) for path in sources if not path.is_file()]
    if missing:
        raise ModelUnavailableError(
            name, f"package wordllama lacks {', '.join(missing)}; install wordllama==0.4.0.post1"
        )
    hashes = [hash_file(path, cache_dir) for path in sources]
    key = hashlib.sha256("\n".join([CONVERSION, *hashes]).encode()).hexdigest()[:16]

    def build(folder: Path) -> None:
        import numpy as np
        from safetensors.numpy import load_file, save_file

        weights = load_file(sources[0])["embedding.weight"].astype(np.float32)
        save_file({"embedding.weight": weights}, folder / "model.safetensors")
        (folder / "tokenizer.json").write_bytes(sources[1].read_bytes())
        _write_json(
            folder / "modules.json",
            [
                {"idx": 0, "name": "0", "path": "", "type": _MODULES},
                {"idx": 1, "name": "1", "path": "1_Normalize", "type": _NORMALIZE},
            ],
        )
        (folder / "1_Normalize").mkdir()

    return build_once(cache_dir / "converted" / f"wordllama-{key}", build)


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
