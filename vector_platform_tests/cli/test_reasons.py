"""Who decides says why: no verb whose decision is kept has a reason of its own."""

from __future__ import annotations

import re
from pathlib import Path

from vector_platform.cli.launching import is_of
from vector_platform_tests.cli.verbs import commands, verbs
from vector_platform_tests.some import some

CLI = Path(__file__).parents[2] / "vector_platform" / "cli"
# Jobs that people are asked a reason by; `adopt_index` and `migrate_index` only where they decide.
KEPT = ("promote", "roll_back", "approve_release", "reject_release", "reindex", "retrain")
KEPT += ("retire_model", "quarantine_slice", "replay_slice", "recalibrate_reference")
KEPT += ("decide_golden_queries",)
# The platform's own runs: what they ask for waits for a person, and the demo says who watches.
OF_ITSELF = {"run", "backfill", "demo"}
ONLY_WHERE_THEY_DECIDE = {"index adopt", "migrate"}


def test_a_verb_whose_decision_is_kept_asks_for_a_reason() -> None:
    known, jobs = commands(), verbs()
    deciding = {
        verb for verb, tied in jobs.items() if verb not in OF_ITSELF and any(map(tied.count, KEPT))
    }
    assert all(any(is_of(tied, job) for tied in jobs.values()) for job in KEPT)
    for verb in some(sorted(deciding)):
        (reason,) = (one for one in known[verb].params if one.name == "reason")
        assert reason.required, verb
    with_reason = {verb for verb, one in known.items() if "reason" in {p.name for p in one.params}}
    assert with_reason == deciding | ONLY_WHERE_THEY_DECIDE


def test_no_verb_names_a_person() -> None:
    # Who answers is decided in one place, by what the deployment says (`runs/jobs.py`).
    naming = re.compile(r"getuser|getlogin|environ.*USER")
    files = some(sorted(CLI.rglob("*.py")))
    assert [path.name for path in files if naming.search(path.read_text(encoding="utf-8"))] == []
