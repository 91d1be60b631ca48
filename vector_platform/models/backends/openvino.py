"""Transformers run by OpenVINO (the extra `openvino`).

Belongs here: the one-time export of encoder, pooling and normalisation, and running it. The export
goes through torch and ONNX once, into a folder named by what it was made of; after that neither
torch nor sentence-transformers is imported. fp32 and bf16 share one export: precision is a hint at
compile time. bf16 takes effect on processors with AVX512-BF16 or AMX; elsewhere OpenVINO computes
in fp32.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np

from vector_platform.models.backends.torch import fast_tokenizer, load_sentence_transformer
from vector_platform.models.backends.transformer import Ids, Runner, TransformerEmbedder
from vector_platform.models.base import Vectors, unit_rows
from vector_platform.models.errors import ModelError
from vector_platform.models.extras import EXPORTING, OPENVINO
from vector_platform.models.identity.artifacts import build_once

# An export in fp32 that loses anything but rounding is not the model.
LEAST_EXPORT_COSINE = 0.9999


class OpenVinoEmbedder(TransformerEmbedder):
    """A sentence-transformers model exported to OpenVINO."""

    def _load(self) -> Runner:
        OPENVINO.require(f"model {self.name}")
        from tokenizers import Tokenizer

        exported = build_once(self._export_folder(), self._export)
        precision = "bf16" if self.fingerprint.backend == "openvino-bf16" else "f32"
        pad_id = json.loads((exported / "export.json").read_text(encoding="utf-8"))["pad_id"]
        tokenizer = Tokenizer.from_file(str(exported / "tokenizer.json"))
        return Runner(tokenizer, pad_id, _compile(exported, precision))

    def _export_folder(self) -> Path:
        # The runtime counts the changes of the export itself.
        made_of = [
            self.fingerprint.weights,
            self.fingerprint.tokenizer,
            self.fingerprint.configuration,
            self.fingerprint.runtime,
        ]
        key = hashlib.sha256("\n".join(made_of).encode()).hexdigest()[:16]
        return self._cache_dir / "exported" / f"openvino-{key}"

    def _export(self, folder: Path) -> None:
        EXPORTING.require(f"the export of model {self.name}")
        import openvino
        import torch

        model = load_sentence_transformer(self.name, self._folder.root, dtype=torch.float32)
        takes_types = "token_type_ids" in model.tokenizer.model_input_names

        class Pooled(torch.nn.Module):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                self.model = model

            def forward(
                self, input_ids: torch.Tensor, attention_mask: torch.Tensor
            ) -> torch.Tensor:
                features = {"input_ids": input_ids, "attention_mask": attention_mask}
                if takes_types:
                    features["token_type_ids"] = torch.zeros_like(input_ids)
                vectors: torch.Tensor = self.model(features)["sentence_embedding"]
                return vectors

        # Any sizes above 1 do: both axes are dynamic, and 1 would be taken for a constant. Two
        # tensors, since one object passed twice is exported as one input.
        ids = torch.arange(3 * 17, dtype=torch.long).reshape(3, 17)
        mask = torch.ones_like(ids)
        mask[1, 9:] = 0
        axes = {
            0: torch.export.Dim("batch"),
            1: torch.export.Dim("length", max=self._folder.position_limit or self.max_tokens),
        }
        onnx_file = folder / "model.onnx"
        # Without eval() the export keeps dropout, which OpenVINO refuses.
        pooled = Pooled().eval()
        log = logging.getLogger("torch.onnx")
        level = log.level
        log.setLevel(logging.ERROR)
        try:
            with torch.inference_mode(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torch.onnx.export(
                    pooled,
                    (ids, mask),
                    onnx_file,
                    dynamo=True,
                    dynamic_shapes={"input_ids": axes, "attention_mask": axes},
                    input_names=["input_ids", "attention_mask"],
                    output_names=["sentence_embedding"],
                    verbose=False,
                )
        finally:
            log.setLevel(level)
        openvino.save_model(
            openvino.convert_model(onnx_file), folder / "model.xml", compress_to_fp16=False
        )
        for path in folder.glob("model.onnx*"):
            path.unlink()
        with torch.inference_mode():
            self._compare(folder, ids.numpy(), mask.numpy(), pooled(ids, mask).numpy())
        tokenizer, pad_id = fast_tokenizer(self.name, model)
        tokenizer.save(str(folder / "tokenizer.json"))
        made_with = {library: version(library) for library in ("torch", "onnx", "openvino")}
        (folder / "export.json").write_text(
            json.dumps({"pad_id": pad_id, "made_with": made_with}), encoding="utf-8"
        )

    def _compare(self, folder: Path, ids: Ids, mask: Ids, expected: Vectors) -> None:
        vectors = _compile(folder, "f32")(ids, mask)
        cosines = (unit_rows(vectors) * unit_rows(expected)).sum(axis=1)
        if not cosines.min() >= LEAST_EXPORT_COSINE:
            raise ModelError(
                self.name,
                f"the OpenVINO export differs from the model (cosine {cosines.min():.4f} on a "
                "probe); use the backend torch or torch-bf16 for this model",
            )


EMBEDDER = OpenVinoEmbedder


def _compile(folder: Path, precision: str) -> Callable[[Ids, Ids], Vectors]:
    import openvino

    compiled = openvino.Core().compile_model(
        folder / "model.xml",
        "CPU",
        {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"},
    )
    request = compiled.create_infer_request()
    # One request, one caller at a time: more would only share the same cores.
    lock = threading.Lock()

    def forward(ids: Ids, mask: Ids) -> Vectors:
        with lock:
            output = request.infer({"input_ids": ids, "attention_mask": mask})[0]
            return np.array(output, dtype=np.float32)

    return forward
