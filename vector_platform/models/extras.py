"""What must be installed for a model version to run.

Belongs here: the inference libraries, and the optional packages of each.
"""

from __future__ import annotations

from vector_platform.faults import Extra
from vector_platform.settings import Model

TRANSFORMERS = Extra("transformers", ("torch", "sentence_transformers", "transformers"))
OPENVINO = Extra("openvino", ("openvino", "transformers"))
# Once for each model; what it makes is run without them.
EXPORTING = Extra("openvino", ("onnx", "onnxscript", *TRANSFORMERS.packages))

# Library -> what it takes. Its embedder is `backends/<library>.py`; a backend of `platform.yaml` is
# a library, or one with a precision behind a hyphen.
LIBRARIES = {
    "torch": TRANSFORMERS,
    "openvino": OPENVINO,
}


def library_of(spec: Model) -> str:
    """The inference library of a model version."""
    return spec.backend.partition("-")[0]


def extra_of(spec: Model) -> Extra | None:
    """What a model version is run with; None where numpy runs it, or nobody here."""
    runs_here = spec.endpoint is None and spec.given is None
    return LIBRARIES[library_of(spec)] if runs_here and spec.kind != "static" else None
