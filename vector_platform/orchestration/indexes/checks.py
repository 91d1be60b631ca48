"""Parity checks: an index equals the snapshot it claims to be built from.

Belongs here: `index_matches_lake`, which takes back the proof of a generation that differs,
`every_row_is_indexed` and `mirror_follows_pointer` of every backend. An unreachable backend is an
error, never a failed check.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from collections import Counter
from typing import Any

import dagster as dg

from vector_platform.indexes.plan import Plan
from vector_platform.indexes.proof.verification import Verification
from vector_platform.indexes.rejected import RejectedRows
from vector_platform.indexes.state import GenerationState
from vector_platform.orchestration import keys
from vector_platform.orchestration.runs.checks import model_check
from vector_platform.orchestration.showing import picture
from vector_platform.quality.pictures.check_pictures import stacked_counts
from vector_platform.remediation import checks
from vector_platform.remediation.next_steps import what_happens
from vector_platform.settings import BackendName, Settings
from vector_platform.wiring import Platform

# Tenants named in a diagnosis.
SHOWN = 8


def build_parity_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """Three checks a configured backend."""
    return [
        build(settings, backend)
        for backend in settings.indexes.backends
        for build in (_parity_check, _refused_check, _mirror_check)
    ]


def _parity_check(settings: Settings, backend: BackendName) -> dg.AssetChecksDefinition:
    @model_check(settings, keys.index(backend, settings), checks.PARITY)
    def check(platform: Platform, model_version: str, run_id: str) -> dg.AssetCheckResult:
        sync = platform.index_sync(backend, run_id=run_id)
        states = _following(platform, backend, model_version)
        unread = [
            state for state in states if state.run_id != run_id or sync.prover.full_is_due(state)
        ]
        if not unread:
            return _proven_by_its_sync(states[-1], platform.settings, backend)
        proofs = {state.generation: sync.verify(state) for state in unread}
        # Of several generations, the numbers are those of the first that differs.
        shown = min(proofs, key=lambda name: proofs[name].clean)
        clean = all(proof.clean for proof in proofs.values())
        return dg.AssetCheckResult(
            passed=clean,
            metadata={
                **proof_metadata(proofs[shown]),
                "generation": shown,
                "generations_compared": len(proofs),
                **_picture(proofs[shown].plan, f"{backend} {shown} of {model_version}"),
                "what_happens": _what_happens(
                    checks.PARITY, clean, platform.settings, model_version, backend
                ),
                "what_to_do": f"vector-platform index repair --backend {backend} "
                f"--model {model_version}, or the job repair_{backend}, rewrites exactly what "
                "differs.",
            },
        )

    return check


def _proven_by_its_sync(
    state: GenerationState, settings: Settings, backend: BackendName
) -> dg.AssetCheckResult:
    """The verdict of the sync of the same run, which has read back what it touched.

    A generation that its sync could not prove is not `proven`, whatever else happened.
    """
    assert state.fully_proven_at is not None
    proven = state.status == "proven"
    return dg.AssetCheckResult(
        passed=proven,
        metadata={
            "rows": state.rows,
            "generation": state.generation,
            "snapshot": str(state.snapshot),
            "scope": "changes",
            "fully_proven_at": dg.MetadataValue.timestamp(state.fully_proven_at),
            "diagnosis": "What the sync touched was read back and equals the snapshot."
            if proven
            else "The sync could not prove this generation; its run says why.",
            "what_happens": _what_happens(
                checks.PARITY, proven, settings, state.model_version, backend
            ),
            "what_this_means": "What the sync touched was read back. Everything is read back when "
            "that is due (guard.full_proof_hours), when a sync finds nothing to do, and when this "
            "check is run by itself.",
        },
    )


def _refused_check(settings: Settings, backend: BackendName) -> dg.AssetChecksDefinition:
    @model_check(settings, keys.index(backend, settings), checks.REFUSED)
    def check(platform: Platform, model_version: str, run_id: str) -> dg.AssetCheckResult:
        states = _following(platform, backend, model_version)
        rows = [row for state in states for row in RejectedRows(platform.lake, state).rows()]
        return dg.AssetCheckResult(
            passed=not rows,
            metadata={
                "refused": len(rows),
                "generations": ", ".join(state.generation for state in states),
                "sample": dg.MetadataValue.json(
                    [
                        {name: row[name] for name in ("id", "tenant", "uri", "reason")}
                        for row in rows[:10]
                    ]
                ),
                "diagnosis": _refusals(rows),
                "what_happens": _what_happens(
                    checks.REFUSED, not rows, platform.settings, model_version, backend
                ),
                "what_to_do": "Mend the documents at their source: a changed row is tried again "
                "and leaves the table by itself.",
            },
        )

    return check


def _mirror_check(settings: Settings, backend: BackendName) -> dg.AssetChecksDefinition:
    @model_check(settings, keys.index(backend, settings), checks.MIRROR)
    def check(platform: Platform, model_version: str, run_id: str) -> dg.AssetCheckResult:
        mirrored = None
        live = platform.live_pointer(backend).live()
        serves = live is not None and live.model_version == model_version
        if serves:
            state = platform.live_pointer(backend).live_generation()
            mirrored = platform.target(backend).mirrored(state.identity)
        behind = mirrored.behind if mirrored is not None else ()
        return dg.AssetCheckResult(
            passed=not behind,
            metadata={
                "left_behind": len(behind),
                "tenants_without_alias": mirrored.without if mirrored is not None else 0,
                "generation": live.generation if live is not None and serves else "",
                "sample": dg.MetadataValue.json(behind[:SHOWN]),
                "diagnosis": "Readers outside the platform are served another generation."
                if behind
                else "Readers outside the platform see the live generation."
                if serves
                else "This model version is not live, so no alias stands for it.",
                "what_happens": "The next sync, and every release command, makes them follow."
                if behind
                else "Nothing: there is nothing to mend.",
                "what_to_do": f"vector-platform release promote {model_version} --backend "
                f"{backend} --reason WHY makes the aliases follow at once; it moves no pointer.",
            },
        )

    return check


def proof_metadata(proof: Verification) -> dict[str, Any]:
    """A proof as metadata of a check: numbers first, samples as JSON, what they say in words."""
    facts = proof.facts()
    samples = facts.pop("samples")
    return facts | {"samples": dg.MetadataValue.json(samples), "diagnosis": _diagnosis(proof)}


def _picture(plan: Plan, of: str) -> dict[str, Any]:
    """What differs by tenant and kind; nothing where nothing does."""
    counts = plan.by_tenant()
    if not counts:
        return {}
    title = f"{of}: rows that differ from the lake, by tenant"
    return {"picture": picture(stacked_counts(counts, measured="rows", title=title), title)}


def _diagnosis(proof: Verification) -> str:
    if proof.clean:
        return "The index equals the snapshot that it claims to be built from."
    plan = proof.plan
    kinds = {
        "missing in the index": plan.missing,
        "there with another content": plan.stale,
        "unknown to the lake": plan.orphaned,
        "under a tenant that they have left": plan.moved,
        "there more than once": plan.duplicated,
        "of those read whole with other contents": len(proof.rows_differing),
    }
    found = "; ".join(f"{rows} rows {kind}" for kind, rows in kinds.items() if rows)
    tenants = ", ".join(list(plan.by_tenant())[:SHOWN])
    return (
        "Index and lake differ, which no sync leaves behind: something else has written to it. "
        f"{found}." + (f" Tenants: {tenants}." if tenants else "")
    )


def _refusals(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "The backend has taken every row."
    tenants = Counter(str(row["tenant"]) for row in rows).most_common(SHOWN)
    named = ", ".join(f"{tenant} {count}" for tenant, count in tenants)
    return f"{len(rows)} rows are refused for what is in them; the sample says why. {named}."


def _what_happens(
    check: str, passed: bool, settings: Settings, model_version: str, backend: BackendName
) -> str:
    follows = what_happens(
        check, settings, passed=passed, model_version=model_version, backend=backend
    )
    return follows or "Nothing: there is nothing to mend."


def _following(
    platform: Platform, backend: BackendName, model_version: str
) -> list[GenerationState]:
    states = platform.live_pointer(backend).following(model_version)
    if not states:
        raise dg.Failure(f"{backend} has no generation of {model_version} to check")
    # One that is being built beside the live one is proven by its builder when it is done.
    return [state for state in states if state.status != "building"] or states
