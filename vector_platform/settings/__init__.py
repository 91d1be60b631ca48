"""The one reader of the environment and of `platform.yaml`.

Belongs here: the shape of the settings, their defaults, and how the file and the environment
become one validated value. Does not belong here: anything that acts on a setting. Nothing runs
at import; `read_settings` does the reading, and whoever wants a deployment's settings calls
`wiring.load_settings`, which adds the sections of the backends.

One file a section, or a few that belong together; `platform.py` puts them together. Everybody else
imports from `vector_platform.settings` itself.
"""

from vector_platform.settings.base import (
    AttributeName,
    BackendName,
    ModelVersion,
    SettingsError,
    SourceName,
)
from vector_platform.settings.indexes import (
    STORED,
    TUNING,
    BackendSection,
    Guard,
    Indexes,
)
from vector_platform.settings.models import (
    Alignment,
    Chunking,
    Endpoint,
    GivenVectors,
    Model,
    Retraining,
    Upgrades,
)
from vector_platform.settings.platform import OWN_MODELS, Lake, Schedules, Settings
from vector_platform.settings.quality import Acting, ActionPolicy, Quality
from vector_platform.settings.reading import (
    CONFIG_VARIABLE,
    PREFIX,
    Reading,
    read_settings,
    reading_of,
    with_local_versions,
)
from vector_platform.settings.releases import FreezeWindow, Releases
from vector_platform.settings.secrets import expand_secrets, secret
from vector_platform.settings.sources import (
    Constant,
    CsvDialect,
    FieldMapping,
    FilesSource,
    FrameSource,
    GoldenQueries,
    PythonSource,
    ReadLimits,
    SourceSettings,
    SqlSource,
    text_codec,
)

__all__ = [
    "CONFIG_VARIABLE",
    "OWN_MODELS",
    "PREFIX",
    "STORED",
    "TUNING",
    "Acting",
    "ActionPolicy",
    "Alignment",
    "AttributeName",
    "BackendName",
    "BackendSection",
    "Chunking",
    "Constant",
    "CsvDialect",
    "Endpoint",
    "FieldMapping",
    "FilesSource",
    "FrameSource",
    "FreezeWindow",
    "GivenVectors",
    "GoldenQueries",
    "Guard",
    "Indexes",
    "Lake",
    "Model",
    "ModelVersion",
    "PythonSource",
    "Quality",
    "ReadLimits",
    "Reading",
    "Releases",
    "Retraining",
    "Schedules",
    "Settings",
    "SettingsError",
    "SourceName",
    "SourceSettings",
    "SqlSource",
    "Upgrades",
    "expand_secrets",
    "read_settings",
    "reading_of",
    "secret",
    "text_codec",
    "with_local_versions",
]
