"""What a sentence-transformers folder says of itself, read without loading the model.

Belongs here: the folder's layout: which files carry weights, tokenizer and configuration, the
dimension, the pooling, the longest input. Only JSON and the safetensors header are read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vector_platform.models.errors import ModelError, ModelUnavailableError

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "tokenizer.model",
    "spiece.model",
)
# `config_sentence_transformers.json` is left out on purpose: it holds the versions of the
# libraries that saved the folder and prompts that the platform does not use.
CONFIGURATION_FILES = ("config.json", "sentence_bert_config.json")
# Tokenizers without a limit write 1e30 here.
NO_LIMIT = 1_000_000


@dataclass(frozen=True)
class ModelFolder:
    """A sentence-transformers folder.

    Attributes:
        root: The folder.
        kind: `static` (token vectors averaged) or `transformer`.
        weights: Files of weights; safetensors where there are any, else PyTorch pickles.
        tokenizer: Files of the tokenizer.
        configuration: `modules.json` and the configuration of each module.
        dimension: Length of the vectors.
        pooling: How token vectors become one, e.g. `mean`.
        include_prompt: Whether the tokens of a prompt are pooled.
        position_limit: Longest input in tokens that the architecture can hold, if it has one.
    """

    root: Path
    kind: Literal["transformer", "static"]
    weights: tuple[Path, ...]
    tokenizer: tuple[Path, ...]
    configuration: tuple[Path, ...]
    dimension: int
    pooling: str
    include_prompt: bool
    position_limit: int | None


def read_folder(name: str, root: Path) -> ModelFolder:
    """Read the layout of a sentence-transformers folder.

    Args:
        name: The model version, for messages.
        root: The folder.

    Raises:
        ModelUnavailableError: No such folder, or weights or tokenizer are missing from it.
        ModelError: The folder is not one that sentence-transformers wrote.
    """
    if not root.is_dir():
        raise ModelUnavailableError(name, f"{root} is no folder")
    if not (root / "modules.json").is_file():
        raise ModelError(
            name,
            f"{root} has no modules.json, so pooling is unknown; "
            "save the model once with SentenceTransformer(...).save(folder)",
        )
    modules = _modules(name, root)
    first = str(modules[0]["type"]).rsplit(".", 1)[-1]
    kind: Literal["transformer", "static"] = (
        "static" if first == "StaticEmbedding" else "transformer"
    )
    folders = [root / str(module.get("path", "")) for module in modules]
    _require_known(name, root, [str(module["type"]) for module in modules])
    weights = tuple(path for folder in folders for path in _weights(folder))
    if not any(path.parent == folders[0] for path in weights):
        raise ModelUnavailableError(
            name, f"{folders[0]} holds no *.safetensors and no pytorch_model*.bin"
        )
    if lost := sorted({shard for folder in folders for shard in _lost_shards(folder)}):
        raise ModelUnavailableError(
            name, f"{root} holds not all of its weights: {', '.join(lost[:3])} is not there"
        )
    tokenizer = _present(folders[:1], TOKENIZER_FILES)
    if not tokenizer:
        raise ModelUnavailableError(name, f"{folders[0]} holds no tokenizer file")
    pooling, dimension, include_prompt = (
        ("mean", _static_dimension(name, weights), True)
        if kind == "static"
        else _pooling(name, modules, folders)
    )
    return ModelFolder(
        root=root,
        kind=kind,
        weights=weights,
        tokenizer=tokenizer,
        configuration=(root / "modules.json", *_present(folders, CONFIGURATION_FILES)),
        dimension=dimension,
        pooling=pooling,
        include_prompt=include_prompt,
        position_limit=None if kind == "static" else _position_limit(folders[0]),
    )


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _modules(name: str, root: Path) -> list[dict[str, Any]]:
    modules = _json(root / "modules.json")
    if not isinstance(modules, list) or not modules or any("type" not in m for m in modules):
        raise ModelError(name, f"{root / 'modules.json'} lists no modules")
    return sorted(modules, key=lambda module: int(module.get("idx", 0)))


def _require_known(name: str, root: Path, types: list[str]) -> None:
    """Refuse code of the folder's own, and what a static model would leave out; loads nothing."""
    foreign = [one for one in types if not one.startswith("sentence_transformers.")]
    if foreign:
        raise ModelError(
            name,
            f"{root / 'modules.json'} names {foreign[0]!r}, which is code of its own; only modules "
            "of sentence-transformers are run",
        )
    first, *after = (one.rsplit(".", 1)[-1] for one in types)
    left_out = [one for one in after if one != "Normalize"]
    if first == "StaticEmbedding" and left_out:
        raise ModelError(
            name, f"{root} puts {left_out[0]} behind a static embedding, which is not supported"
        )


def _lost_shards(folder: Path) -> list[str]:
    """Files of weights that an index names and that are not there: a download was cut off."""
    named: set[str] = set()
    for index in (*folder.glob("*.safetensors.index.json"), *folder.glob("*.bin.index.json")):
        kind = ".safetensors" if ".safetensors" in index.name else ".bin"
        if kind == ".bin" and any(folder.glob("*.safetensors")):
            continue
        named.update(map(str, (_json(index).get("weight_map") or {}).values()))
    return [shard for shard in named if not (folder / shard).is_file()]


def _weights(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))


def _present(folders: list[Path], names: tuple[str, ...]) -> tuple[Path, ...]:
    found = (folder / name for folder in folders for name in names)
    return tuple(path for path in dict.fromkeys(found) if path.is_file())


def _pooling(
    name: str, modules: list[dict[str, Any]], folders: list[Path]
) -> tuple[str, int, bool]:
    pooling, dimension, include_prompt = "", 0, True
    for module, folder in zip(modules, folders, strict=True):
        config = _json(folder / "config.json")
        kind = str(module["type"]).rsplit(".", 1)[-1]
        if kind == "Pooling":
            modes = _pooling_modes(config)
            width = config.get("embedding_dimension", config.get("word_embedding_dimension", 0))
            pooling, dimension = "+".join(modes), int(width) * len(modes)
            include_prompt = bool(config.get("include_prompt", True))
        elif kind == "Dense":
            dimension = int(config["out_features"])
    if not pooling or not dimension:
        raise ModelError(name, f"{folders[0]}: modules.json names no Pooling with a dimension")
    return pooling, dimension, include_prompt


def _pooling_modes(config: dict[str, Any]) -> list[str]:
    mode = config.get("pooling_mode")
    if mode is not None:
        return [mode] if isinstance(mode, str) else [str(item) for item in mode]
    prefix = "pooling_mode_"
    chosen = [
        key.removeprefix(prefix) for key, on in config.items() if key.startswith(prefix) and on
    ]
    return [mode.removesuffix("_tokens").removesuffix("_token") for mode in chosen]


def _static_dimension(name: str, weights: tuple[Path, ...]) -> int:
    from safetensors import safe_open

    if weights[0].suffix != ".safetensors":
        raise ModelError(name, f"{weights[0].name}: static weights are read from safetensors only")
    with safe_open(weights[0], framework="numpy") as file:
        if "embedding.weight" not in file.keys():  # noqa: SIM118 (not a dict)
            raise ModelError(name, f"{weights[0].name} holds no tensor embedding.weight")
        return int(file.get_slice("embedding.weight").get_shape()[1])


def _position_limit(folder: Path) -> int | None:
    limits = [
        _json(folder / "config.json").get("max_position_embeddings"),
        _json(folder / "tokenizer_config.json").get("model_max_length"),
    ]
    known = [int(limit) for limit in limits if limit is not None and 0 < limit < NO_LIMIT]
    return min(known, default=None)
