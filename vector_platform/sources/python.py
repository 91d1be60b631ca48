"""Sources written in Python: this package's own, and the user's.

Belongs here: importing `package.module:Class` and saying clearly what is wrong with it. Does not
belong here: any particular source.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from pathlib import Path
from typing import Any

from vector_platform.sources.base import Source, SourceInvalid


def open_class(name: str, path: str, options: dict[str, Any], root: Path) -> Source:
    """An instance of the class that `path` (`package.module:Class`) names.

    Modules beside `platform.yaml` can be imported: `root` becomes the last import path.

    Raises:
        SourceInvalid: No such module or class, not a `Source`, or options it does not take.
    """
    if str(root) not in sys.path:
        sys.path.append(str(root))
    module_name, _, class_name = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise SourceInvalid(
            name,
            f"class {path!r} cannot be imported: {error}. Install its package, or put the module "
            f"beside platform.yaml",
        ) from error
    found = getattr(module, class_name, None)
    if found is None:
        raise SourceInvalid(name, f"module {module_name!r} has no class {class_name!r}")
    if not (inspect.isclass(found) and issubclass(found, Source)):
        raise SourceInvalid(
            name, f"{path!r} is not a subclass of vector_platform.sources.base.Source"
        )
    if inspect.isabstract(found):
        missing = ", ".join(sorted(found.__abstractmethods__))
        raise SourceInvalid(name, f"class {path!r} does not define {missing}")
    try:
        inspect.signature(found).bind(**options)
    except TypeError as error:
        raise SourceInvalid(
            name, f"options do not fit {class_name}{inspect.signature(found)}: {error}"
        ) from error
    source: Source = found(**options)
    source.name = name
    return source
