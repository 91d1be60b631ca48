"""`vector-platform keys`: who may ask the service, and for whose rows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from vector_platform.cli.output import JsonFlag, say, say_json, say_table

if TYPE_CHECKING:
    from vector_platform.serving.keys import ApiKey, Keys

app = typer.Typer(no_args_is_help=True, help="Keys of the service's callers.")

KeyId = Annotated[str, typer.Argument(help="Id of the key, as `keys list` shows it.")]


def _keys() -> Keys:
    from vector_platform.wiring import Platform

    return Platform.load().keys


def _told(key: ApiKey, text: str, as_json: bool) -> None:
    if as_json:
        say_json(key.facts(datetime.now(UTC)) | {"key": text})
        return
    say(f"key {key.id} of {key.name}, for {', '.join(key.tenants)}; it is shown this once:")
    say(text)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose it is.")],
    tenant: Annotated[
        list[str], typer.Option(help="Whose rows it may see, exactly; may be repeated.")
    ],
    days: Annotated[
        float | None, typer.Option(help="For how long it is good; else for ever.")
    ] = None,
    search_only: Annotated[
        bool,
        typer.Option("--search-only", help="It may search, and read no documents by their id."),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Make a key. Its text is printed now and kept nowhere.

    From the first key on, a service that is started asks every caller for one.
    """
    from vector_platform.serving.keys import ACTIONS

    made, text = _keys().create(
        name, tenants=tenant, actions=("search",) if search_only else ACTIONS, days=days
    )
    _told(made, text, as_json)


@app.command("list")
def list_keys(as_json: JsonFlag = False) -> None:
    """List the keys there are, without their texts."""
    now = datetime.now(UTC)
    facts = [key.facts(now) for key in _keys().all()]
    if as_json:
        say_json(facts)
        return
    say_table(
        "Keys",
        ["id", "name", "tenants", "may", "state", "made", "good until"],
        [
            [
                one["id"],
                one["name"],
                ", ".join(one["tenants"]),
                ", ".join(one["actions"]),
                one["state"],
                f"{one['created_at']:%Y-%m-%d %H:%M}",
                f"{one['expires_at']:%Y-%m-%d %H:%M}" if one["expires_at"] else "-",
            ]
            for one in facts
        ],
    )


@app.command()
def rotate(
    key_id: KeyId,
    overlap_hours: Annotated[
        float, typer.Option(help="For how long the old one is good beside the new one.")
    ] = 24,
    as_json: JsonFlag = False,
) -> None:
    """Make a key for the same as another, which is good for some hours more."""
    made, text = _keys().rotate(key_id, overlap_hours=overlap_hours)
    _told(made, text, as_json)


@app.command()
def revoke(key_id: KeyId, as_json: JsonFlag = False) -> None:
    """Let a key be good no more, from the next request on."""
    gone = _keys().revoke(key_id)
    if as_json:
        say_json(gone.facts(datetime.now(UTC)))
        return
    say(f"key {gone.id} of {gone.name} is revoked")
