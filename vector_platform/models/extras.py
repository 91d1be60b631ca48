"""What must be installed for a model version to run.

Belongs here: the optional packages of each inference backend.
"""

from __future__ import annotations

from vector_platform.faults import Extra
from vector_platform.settings import Model

TRANSFORMERS = Extra("transformers", ("torch", "sentence_transformers", "transformers"))
OPENVINO = Extra("openvino", ("openvino", "transformers"))
# Once for each model; what it makes is run without them.
EXPORTING = Extra("openvino", ("onnx", "onnxscript", *TRANSFORMERS.packages))


def extra_of(spec: Model) -> Extra | None:
    """The extra that a model version needs; None for a static one, which numpy runs."""
    if spec.kind == "static":
        return None
    return OPENVINO if spec.backend.startswith("openvino") else TRANSFORMERS
