"""Sources written in Python: this package's own, and the user's.

Belongs here: importing `package.module:Class` and saying clearly what is wrong with it.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vector_platform.sources.base import Source, SourceInvalid

# Where sources are that the platform brings along: those of its example deployment.
_OWN = "vector_platform.demo"


def open_class(
    name: str, path: str, options: dict[str, Any], root: Path, *, packages: Sequence[str] = ()
) -> Source:
    """An instance of the class that `path` (`package.module:Class`) names.

    Args:
        name: Name of the source.
        path: The class.
        options: Keyword arguments of its constructor.
        root: Folder of `platform.yaml`, which becomes the last import path.
        packages: Installed packages that the class may come from, besides a module in `root`.

    Raises:
        SourceInvalid: A module from elsewhere (nothing of it is imported), no such module or
            class, not a `Source`, or options it does not take.
    """
    module_name, _, class_name = path.partition(":")
    if str(root) not in sys.path:
        sys.path.append(str(root))
    allowed = (_OWN, *packages)
    if not any(f"{module_name}.".startswith(f"{one}.") for one in allowed):
        _refuse_strangers(name, path, module_name.partition(".")[0], root)
    try:
        module = importlib.import_module(module_name)
    except (ImportError, SyntaxError) as error:
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


def _refuse_strangers(name: str, path: str, top: str, root: Path) -> None:
    """Refuse a module unless what an import gives is what lies beside `platform.yaml`."""
    beside = PathFinder.find_spec(top, [str(root)])
    try:
        given = find_spec(top)
    except ValueError:  # the program itself, which has no place
        given = None
    if beside is not None and given is not None and _place(beside) == _place(given):
        return
    if beside is None and given is None:
        what = f"there is no module {top!r} beside platform.yaml"
    elif beside is None:
        what = f"module {top!r} does not lie beside platform.yaml"
    else:
        what = f"a module {top!r} from elsewhere hides the one beside platform.yaml; rename it"
    raise SourceInvalid(
        name,
        f"class {path!r} is not opened: {what}. An installed package must be named in "
        "source_packages",
    )


def _place(spec: ModuleSpec) -> tuple[str | None, tuple[str, ...]]:
    return spec.origin, tuple(spec.submodule_search_locations or ())
