"""Texts of people in files that dbt reads: taken as data, never as a template, YAML or SQL.

Belongs here: the one way in which a name, a description or a path gets into a generated file. SQL
is not written here: a model gets texts as Jinja strings, and the macro `literal` makes SQL of them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping

import yaml

# What dbt takes for a template, and the line breaks that it loses at the end of one.
_TEMPLATE = re.compile(r"\{[{%#]|[#}%]\}|[\r\n]")
# A delimiter inside a string is no delimiter to Jinja; so nobody else can take it for one either.
_DELIMITERS = str.maketrans({char: f"\\x{ord(char):02x}" for char in "{}%#\"'"})


def jinja_string(text: str) -> str:
    """A string literal of Jinja, ASCII only, on one line, without any delimiter of a template."""
    # Jinja decodes its strings by this codec, after it has read them as ASCII.
    return '"' + text.encode("unicode_escape").decode("ascii").translate(_DELIMITERS) + '"'


def jinja_dict(mapping: Mapping[str, str]) -> str:
    """A dictionary literal of Jinja, its keys sorted."""
    entries = (f"{jinja_string(key)}: {jinja_string(mapping[key])}" for key in sorted(mapping))
    return "{" + ", ".join(entries) + "}"


def inert(text: str) -> str:
    """A text that dbt renders to what it was: itself, unless it looks like a template."""
    return f"{{{{ {jinja_string(text)} }}}}" if _TEMPLATE.search(text) else text


def inside_quotes(text: str) -> str:
    """An inert text within a double-quoted scalar of YAML."""
    written: str = yaml.safe_dump(inert(text), default_style='"', width=sys.maxsize)
    return written.strip()[1:-1]
