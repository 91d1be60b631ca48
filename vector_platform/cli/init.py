"""`vector-platform init`: a new deployment in a folder."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from vector_platform.cli.output import JsonFlag, say, say_json
from vector_platform.templates.writing import Template


def register(app: typer.Typer) -> None:
    """Add the verb to the root."""
    app.command()(init)


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of the deployment; made if need be.")
    ],
    template: Annotated[
        Template,
        typer.Option(
            help="What it reads: a folder of documents, a CSV file, a database by SQL, or an API "
            "by a Python class."
        ),
    ] = Template.DOCS,
    as_json: JsonFlag = False,
) -> None:
    """Write a small deployment with a sample source: settings, definitions, a test, a workflow.

    Asks nothing, and overwrites nothing: where one of its files is there, none is written.
    """
    from importlib.metadata import version

    from vector_platform.templates.writing import template_files, write_files

    texts = template_files(
        template, today=datetime.now(UTC).date(), version=version("vector-platform")
    )
    written = write_files(folder, texts)
    then = (
        f"cd {folder}",
        "vector-platform run",
        f'vector-platform search "{QUESTIONS[template]}"',
    )
    if as_json:
        say_json(
            {
                "folder": str(folder),
                "template": template.value,
                "files": [str(path) for path in written],
                "then": then,
            }
        )
        return
    for path in written:
        say(f"  {path}")
    say(f"a deployment is in {folder}; then:")
    for command in then:
        say(f"  {command}")


# A question that the sample data of a template answers.
QUESTIONS = {
    Template.DOCS: "the brake lever feels spongy",
    Template.CSV: "the brake lever feels spongy",
    Template.SQL: "when do I get my money back",
    Template.API: "how do I sharpen a knife",
}
