"""Every verb of the command line, as people and scripts use it, against one deployment.

Long, since the tests of this file are one story on one deployment, told in their order.
"""

from __future__ import annotations

import getpass
import json
import re
from collections.abc import Iterator
from contextlib import closing

import dagster as dg
import pytest

from vector_platform.cli.exits import Exit
from vector_platform.indexes.backends.milvus.names import collection_name
from vector_platform.orchestration.check_results import CheckResult, newest_results
from vector_platform.remediation.checks import PARITY
from vector_platform.settings import BackendName
from vector_platform_tests.cli.verbs import verbs
from vector_platform_tests.integration.audit import Audit
from vector_platform_tests.integration.damage import damage_milvus, damage_pinecone
from vector_platform_tests.integration.deployments import (
    BACKENDS,
    WORDS,
    Command,
    Deployment,
    running,
)
from vector_platform_tests.lake.building import chunk, put

pytestmark = [pytest.mark.deep, pytest.mark.integration]

TOPICS = ["keys", "lamps", "chairs", "carpets", "windows", "stairs", "doors", "tables", "shelves"]

ROWS = 27

# Whoever decides says why.
WHY = ("--reason", "a test")
FROZEN = [{"name": "audit", "first_day": "2020-01-01"}]


@pytest.fixture(scope="module")
def audit(home: Deployment) -> Audit:
    """What every command so far has launched; each is looked at when it ends."""
    found: Audit = home.__dict__["audit"]
    return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    root = tmp_path_factory.mktemp("cli")
    rows = [
        {
            "id": f"i{number}",
            "title": f"Item {number}",
            "text": f"How we care for {TOPICS[number % len(TOPICS)]} in building {number}.",
            "tenant": ("east", "west")[number % 2],
        }
        for number in range(ROWS)
    ]
    (root / "items.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    fields = {"key": "id", "title": "title", "text": "text", "tenant": "tenant"}
    source = {"kind": "files", "path": "items.jsonl", "fields": fields}
    with running(root, sources={"items": source}) as deployment:
        # The story begins before anything runs.
        assert deployment.cli("services", "down").code == 0
        deployment.__dict__["audit"] = audit = Audit(deployment)
        deployment.__dict__["cli"] = audit.cli
        yield deployment


def ok(done: Command) -> Command:
    assert done.code == 0, done.err
    return done


def failed(done: Command, code: int = Exit.FAILED) -> str:
    assert done.code == code, done.out
    assert done.err.startswith("error: ")
    assert "Traceback" not in done.err
    return done.err


def test_a_run_that_would_fail_late_ends_before_anything_is_done(home: Deployment) -> None:
    items = home.described["sources"]["items"]
    home.described["indexes"] = {"milvus": {"index_params": {"efConstrution": 9}}}
    home.described["sources"] = {"items": {**items, "path": "itms.jsonl"}}
    home.save()
    said = failed(home.cli("run", "--day", "2026-01-05"))
    assert "platform.yaml: 2 problem(s)" in said
    assert "sources.items: no such file or folder: itms.jsonl" in said
    assert "did you mean 'efConstruction'?" in said
    home.described["sources"] = {"items": items}
    del home.described["indexes"]
    home.save()
    assert "stopped" in ok(home.cli("services", "status")).out, "no server was started"
    assert set(home.table_versions().values()) == {-1}


def test_settings_are_checked_and_shown(home: Deployment) -> None:
    assert "1 source(s), 1 active model version(s), backends milvus, pinecone" in (
        ok(home.cli("config", "check")).out
    )
    checked = json.loads(ok(home.cli("config", "check", "--json")).out)
    assert checked["sources"] == ["items"]
    assert (
        json.loads(ok(home.cli("config", "show", "--json")).out)["indexes"]["name"] == "documents"
    )
    missing = failed(home.cli("--config", str(home.root / "no.yaml"), "config", "check"))
    assert "no such file" in missing


def test_servers_start_once_and_say_where_they_are(home: Deployment) -> None:
    up = ok(home.cli("services", "up")).out
    assert ok(home.cli("services", "up")).out == up
    states = json.loads(ok(home.cli("services", "status", "--json")).out)
    assert [(s["name"], s["state"]) for s in states] == [
        ("milvus", "running"),
        ("pinecone", "running"),
    ]
    for state in states:
        assert state["uri"].startswith("http://127.0.0.1:")
        assert f"{state['name']} is up at {state['uri']} (pid {state['pid']})" in up
        assert state["uri"] in ok(home.cli("services", "status")).out


def test_nothing_is_live_before_the_first_run(home: Deployment) -> None:
    nothing = failed(home.cli("search", "x"))
    assert "no generation of documents yet: `vector-platform run`" in nothing
    assert "promote" not in nothing, "there is nothing to promote"
    tables = json.loads(ok(home.cli("lake", "status", "--json")).out)["tables"]
    assert {(table["version"], table["rows"]) for table in tables} == {(None, 0)}
    assert "-1" not in ok(home.cli("lake", "status")).out
    assert "no previous generation" in failed(home.cli("release", "rollback", *WHY))
    assert json.loads(ok(home.cli("index", "status", "--json")).out) == []


def test_a_run_brings_everything_up_to_date_and_says_what_it_did(home: Deployment) -> None:
    ok(home.cli("services", "down"))
    first = ok(home.cli("run", "--day", "2026-01-05")).out
    again = json.loads(ok(home.cli("run", "--day", "2026-01-05", "--json")).out)
    assert (again["changed"], again["failed_sources"]) == (False, {})
    chatter = home.cli("--verbose", "run", "--day", "2026-01-05")
    assert "Started execution of step" in chatter.err and "Started execution" not in chatter.out
    assert "Started execution" not in home.cli("run", "--day", "2026-01-05").err
    assert again["stages"][0]["name"] == "sources 2026-01-05" and again["stages"][0]["run_id"]
    assert {stage["summary"] for stage in again["stages"][1:]} == {"up to date"}
    assert "milvus is up at http://" in first and "pinecone is up at http://" in first
    assert f"{ROWS} rows read, {ROWS} inserted" in first
    assert f"{ROWS} = {ROWS} landed + 0 unchanged + 0 rejected + 0 waiting" in first
    assert re.search(r"release: milvus: words.v1 g0001 is now live.*; pinecone: ", first)
    early = home.cli("run", "--day", "2025-12-31")
    assert "before start_date 2026-01-01" in failed(early, Exit.USAGE)
    assert home.cli("run", "--day", "someday").code == 2


def test_a_row_that_may_not_land_is_listed_until_it_is_mended(home: Deployment) -> None:
    file = home.root / "items.jsonl"
    whole = file.read_text(encoding="utf-8")
    file.write_text(whole + '\n{"id": "", "text": "Nobody knows whose."}', encoding="utf-8")
    assert "1 rejected" in ok(home.cli("run", "--day", "2026-01-05")).out
    (held,) = json.loads(ok(home.cli("rejects", "--json")).out)["held"]
    assert (held["source"], held["count"]) == ("items", 1)
    assert home.cli("rejects", "--retry").code == Exit.DIFFERS
    file.write_text(whole, encoding="utf-8")
    assert "nothing is rejected" in ok(home.cli("rejects", "--retry")).out


def test_a_source_with_dates_comes_by_a_range_of_days_and_goes_without_a_trace(
    home: Deployment,
) -> None:
    items = home.described["sources"]["items"]
    (home.root / "diary.csv").write_text("id,title,text,tenant,day\n", encoding="utf-8")
    dated = {**items, "path": "diary.csv", "fields": {**items["fields"], "time": "day"}}
    home.described["sources"] = {"items": items, "diary": dated}
    home.save()
    days = ("--from", "2026-01-01", "--to", "2026-01-05")
    assert "0 = 0 landed" in ok(home.cli("backfill", *days)).out
    assert "items: no source with fields.time" in home.cli("backfill", "items", *days).err
    home.described["sources"] = {"items": items}
    home.save()
    ok(home.cli("run", "--day", "2026-01-05"))
    again = ok(home.cli("run", "--day", "2026-01-05")).out
    assert "staging and documents: up to date" in again


def test_a_search_answers_from_both_backends_side_by_side(home: Deployment) -> None:
    asked = ("search", "care for carpets in building 12", "-k", "3")
    found = json.loads(ok(home.cli(*asked, "--json")).out)
    assert [result["backend"] for result in found] == ["milvus", "pinecone"]
    first, second = ([hit["id"] for hit in result["hits"]] for result in found)
    assert first == second
    assert first[0] == "items:i12#0"
    for result in found:
        assert result["model_version"] == WORDS
        assert result["snapshot"].startswith("chunks@")
    assert "3 of 3 hits in common" in ok(home.cli(*asked)).out
    west = json.loads(ok(home.cli(*asked, "--tenant", "west", "--json")).out)
    assert {hit["tenant"] for result in west for hit in result["hits"]} == {"west"}
    assert "is of tenant nobody: tenants are named exactly" in failed(
        home.cli(*asked, "--tenant", "nobody")
    )
    assert "the query is empty" in failed(home.cli("search", " "), Exit.USAGE)
    assert "between 1 and 1000" in failed(home.cli("search", "x", "-k", "0"), Exit.USAGE)
    unknown = home.cli("search", "x", "--backend", "oracle")
    assert "milvus, pinecone, all" in failed(unknown, Exit.USAGE)


def test_status_verbs_speak_to_people_and_machines(home: Deployment) -> None:
    states = json.loads(ok(home.cli("index", "status", "--json")).out)
    assert [(s["backend"], s["status"], s["live"], s["rows"]) for s in states] == [
        (backend, "proven", True, ROWS) for backend in BACKENDS
    ]
    assert "live" in ok(home.cli("index", "status")).out
    assert [s["whose"] for s in states] == ["this lake", "this lake"]
    status = json.loads(ok(home.cli("release", "status", "--json")).out)
    assert [len(status["releases"][backend]) for backend in BACKENDS] == [1, 1]
    assert (status["requests"], status["left_behind"]) == ([], {name: [] for name in BACKENDS})
    assert status["tenants_without_alias"] == dict.fromkeys(BACKENDS, 0)
    assert "g0001 (live)" in ok(home.cli("release", "status")).out
    tables = json.loads(ok(home.cli("lake", "status", "--json")).out)["tables"]
    rows = {table["table"]: table["rows"] for table in tables}
    assert (rows["raw/items"], rows["chunks"], rows["embeddings"]) == (ROWS, ROWS, ROWS)
    assert "chunks" in ok(home.cli("lake", "status")).out


def parity(home: Deployment, backend: BackendName) -> CheckResult:
    """The newest evaluation of `index_matches_lake` that the UI shows."""
    key = dg.AssetCheckKey(dg.AssetKey([backend, "documents"]), PARITY)
    return newest_results(home.runs.instance, [key], partition=WORDS)[key]


def degraded(home: Deployment, backend: BackendName) -> list[bool]:
    found = json.loads(ok(home.cli("search", "a lamp", "--backend", backend, "--json")).out)
    return [result["degraded"] for result in found]


@pytest.mark.parametrize("backend", BACKENDS)
def test_damage_done_behind_our_back_is_found_named_and_repaired(
    home: Deployment, backend: BackendName
) -> None:
    ours = ("--backend", backend)
    assert ok(home.cli("index", "verify", *ours)).out.count("equal to") == 1
    {"milvus": damage_milvus, "pinecone": damage_pinecone}[backend](home)
    found = home.cli("index", "verify", *ours)
    assert found.code == Exit.DIFFERS
    assert "2 missing, 1 stale, 1 orphaned, 1 in the wrong tenant, 0 duplicated" in found.out
    assert "to write: east/items:i0#0, east/items:i4#0, west/items:i1#0" in found.out
    assert "to delete: east/items:stranger#0, west/items:i4#0" in found.out
    (facts,) = json.loads(home.cli("index", "verify", *ours, "--json").out)
    assert (facts["clean"], facts["missing"], facts["orphaned"]) == (False, 2, 1)
    # Readers are told before anything is repaired, and told no more afterwards.
    assert degraded(home, backend) == [True]
    assert "known to be broken" in ok(home.cli("index", "status")).out
    assert "degraded" in ok(home.cli("search", "a lamp", *ours)).out
    before = parity(home, backend)
    repaired = ok(home.cli("index", "repair", *ours)).out
    assert "3 rewritten, 2 deleted" in repaired
    after = parity(home, backend)
    assert after.passed and after.record_id > before.record_id, "the UI shows the repair, too"
    assert degraded(home, backend) == [False]
    assert home.stored(backend) == home.desired()
    ok(home.cli("index", "verify"))


def test_a_row_served_with_another_vector_is_found_too(home: Deployment) -> None:
    name = collection_name(home.generation("milvus").identity)
    with closing(home.milvus()) as client:
        (row,) = client.query(name, ids=["items:i7#0"], output_fields=["*"])
        # An upsert may leave both copies on Milvus Lite, which is another fault.
        client.delete(name, ids=["items:i7#0"])
        client.insert(name, [dict(row) | {"vector": [0.0] * 255 + [1.0]}])
    found = home.cli("index", "verify")
    assert found.code == Exit.DIFFERS
    assert "contents: items:i7#0: vector" in found.out
    # Once somebody has seen it, a plain sync compares everything.
    facts = json.loads(ok(home.cli("index", "sync", "--json")).out)
    assert [(fact["mode"], fact["rows_upserted"]) for fact in facts] == [("full", 1), ("none", 0)]
    ok(home.cli("index", "verify"))


def test_an_index_that_equals_an_older_snapshot_says_so_with_a_code_of_its_own(
    home: Deployment,
) -> None:
    late = chunk("items:late", "not synced", tenant="east")
    lake = home.platform.lake
    put(lake, late)
    found = home.cli("index", "verify")
    assert found.code == 6
    assert found.out.count("equal to") == 2 and found.out.count("1 on, 1 rows changed") == 2
    found = home.cli("index", "verify", "--json")
    assert found.code == 6
    for facts in json.loads(found.out):
        assert (facts["clean"], facts["behind"]) == (True, True)
        assert (facts["versions_behind"], facts["rows_behind"]) == (1, 1)
        assert facts["snapshot"] != facts["newest_snapshot"] == str(lake.snapshot())
    put(lake, delete=[late["chunk_id"]])
    # Two versions on, and the same rows: nothing to bring it on to.
    assert "nothing has changed since" in ok(home.cli("index", "verify")).out
    ok(home.cli("index", "sync"))


def test_a_sync_with_nothing_to_do_writes_nothing(home: Deployment) -> None:
    def written() -> dict[str, int]:
        # The checks of a sync measure recall and keep what they measured.
        return {k: v for k, v in home.table_versions().items() if k != "evaluations"}

    before = written()
    facts = json.loads(ok(home.cli("index", "sync", "--json")).out)
    assert [(fact["backend"], fact["mode"]) for fact in facts] == [
        ("milvus", "none"),
        ("pinecone", "none"),
    ]
    assert written() == before
    unknown = home.cli("index", "sync", "--model", "other")
    assert "--model 'other' is not one of words.v1" in failed(unknown, Exit.USAGE)


def test_a_rebuilt_generation_is_released_and_can_be_rolled_back(home: Deployment) -> None:
    built = ok(home.cli("index", "rebuild", "--model", WORDS, "--reason", "a new index type"))
    assert f"milvus/{WORDS}: g0002 is built and proven" in built.out
    assert f"pinecone/{WORDS}: g0002 is built and proven" in built.out
    assert ok(home.cli("release", "status")).out.count("g0002 (live)") == 2
    back = ok(home.cli("release", "rollback", "--backend", "milvus", *WHY))
    assert "g0001 is now live" in back.out
    again = json.loads(
        ok(home.cli("release", "rollback", "--backend", "milvus", *WHY, "--json")).out
    )
    assert [(one["generation"], one["moved"]) for one in again] == [("g0001", False)]
    promoted = ok(home.cli("release", "promote", WORDS, *WHY))
    assert "g0002 is now live" in promoted.out
    assert "g0002 stays live" in promoted.out
    for backend in BACKENDS:
        assert home.stored(backend) == home.desired()


def test_a_release_is_asked_for_approved_and_recorded(home: Deployment) -> None:
    me = getpass.getuser()
    home.described["releases"] = {"approvers": [me, "somebody-else"], "freezes": FROZEN}
    home.save()
    try:
        built = home.cli("index", "rebuild", "--model", WORDS, "--backend", "milvus", *WHY)
        assert built.code == Exit.REFUSED and "freeze fails" in built.out
        (waiting,) = json.loads(ok(home.cli("release", "requests", "--json")).out)
        request = waiting["request_id"]
        assert (waiting["requester"], waiting["state"]) == (me, "approved")
        assert "'audit'" in waiting["waits_for"]
        assert request in ok(home.cli("release", "requests")).out
        shown = json.loads(ok(home.cli("release", "show", request, "--json")).out)
        outcomes = {gate["gate"]: gate["outcome"] for gate in shown["gates"]["gates"]}
        assert outcomes.pop("freeze") == "fail"
        assert set(outcomes.values()) == {"pass"}
        page = ok(home.cli("release", "show", request, "--html")).out
        assert page.startswith("<!doctype html>")
        assert ok(home.cli("release", "show", request, "--html")).out == page
        assert "## milvus documents" in ok(home.cli("release", "show", request)).out
        alone = home.cli("release", "approve", request, *WHY)
        assert "nobody approves their own" in failed(alone, Exit.REFUSED)
        refused = home.cli("release", "approve", request, *WHY, "--override-freeze", "it leaks")
        assert "may not set aside" in failed(refused, Exit.REFUSED)
        withdrawn = ok(home.cli("release", "reject", request, "--reason", "after the audit"))
        assert "is withdrawn: after the audit" in withdrawn.out
    finally:
        del home.described["releases"]
        home.save()
    assert "g0003 is now live" in ok(home.cli("release", "promote", WORDS, *WHY)).out
    decided = json.loads(ok(home.cli("decisions", "--json", "-n", "0")).out)
    told = [one["what"] for one in decided if one["subject"] == request]
    assert told == ["request", "withdraw"]
    told = ok(home.cli("decisions", "--about", request)).out
    assert "withdraw" in told and "rollback" not in told
    backs = json.loads(ok(home.cli("decisions", "--what", "rollback", "--by", me, "--json")).out)
    assert [one["what"] for one in backs] == ["rollback"]
    assert ok(home.cli("decisions", "--by", "nobody", "--json")).out == "[]\n"
    unknown = home.cli("decisions", "--what", "sold")
    assert "'sold' is not one of request, " in failed(unknown, Exit.USAGE)
    assert "no release request" in failed(home.cli("release", "show", "r-none"))


def test_a_tenant_is_kept_from_readers_and_given_back_when_it_is_mended(home: Deployment) -> None:
    def of_west(backend: BackendName) -> int:
        return sum(tenant == "west" for _, tenant, _ in home.stored(backend))

    west = of_west("milvus")
    assert west > 0
    refused = home.cli("quarantine", "add", "--tenant", "east-west", "--reason", "markup")
    assert "no document of tenant east-west" in failed(refused)
    held = ok(home.cli("quarantine", "add", "--tenant", "west", "--reason", "markup")).out
    assert f"{west} documents have no chunks now" in held
    (quarantine,) = json.loads(ok(home.cli("quarantine", "list", "--json")).out)
    known = quarantine["quarantine_id"]
    assert (quarantine["documents"], quarantine["changed_since"]) == (west, 0)
    assert known in ok(home.cli("quarantine", "list")).out
    # So many deletes are not what a sync does by itself.
    stopped = home.cli("run", "--day", "2026-01-05")
    # The error is the last that is said, and nothing of what libraries log stands around it.
    assert stopped.code == Exit.REFUSED
    assert stopped.err.splitlines()[-1].endswith(f"If it is right: --allow-delete {west}")
    assert not re.search("Dependencies for step|dbt build|Traceback", stopped.err)
    ok(home.cli("index", "sync", "--allow-delete", str(west)))
    assert [of_west(backend) for backend in BACKENDS] == [0, 0]

    assert "no document changed" in failed(
        home.cli("quarantine", "replay", known, "--reason", "mended")
    )
    file = home.root / "items.jsonl"
    file.write_text(file.read_text().replace("in building 1.", "in building one."))
    ok(home.cli("run", "--day", "2026-01-05"))
    assert [of_west(backend) for backend in BACKENDS] == [0, 0]
    given = ok(home.cli("quarantine", "replay", known, "--reason", "mended")).out
    assert f"{west} documents have chunks again" in given
    assert json.loads(ok(home.cli("quarantine", "list", "--json")).out) == []
    ok(home.cli("run", "--day", "2026-01-05"))
    for backend in BACKENDS:
        assert of_west(backend) == west
        assert home.stored(backend) == home.desired()
    decided = json.loads(ok(home.cli("decisions", "--json", "-n", "0")).out)
    told = [one["what"] for one in decided if one["subject"] == known]
    assert told == ["quarantine", "replay"]


def test_care_of_the_lake_breaks_no_snapshot_in_use(home: Deployment) -> None:
    assert "chunks:" in ok(home.cli("lake", "optimize")).out
    assert "chunks:" in ok(home.cli("lake", "vacuum", "--retention-hours", "0")).out
    ok(home.cli("index", "verify"))
    again = ok(home.cli("run", "--day", "2026-01-05")).out
    assert "0 inserted, 0 changed" in again
    ok(home.cli("search", "care for doors"))
    for backend in BACKENDS:
        assert home.stored(backend) == home.desired()


def test_the_live_model_is_built_on_another_backend_and_compared(home: Deployment) -> None:
    moving = ("migrate", "--from", "milvus", "--to", "pinecone", "-k", "3")
    told = ok(home.cli(*moving)).out
    assert f": {ROWS} rows from the lake" in told and "equal to chunks@" in told
    assert "no pointer has moved (--release --reason WHY asks for it)" in told
    report = json.loads(ok(home.cli(*moving, "--json")).out)
    assert (report["shadow"]["overlap"], report["release"]) == (1.0, None)
    assert "name the same backend" in failed(
        home.cli("migrate", "--from", "milvus", "--to", "milvus"), Exit.USAGE
    )


def test_verbs_say_why_there_is_nothing_to_decide_or_to_make_here(home: Deployment) -> None:
    assert "nothing to write" in ok(home.cli("index", "plan")).out
    assert "no tenant or region was changed" in ok(home.cli("lake", "audit-tenants")).out
    assert WORDS in ok(home.cli("model", "list")).out
    assert json.loads(ok(home.cli("golden", "proposals", "--json")).out) == []
    assert json.loads(ok(home.cli("golden", "health", "--json")).out) == {"queries": 0, "ill": []}
    assert "without golden_queries" in failed(home.cli("golden", "accept", "p-none", *WHY))
    assert "p-none" in failed(home.cli("golden", "reject", "p-none", *WHY))
    assert "set retired: true in platform.yaml" in failed(home.cli("model", "retire", WORDS, *WHY))
    aligned = home.cli("model", "align", "--from", WORDS, "--to", WORDS)
    assert home.cli("release", "promote", WORDS).code == Exit.USAGE, "nobody says why"
    assert "are too few" in failed(aligned)
    failed(home.cli("model", "retrain", *WHY))
    failed(home.cli("drift", "accept", WORDS, "--reason", "as it is"))
    assert "'other' is not one of" in failed(
        home.cli("release", "request", "other", *WHY), Exit.USAGE
    )
    assert (
        "stays live" in ok(home.cli("release", "request", WORDS, "--backend", "milvus", *WHY)).out
    )


def test_a_server_that_died_is_said_to_have_died(home: Deployment) -> None:
    import psutil

    (milvus, _) = json.loads(ok(home.cli("services", "status", "--json")).out)
    assert milvus["state"] == "running"
    process = psutil.Process(milvus["pid"])
    process.kill()
    process.wait(10)
    assert "the embedded milvus server died" in failed(home.cli("search", "x"))
    assert "milvus died" in ok(home.cli("services", "status")).out
    ok(home.cli("services", "up"))
    ok(home.cli("index", "verify"))
    assert ok(home.cli("services", "down")).out == "stopped: milvus, pinecone\n"
    assert ok(home.cli("services", "down")).out == "nothing was running\n"
    assert "start it with `vector-platform services up`" in failed(home.cli("search", "x"))


def test_the_demo_starts_the_servers_itself_and_says_when_there_is_nothing_to_do(
    home: Deployment,
) -> None:
    done = ok(home.cli("demo"))
    assert "milvus is up at http://127.0.0.1:" in done.out
    assert "nothing to do: sources, lake and both indexes are as the last run left them" in done.out
    assert "hits in common" in done.out
    for backend in BACKENDS:
        assert home.stored(backend) == home.desired()


def test_an_index_that_another_hand_wrote_is_adopted_by_a_named_person(home: Deployment) -> None:
    name = home.generation("milvus").generation
    assert "is this lake's" in ok(home.cli("index", "adopt", "--backend", "milvus")).out
    home.platform.target("milvus").mark(home.generation("milvus").identity, "another hand")
    refused = home.cli("index", "sync", "--backend", "milvus")
    assert refused.code == 1 and "last written towards hand" in refused.err
    (milvus,) = (
        row
        for row in json.loads(ok(home.cli("index", "status", "--json")).out)
        if (row["backend"], row["generation"]) == ("milvus", name)
    )
    assert milvus["whose"].startswith("was last written towards hand")
    shown = ok(home.cli("index", "adopt", "--backend", "milvus")).out
    assert "0 missing, 0 stale, 0 orphaned" in shown and "--reason WHY" in shown
    adopting = ("index", "adopt", "--backend", "milvus", "--by", "Ada L.")
    assert home.cli(*adopting).code == Exit.USAGE
    assert "the next sync compares all" in ok(home.cli(*adopting, "--reason", "a drill")).out
    decided = json.loads(ok(home.cli("decisions", "--what", "adopt", "--json")).out)
    assert [(d["actor"], d["subject"], d["why"]) for d in decided] == [
        ("Ada L.", f"milvus/documents/{name}", "a drill")
    ]
    assert "0 written, 0 deleted" in ok(home.cli("index", "sync", "--backend", "milvus")).out
    assert home.generation("milvus").status == "proven"


def test_every_verb_that_changes_anything_has_launched_its_jobs(audit: Audit) -> None:
    assert [verb for verb, jobs in verbs().items() if jobs and not audit.launched[verb]] == []
