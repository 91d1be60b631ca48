"""`VectorIndex`: a deployment as a Dagster component, in anybody's project.

Belongs here: the component that `dg list components` shows, and what `dg scaffold defs` writes.
What its attributes mean is in `settings/component.py`; everything it defines comes from `build.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from vector_platform.settings.component import component_settings
from vector_platform.templates.writing import sample_documents, write_files

_DEFS_YAML = """\
# Checked by `dg check defs`, and by `vector-platform --config {file} config check`;
# `run` and `search` take the same option.
type: {type}

attributes:
  # Where rows come from. One of your own assets: kind: frame, with asset: its/key.
  sources:
    handbook:
      kind: files
      path: handbook
      fields: {{key: path, title: title, text: text}}

  # How texts become vectors. Another model is another name.
  model_version:
    name: wordllama-256.v1
    package: wordllama
    kind: static
    max_tokens: 512

  # The first day of the sources, and the folder of everything local, relative to this file.
  start_date: "{start_date}"
  data: {data}

  # Any other section of a platform.yaml. This one is for a few rows: a sync that would delete more
  # than half of an index asks first. With thousands, remove it: the default is a tenth.
  settings:
    guard: {{max_delete_share: 0.5}}
"""


class VectorIndexScaffolder(dg.Scaffolder):
    """Writes the component's YAML with comments, and ten pages to begin with."""

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        """Write the files. The name of the folder becomes the prefix of all names."""
        folder = request.target_path
        top = request.project_root or folder
        local = os.path.relpath(top / ".vector_platform" / folder.name, folder)
        text = _DEFS_YAML.format(
            file=os.path.relpath(folder / "defs.yaml", top),
            type=request.type_name,
            start_date=datetime.now(UTC).date().isoformat(),
            # A path is whatever a person called a folder.
            data=yaml.safe_dump(local, default_style='"', width=1000).strip(),
        )
        write_files(folder, {"defs.yaml": text, **sample_documents()})


@dg.scaffold_with(VectorIndexScaffolder)
class VectorIndex(dg.Component, dg.Model, dg.Resolvable):
    """Sources as proven vector indexes: raw tables, documents, chunks, embeddings, indexes.

    Attributes:
        sources: Name -> section, as in `platform.yaml`.
        model_version: A model of `platform.yaml`, with its `name`.
        start_date: First daily partition of the sources, such as "2026-01-05".
        data: Folder of everything local, relative to the component's.
        key_prefix: Put before all names; the component's folder when not given.
        settings: Any other section of a `platform.yaml`.
    """

    sources: Mapping[str, Mapping[str, Any]]
    model_version: Mapping[str, Any]
    start_date: str
    data: str | None = None
    key_prefix: str | None = None
    settings: Mapping[str, Any] = {}

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Everything that a deployment of these settings has.

        Raises:
            SettingsError: The attributes are no valid settings; all problems at once.
        """
        from vector_platform.orchestration.build import build_definitions
        from vector_platform.wiring import settings_of

        folder = Path(context.path)
        folder = folder if folder.is_dir() else folder.parent
        told = component_settings(self.model_dump(), name=folder.name)
        settings = settings_of(told, root=folder, origin=f"component {folder.name}")
        return build_definitions(settings=settings, own_executor=False)
