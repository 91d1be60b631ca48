"""From the settings of a model version to the folder with its weights.

Belongs here: the three origins (an installed package, a path, the hub). Packages are located,
never imported: importing one may pull in torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from vector_platform.faults import first_line
from vector_platform.models.errors import ModelDownloadError, ModelError, ModelUnavailableError
from vector_platform.models.identity.wordllama import convert_wordllama
from vector_platform.settings import Model

# What a folder needs; exports for other runtimes and training data stay on the hub.
_HUB_FILES = ["*.json", "*.txt", "*.model"]
_ASKING_SECONDS = 5.0
_HUB_IGNORED = ["onnx/*", "openvino/*", "data_config.json", "train_script.py"]


def find_weights(name: str, spec: Model, *, cache_dir: Path, root: Path) -> Path:
    """The sentence-transformers folder of a model version.

    Args:
        name: The model version, for messages.
        spec: Its settings.
        cache_dir: Where conversions are kept.
        root: What a relative `path` is relative to (the folder of `platform.yaml`).

    Raises:
        ModelUnavailableError: The weights cannot be had as configured.
        ModelDownloadError: The hub did not answer; a retry may help.
    """
    if spec.endpoint is not None or spec.given is not None:
        raise ModelUnavailableError(name, "its weights are not here, and none can be read")
    if spec.package is not None:
        return _in_package(name, spec.package, cache_dir)
    if spec.path is not None:
        folder = (root / Path(spec.path).expanduser()).resolve()
        if not folder.is_dir():
            raise ModelUnavailableError(
                name, f"path {spec.path!r} is no folder (looked for {folder})"
            )
        return folder
    return _on_hub(name, str(spec.hub), spec.revision)


def require_on_hub(name: str, hub: str, revision: str | None) -> None:
    """See that a hub has a model; nothing is downloaded.

    Raises:
        ModelError: As in `find_weights`.
        ModelDownloadError: As in `find_weights`.
    """
    from huggingface_hub import HfApi

    with _hub_errors(name, hub, revision):
        HfApi().model_info(hub, revision=revision, timeout=_ASKING_SECONDS)


def _in_package(name: str, package: str, cache_dir: Path) -> Path:
    module = package.replace("-", "_")
    if not module.isidentifier():
        raise ModelError(name, f"{package!r} is no name of a package")
    found = find_spec(module)
    if found is None or not found.submodule_search_locations:
        raise ModelUnavailableError(
            name, f"package {package!r} is not installed; pip install {package.replace('_', '-')}"
        )
    folder = Path(next(iter(found.submodule_search_locations)))
    if module == "wordllama":
        return convert_wordllama(name, folder, cache_dir)
    models = sorted(path.parent for path in folder.rglob("modules.json"))
    if len(models) != 1:
        where = ", ".join(str(path.relative_to(folder)) for path in models) or "none"
        raise ModelUnavailableError(
            name,
            f"package {package!r} must hold one sentence-transformers folder, found: {where}; "
            "use `path` to name a folder",
        )
    return models[0]


def _on_hub(name: str, hub: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    def download(patterns: list[str]) -> Path:
        return Path(
            snapshot_download(
                hub, revision=revision, allow_patterns=patterns, ignore_patterns=_HUB_IGNORED
            )
        )

    with _hub_errors(name, hub, revision):
        folder = download([*_HUB_FILES, "*.safetensors"])
        if not any(folder.rglob("*.safetensors")):
            folder = download([*_HUB_FILES, "pytorch_model*.bin"])
    return folder


@contextmanager
def _hub_errors(name: str, hub: str, revision: str | None) -> Iterator[None]:
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    what = f"hub model {hub!r}" + (f" at revision {revision!r}" if revision else "")
    try:
        yield
    except (GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise ModelUnavailableError(name, f"{what} does not exist or is not open to you") from error
    except HFValidationError as error:
        raise ModelError(name, f"{hub!r} is no hub id (organisation/model)") from error
    except LocalEntryNotFoundError as error:
        if is_offline():
            raise ModelUnavailableError(
                name,
                f"{what} is not in the local hub cache and HF_HUB_OFFLINE=1 forbids a download; "
                "unset it once, or use `package` or `path`",
            ) from error
        said = first_line(error, "no answer")
        raise ModelDownloadError(f"model {name}: {what} cannot be reached: {said}") from error
    except OSError as error:
        said = first_line(error, type(error).__name__)
        raise ModelDownloadError(f"model {name}: {what} cannot be downloaded: {said}") from error


def is_offline() -> bool:
    """Whether the environment forbids to ask a hub, so that only its cache is looked into."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
