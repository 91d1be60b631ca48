"""`vector-platform index`: sync, verify, repair and rebuild the indexes of a backend."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from vector_platform.cli.choices import chosen_backends, chosen_models
from vector_platform.cli.exits import Exit, end_by_releases
from vector_platform.cli.indexes.adopt import adopt, whose
from vector_platform.cli.indexes.plan import plan
from vector_platform.cli.launching import ASSETS, launch, launches, open_runs
from vector_platform.cli.output import (
    AllowShrink,
    BackendOption,
    JsonFlag,
    ModelOption,
    Reason,
    progress,
    say,
    say_json,
    say_table,
)

app = typer.Typer(no_args_is_help=True, help="Sync, verify, repair and rebuild indexes.")

app.command()(adopt)

AllowDelete = Annotated[
    int, typer.Option(help="Let this many deletes through the guard, this once.")
]


@app.command()
def status(as_json: JsonFlag = False) -> None:
    """Every generation: what it was built from, which one is live, and whose the backend says."""
    from vector_platform.indexes.state import IndexStates
    from vector_platform.wiring import Platform

    platform = Platform.load()
    rows: list[dict[str, Any]] = []
    for backend in platform.settings.indexes.backends:
        live = platform.live_pointer(backend).live()
        states = IndexStates(platform.lake.index_state, backend, platform.settings.indexes.name)
        owners = whose(platform, backend)
        rows += [
            {
                "backend": backend,
                "generation": state.generation,
                "model_version": state.model_version,
                "status": state.status,
                "doubt": state.doubt,
                "live": bool(live and live.generation == state.generation),
                "rows": state.rows,
                "whose": owners.pop(state.generation, "not there, or no answer"),
                "snapshot": str(state.snapshot) if state.snapshot else None,
                "updated_at": state.updated_at.isoformat(timespec="seconds"),
            }
            for state in states.present()
        ]
        rows += [
            {"backend": backend, "generation": generation, "whose": owner}
            for generation, owner in owners.items()
        ]
    if as_json:
        say_json(rows)
        return
    say_table(
        "Index generations",
        ["backend", "generation", "model", "status", "live", "rows", "snapshot", "whose"],
        [
            [
                row["backend"],
                row["generation"],
                row.get("model_version", "-"),
                row.get("status", "-"),
                "live" if row.get("live") else "",
                row.get("rows", "-"),
                row.get("snapshot") or "-",
                row["whose"],
            ]
            for row in rows
        ],
    )
    for row in rows:
        if row["doubt"]:
            say(f"{row['backend']} {row['generation']} is known to be broken: {row['doubt']}")


@app.command()
@launches(ASSETS)
def sync(
    backend: BackendOption = "all",
    model: ModelOption = None,
    allow_delete: AllowDelete = 0,
    as_json: JsonFlag = False,
) -> None:
    """Bring indexes to the lake's newest snapshot, as a Dagster run."""
    from vector_platform.orchestration import keys

    runs = open_runs()
    settings = runs.platform.settings
    facts = []
    for name in chosen_backends(settings, backend):
        key = keys.index(name, settings)
        for model_version in chosen_models(settings, model):
            outcome = runs.materialize(
                [key],
                partition=model_version,
                config={
                    "ops": {key.to_python_identifier(): {"config": {"allow_delete": allow_delete}}}
                },
            )
            facts.append({"backend": name, **outcome.metadata[keys.plain(key, settings)]})
    if as_json:
        say_json(facts)
        return
    for fact in facts:
        say(
            f"{fact['backend']} {fact['model_version']} {fact['generation']}: {fact['rows']} rows, "
            f"{fact['rows_upserted']} written, {fact['rows_deleted']} deleted ({fact['reason']})"
        )


app.command()(plan)


@app.command()
@launches("verify_index")
def verify(
    backend: BackendOption = "all",
    model: ModelOption = None,
    every_row: Annotated[
        bool,
        typer.Option(
            "--every-row",
            help="Read all rows whole now: text, title, region, attributes, vector. Otherwise "
            "that is done to those whose turn it is (a seventh of the rows, 20,000 at most) and "
            "to some others, so that a row altered behind the platform's back under its old "
            "digest is found within 7 verifies, or one for every 20,000 rows.",
        ),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Read indexes back and compare every id and digest with the lake, and some rows whole.

    A row that differs is named with its fields; index repair writes it again. Each index is
    compared with the snapshot that it is proven equal to, and it is said how far the lake has
    moved on. Exit code 0: equal, and to the newest. 3: one differs; it is not proven any more,
    searches say `degraded`, and the next sync or a repair compares all of it. 6: all are equal, and
    one to an older snapshot than the lake's newest; a sync brings it on.
    """
    from vector_platform.orchestration.indexes.jobs import VerifyConfig

    runs = open_runs()
    settings = runs.platform.settings
    config = VerifyConfig(
        model_version=chosen_models(settings, model)[0] if model else "",
        backends=list(chosen_backends(settings, backend)),
        every_row=every_row,
    )
    facts = launch(runs, config).output
    if as_json:
        say_json(facts)
    else:
        for fact in facts:
            say(fact["summary"])
            for kind, names in fact["samples"].items():
                if names:
                    say(f"  {kind.replace('_', ' ')}: {', '.join(names)}")
    if not all(fact["clean"] for fact in facts):
        raise typer.Exit(Exit.DIFFERS)
    if any(fact["behind"] for fact in facts):
        raise typer.Exit(Exit.OLDER)


@app.command()
@launches("repair_*")
def repair(
    backend: BackendOption = "all",
    model: ModelOption = None,
    allow_delete: AllowDelete = 0,
    as_json: JsonFlag = False,
) -> None:
    """Rewrite exactly what differs from the lake, then verify again.

    The check that failed is green afterwards. Each backend is repaired by a run of its own job.
    """
    from vector_platform.orchestration.indexes.jobs import RepairConfig
    from vector_platform.orchestration.launch import RunFailed

    runs = open_runs()
    settings = runs.platform.settings
    config = RepairConfig(
        model_version=chosen_models(settings, model)[0] if model else "",
        allow_delete=allow_delete,
    )
    failed = []
    repaired: list[dict[str, Any]] = []
    for name in chosen_backends(settings, backend):
        try:
            done = launch(runs, config, f"repair_{name}").output
        except RunFailed as error:
            failed.append(str(error))  # of one backend; another's is repaired all the same
            continue
        for model_version, reports in done.items():
            for facts in reports:
                written = f"{facts['rows_upserted']} rewritten, {facts['rows_deleted']} deleted"
                where = f"{name} {model_version} {facts['generation']}"
                progress(as_json)(f"{where}: {written}, equal to {facts['snapshot']}")
                repaired.append({"backend": name, **facts})
    if failed:
        raise RunFailed("\n".join(failed))
    if as_json:
        say_json(repaired)


@app.command()
@launches("reindex")
def rebuild(
    model: Annotated[str, typer.Option("--model", help="Model version to rebuild.")],
    reason: Reason,
    backend: BackendOption = "all",
    allow_shrink: AllowShrink = False,
    as_json: JsonFlag = False,
) -> None:
    """Build a new generation from the lake and release it where its model is live.

    Exit 5 when the release waits for somebody, 4 when a gate refuses it.
    """
    from vector_platform.orchestration.remediation.jobs import IndexTarget, ReindexConfig

    runs = open_runs()
    settings = runs.platform.settings
    (model_version,) = chosen_models(settings, model)
    target = IndexTarget(
        model_version=model_version, backends=list(chosen_backends(settings, backend))
    )
    config = ReindexConfig(
        targets=[target],
        reason=reason,
        allow_shrink=allow_shrink,
    )
    outcome = launch(runs, config)
    asked = [one["release"] for one in outcome.output.values() if one["release"]]
    if as_json:
        say_json({"run_id": outcome.run_id, "built": outcome.output})
    else:
        for where, built in outcome.output.items():
            say(f"{where}: {built['generation']} is built and proven (run {outcome.run_id})")
        for told in asked:
            say(told["summary"])
    end_by_releases(asked)
