"""Reactions: what can be wrong, how it shows, and what is done about it; one record each.

Belongs here: the records, in the order in which faults are looked for, and the sensors that answer
them. Diagnosis, sensors, what a failed check says of what follows, and the tables of the operators'
page are made from these records. It is one table, so it is longer than other files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from vector_platform.remediation import evidence
from vector_platform.remediation.checks import (
    CANARY,
    CHUNKS,
    COMPLETE,
    DRIFT,
    PARITY,
    QUALITY,
    RECALL,
    REFUSED,
    VECTORS,
)
from vector_platform.remediation.evidence import Finder, number
from vector_platform.remediation.faults import Action, Apart, Kind

CONTRACT = (CHUNKS, VECTORS, COMPLETE)

# How far a fault explains others. `model`: it explains every other failure. `index`: it is of one
# index, explains what comes later about that index, and all that is statistical. `upkeep`: of a
# faithful index, explains nothing. `stream`: explains later faults of the stream. `rows`: of one
# index, beside all but faults of the model.
Reach = Literal["model", "index", "upkeep", "stream", "rows"]


@dataclass(frozen=True)
class Sensor:
    """Who answers some faults, with one job.

    Attributes:
        name: Event, then action.
        job: Name of the job it starts; None when only people can mend what is wrong. A backend's
            own job has `<backend>` in its name.
        description: For the UI and the operators' page.
        apart: Part of a scope: one run for each, for jobs that take only one.
    """

    name: str
    job: str | None
    description: str
    apart: Apart = None

    def job_of(self, backend: str) -> str:
        """Name of the job for an index on a backend."""
        return (self.job or "").replace("<backend>", backend)


@dataclass(frozen=True)
class Reaction:
    """A fault, and what is done about it.

    Attributes:
        kind: The fault.
        reach: How far it explains others.
        checks: Checks that it shows in.
        find: What their verdicts prove.
        ruled_out_by: Checks whose pass says that it is not there. None for one that is told from
            numbers, or that forbids nothing.
        action: What is done; the name of its policy under `acting`, where that may be a job.
        never: What would make it worse, or hide it. `propose_version` is what re-embeds.
        sensor: Who answers it.
        shows: What has failed, for the operators' page.
        wrong: What is wrong.
        done: What is done.
        not_done: What is never done.
    """

    kind: Kind
    reach: Reach
    checks: tuple[str, ...]
    find: Finder
    ruled_out_by: tuple[str, ...]
    action: Action
    never: tuple[Action, ...]
    sensor: Sensor
    shows: str
    wrong: str
    done: str
    not_done: str = ""


REEMBED = Sensor(
    "reembed_on_changed_model",
    "reembed",
    "Proposes a new model version when a model no longer answers as it was registered. Its own "
    "writes have stopped by then.",
)
REPAIR = Sensor(
    "repair_on_divergence",
    "repair_<backend>",
    "Rewrites what differs when an index no longer equals the lake.",
    apart="backend",
)
REINDEX = Sensor(
    "reindex_on_lost_recall",
    "reindex",
    "Builds a new generation when an index has lost recall on some slice, or carries too many "
    "deleted rows.",
)
RETRAIN = Sensor(
    "retrain_on_fallen_quality",
    "retrain",
    "Trains a challenger when the champion finds less than at its release, although model and "
    "index are as they were.",
    apart="model_version",
)
RECALIBRATE = Sensor(
    "recalibrate_on_drift",
    "recalibrate_reference",
    "Accepts a moved distribution as the new reference when everything else holds, if the policy "
    "says that no person has to.",
    apart="model_version",
)
QUARANTINE = Sensor(
    "quarantine_on_moved_slice",
    "quarantine_slice",
    "Tells the owner of a tenant or source whose content changed while all else is quiet. Keeps "
    "what changed from readers, if the policy says that no person has to.",
)
TELL = Sensor(
    "tell_owners_of_bad_data",
    None,
    "Records what only the owner of the data can mend. Starts nothing.",
)

_REPLAYED = "[quarantined and replayed](#documents-that-readers-must-not-see): a person's."

REACTIONS = (
    Reaction(
        kind="model_changed",
        reach="model",
        checks=(CANARY, VECTORS),
        find=evidence.model_changed,
        ruled_out_by=(CANARY,),
        action="propose_version",
        never=("rebuild", "retrain", "accept_reference"),
        sensor=REEMBED,
        shows=f"`{CANARY}`, or the fingerprint in `{VECTORS}`",
        wrong="The model was changed under its name.",
        done=f"Writes to it stop, and `{REEMBED.job}` proposes a new version.",
        not_done="A rebuild; a new reference.",
    ),
    Reaction(
        kind="contract_broken",
        reach="model",
        checks=CONTRACT,
        find=evidence.contract_broken,
        ruled_out_by=CONTRACT,
        action="quarantine_and_replay",
        never=("rebuild", "retrain", "accept_reference"),
        sensor=TELL,
        shows="another contract check",
        wrong="The data is bad.",
        done="Its blocking check has stopped it. Mend the source and run it again; what has got "
        f"through is {_REPLAYED}",
        not_done="A new reference; a rebuild.",
    ),
    Reaction(
        kind="index_diverged",
        reach="index",
        checks=(PARITY,),
        find=evidence.failed(lambda _: "ids or digests of the index differ from the lake"),
        ruled_out_by=(PARITY,),
        action="repair",
        never=("rebuild", "retrain", "accept_reference", "propose_version"),
        sensor=REPAIR,
        shows=f"`{PARITY}`",
        wrong="Index and lake differ.",
        done=f"`{REPAIR.job}`",
        not_done="Anything statistical.",
    ),
    Reaction(
        kind="recall_lost",
        reach="index",
        checks=(RECALL,),
        find=evidence.failed(evidence.recall_lost),
        ruled_out_by=(RECALL,),
        action="rebuild",
        never=("propose_version", "retrain", "accept_reference"),
        sensor=REINDEX,
        shows=f"`{RECALL}`",
        wrong="The index does not find what it holds.",
        done=f"`{REINDEX.job}`",
        not_done="A new embedding; a new model.",
    ),
    Reaction(
        kind="index_churned",
        reach="upkeep",
        checks=(RECALL,),
        find=evidence.index_churned,
        ruled_out_by=(),
        action="rebuild",
        never=("propose_version", "retrain"),
        sensor=REINDEX,
        shows="its `deleted_share` or `p95_latency_ms` is over the limit of `acting`",
        wrong="The index carries the dead.",
        done=f"`{REINDEX.job}`",
        not_done="A new embedding.",
    ),
    Reaction(
        kind="ingest_damaged",
        reach="stream",
        checks=(DRIFT,),
        find=evidence.ingest_damaged,
        # By any answer: one that tells of debris is diagnosed as that.
        ruled_out_by=(DRIFT,),
        action="quarantine_and_replay",
        never=("propose_version", "retrain", "rebuild", "accept_reference"),
        sensor=TELL,
        shows=f"`{DRIFT}` for the whole, and more texts with markup than the reference explains "
        "(`markup_low` above `quality.drift_least_novel_share`)",
        wrong="An ingest brought debris.",
        done="Its owner is told. Mend the source and run it again; what has got through is "
        f"{_REPLAYED}",
        not_done="A new reference; a new model.",
    ),
    Reaction(
        kind="quality_fell",
        reach="stream",
        checks=(QUALITY,),
        find=evidence.failed(
            lambda verdict: f"retrieval quality fell by {number(verdict.facts, 'difference')}"
        ),
        ruled_out_by=(QUALITY,),
        action="retrain",
        never=("rebuild", "accept_reference"),
        sensor=RETRAIN,
        shows=f"`{QUALITY}`, and model and index are known to be as they were, and `{DRIFT}` to "
        "see no debris",
        wrong="The model does not suit the content or the questions any more.",
        done=f"`{RETRAIN.job}`: a challenger, which goes through the gate.",
        not_done="A rebuild.",
    ),
    Reaction(
        kind="distribution_moved",
        reach="stream",
        checks=(DRIFT,),
        find=evidence.distribution_moved,
        ruled_out_by=(),
        action="accept_reference",
        never=("propose_version",),
        sensor=RECALIBRATE,
        shows=f"`{DRIFT}` for the whole, and model, index and quality are known to hold, by "
        "verdicts not older than the alarm",
        wrong="The content is new, and served well.",
        done=f"[`{RECALIBRATE.job}`](#content-that-is-new): a person's, unless "
        "`acting.accept_reference.by` is `auto`.",
        not_done="A new embedding.",
    ),
    Reaction(
        kind="slice_moved",
        reach="stream",
        checks=(DRIFT,),
        find=evidence.slice_moved,
        ruled_out_by=(),
        action="quarantine_slice",
        never=("propose_version", "retrain", "rebuild", "accept_reference"),
        sensor=QUARANTINE,
        shows="the same check for slices, of one of which more is surely new than "
        "`quality.drift_least_novel_share`, while the whole does not act; whatever else is known",
        wrong="One tenant or source changed.",
        done=f"Its owner is told. [`{QUARANTINE.job}`](#documents-that-readers-must-not-see): a "
        "person's, unless `acting.quarantine_slice.by` is `auto`.",
        not_done="Anything for all.",
    ),
    Reaction(
        kind="rows_refused",
        reach="rows",
        checks=(REFUSED,),
        find=evidence.failed(
            lambda verdict: (
                f"the backend refuses {number(verdict.facts, 'refused')} rows; "
                "rejected_rows says why"
            )
        ),
        ruled_out_by=(),
        action="mend_source",
        never=("accept_reference", "retrain", "propose_version", "rebuild"),
        sensor=TELL,
        shows=f"`{REFUSED}`",
        wrong="A backend refuses rows.",
        done="Mend them at the source: a person's.",
    ),
)
BY_KIND: Mapping[Kind, Reaction] = {reaction.kind: reaction for reaction in REACTIONS}
SENSORS = tuple(dict.fromkeys(reaction.sensor for reaction in REACTIONS))


def answered_by(sensor: Sensor) -> tuple[Kind, ...]:
    """Faults that a sensor answers."""
    return tuple(reaction.kind for reaction in REACTIONS if reaction.sensor == sensor)


def ruled_out_before(kind: Kind) -> list[str]:
    """Checks that must hold before anything is done about a fault: theirs would forbid it."""
    checks: list[str] = []
    for earlier in REACTIONS:
        if earlier.kind == kind:
            break
        if BY_KIND[kind].action in earlier.never:
            checks += earlier.ruled_out_by
    return checks
