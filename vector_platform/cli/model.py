"""`vector-platform model`: model versions, and those that the platform makes itself."""

from __future__ import annotations

from typing import Annotated

import typer

from vector_platform.cli.choices import chosen_models
from vector_platform.cli.exits import end_by_releases
from vector_platform.cli.launching import launch, launches, open_runs
from vector_platform.cli.output import JsonFlag, Reason, say, say_json, say_table

app = typer.Typer(no_args_is_help=True, help="See, make and retire model versions.")


@app.command("list")
def list_models(as_json: JsonFlag = False) -> None:
    """Every model version, what it is made from, and what the lake knows of it."""
    from vector_platform.models.local_versions import read_card
    from vector_platform.wiring import Platform

    platform = Platform.load()
    registered = {
        row["model_version"]: row
        for row in platform.lake.model_versions.read(
            ["model_version", "fingerprint", "dimension"]
        ).to_pylist()
    }
    models = [
        {
            "model_version": name,
            "state": "retired" if spec.retired else "active",
            "dimension": registered.get(name, {}).get("dimension"),
            "fingerprint": registered.get(name, {}).get("fingerprint"),
            "made_from": list(spec.bases),
            "description": spec.description,
            "card": read_card(platform.data_dir, name),
        }
        for name, spec in platform.settings.models.items()
    ]
    if as_json:
        say_json(models)
        return
    say_table(
        "Model versions",
        ["model", "state", "dimension", "made from", "description"],
        [
            [
                model["model_version"],
                model["state"],
                model["dimension"] or "not embedded yet",
                ", ".join(model["made_from"]) or "-",
                model["description"],
            ]
            for model in models
        ],
    )


@app.command()
@launches("align_model")
def align(
    source: Annotated[str, typer.Option("--from", help="Model version whose vectors are there.")],
    to: Annotated[str, typer.Option("--to", help="Model version to be served.")],
    as_json: JsonFlag = False,
) -> None:
    """Make a provisional version of a new model from stored vectors.

    A map is fitted on contents embedded with both models and judged on others. Below
    upgrades.alignment_floor it is refused. No pointer moves.
    """
    from vector_platform.orchestration.models.jobs import AlignConfig

    runs = open_runs()
    settings = runs.platform.settings
    config = AlignConfig(old=chosen_models(settings, source)[0], new=chosen_models(settings, to)[0])
    made = launch(runs, config).output
    if as_json:
        say_json(made)
        return
    say(f"{made['model_version']}: {made['aligned']} vectors aligned")
    say(runs.platform.settings.models[made["model_version"]].description)
    say(f"release it: vector-platform release promote {made['model_version']} --reason WHY")


@app.command()
@launches("retrain")
def retrain(
    reason: Reason,
    model: Annotated[
        str | None, typer.Argument(help="Model version to improve; default: the live one.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Train a new model version from golden queries and feedback.

    It must be better than its base on every gated metric, on queries whose documents were held
    out; else it is refused. The winner is embedded, indexed and proven, and its release asked for;
    exit 5 when that waits for somebody, 4 when a gate refuses it.
    """
    from vector_platform.orchestration.remediation.retraining import RetrainConfig

    runs = open_runs()
    settings = runs.platform.settings
    config = RetrainConfig(
        model_version=chosen_models(settings, model)[0] if model else "",
        reason=reason,
    )
    made = launch(runs, config).output
    if as_json:
        say_json(made)
    else:
        name = made["model_version"]
        say(f"{name}: {runs.platform.settings.models[name].description}")
        for backend, told in made["releases"].items():
            say(f"{backend}: {told['summary']}")
    end_by_releases(made["releases"].values())


@app.command()
@launches("retire_model")
def retire(
    model: Annotated[str, typer.Argument(help="A model version that the platform made.")],
    reason: Reason,
    as_json: JsonFlag = False,
) -> None:
    """Stop embedding and indexing a model version that the platform made itself."""
    from vector_platform.orchestration.models.jobs import RetireConfig

    retired = launch(open_runs(), RetireConfig(model_version=model, reason=reason)).output
    if as_json:
        say_json(retired)
        return
    say(f"{model} is retired; its vectors stay in the lake")
