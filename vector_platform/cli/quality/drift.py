"""`vector-platform drift`: what counts as normal."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from vector_platform.cli.choices import chosen_models
from vector_platform.cli.launching import launch, launches, open_runs
from vector_platform.cli.output import JsonFlag, Reason, say, say_json

app = typer.Typer(no_args_is_help=True, help="Say what counts as normal.")


@app.command()
@launches("recalibrate_reference")
def accept(
    model: Annotated[str, typer.Argument(help="Model version whose stream has moved.")],
    reason: Reason,
    first: Annotated[
        datetime | None,
        typer.Option(
            "--from", formats=["%Y-%m-%d"], help="First day (UTC); default: since the stream moved."
        ),
    ] = None,
    last: Annotated[
        datetime | None,
        typer.Option("--to", formats=["%Y-%m-%d"], help="Last day (UTC); default: the newest."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Accept what is new: later days are compared with these, and not with those of before.

    Without --from and --to the days are the newest since
    the move, at most quality.drift_reference_days; fewer than 28 are refused. Golden queries are
    proposed for what the old reference does not explain: vector-platform golden proposals.
    """
    from vector_platform.orchestration.remediation.recalibration import RecalibrateConfig

    runs = open_runs()
    (model_version,) = chosen_models(runs.platform.settings, model)
    config = RecalibrateConfig(
        model_versions=[model_version],
        first_day=first.date().isoformat() if first else "",
        last_day=last.date().isoformat() if last else "",
        reason=reason,
    )
    accepted = launch(runs, config).output[model_version]
    if as_json:
        say_json(accepted)
        return
    days = f"{model_version}: {accepted['first_day']} to {accepted['last_day']}"
    if not accepted["changed"]:
        say(f"{days} is the reference already, accepted by {accepted['accepted_by']}")
        return
    say(f"{days} is reference {accepted['sequence']} now")
    if accepted["golden_queries_proposed"]:
        say(
            f"{accepted['golden_queries_proposed']} golden queries are proposed: "
            "vector-platform golden proposals"
        )
