"""An index that somebody has changed behind our back: found, and only the damage rewritten.

Belongs here: damage done through the plain SDKs, to both backends.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from vector_platform.indexes.proof.verification import Verification
from vector_platform.indexes.proof.verify import verify
from vector_platform_tests.faults.corpus import TENANTS
from vector_platform_tests.faults.servers import PLAIN, Plain, Row
from vector_platform_tests.faults.worlds import World

pytestmark = pytest.mark.deep

# What was done, then: rows that a repair writes and rows that it deletes.
Damage = Callable[[World, Plain, list[Row]], tuple[int, int]]


def verified(world: World) -> Verification:
    target = world.server.open()
    try:
        state = world.newest()
        return verify(world.lake, target, state.identity, world.lake.snapshot())
    finally:
        target.close()


def rows_deleted(world: World, plain: Plain, rows: list[Row]) -> tuple[int, int]:
    plain.remove(world.newest().identity, rows[:7])
    assert verified_after(world, missing=7)
    return 7, 0


def digests_altered(world: World, plain: Plain, rows: list[Row]) -> tuple[int, int]:
    plain.write(world.newest().identity, [row | {"digest": "forged"} for row in rows[:5]])
    assert verified_after(world, stale=5)
    return 5, 0


def rows_added(world: World, plain: Plain, rows: list[Row]) -> tuple[int, int]:
    plain.write(world.newest().identity, [row | {"id": f"evil:{row['id']}"} for row in rows[:6]])
    assert verified_after(world, orphaned=6)
    return 0, 6


def tenants_swapped(world: World, plain: Plain, rows: list[Row]) -> tuple[int, int]:
    """Each row is moved to another tenant, as an attacker or a broken script would."""
    moved = [
        row | {"tenant": TENANTS[(TENANTS.index(row["tenant"]) + 1) % len(TENANTS)]}
        for row in rows[:4]
    ]
    generation = world.newest().identity
    plain.remove(generation, rows[:4])
    plain.write(generation, moved)
    assert verified_after(world, wrong_tenant=4, missing=4)
    return 4, 4


def vectors_altered(world: World, plain: Plain, rows: list[Row]) -> tuple[int, int]:
    """Digests still say what they should; only vectors read back tell."""
    turned = [row | {"vector": [-float(x) for x in row["vector"]]} for row in rows[:3]]
    plain.write(world.newest().identity, turned)
    assert verified_after(world, rows_differing=3)
    return 3, 0


def texts_altered(world: World, plain: Plain, rows: list[Row]) -> tuple[int, int]:
    """Digests say what they should; the hits of a search say something else."""
    generation = world.newest().identity
    plain.write(generation, [row | {"text": "forged"} for row in rows[:2]])
    plain.write(generation, [row | {"title": "forged"} for row in rows[2:4]])
    plain.write(generation, [row | {"region": "elsewhere"} for row in rows[4:6]])
    plain.write(generation, [rows[6] | {"doc_id": "another"}])
    assert verified_after(world, rows_differing=7)
    assert set(verified(world).rows_differing.values()) == {"text", "title", "region", "doc_id"}
    return 7, 0


def attributes_altered(world: World, plain: Plain, rows: list[Row]) -> tuple[int, int]:
    forged = [row | {"attributes": {"clearance": "public"}} for row in rows[:3]]
    plain.write(world.newest().identity, forged)
    assert verified_after(world, rows_differing=3)
    assert set(verified(world).rows_differing.values()) == {"attributes"}
    return 3, 0


def attributes_to_filter_by_altered(world: World, plain: Plain, rows: list[Row]) -> tuple[int, int]:
    """On Pinecone they stand in fields of their own: a hit shows the right ones, a filter lies."""
    plain.write(world.newest().identity, [row | {"attr_clearance": "public"} for row in rows[:3]])
    assert verified_after(world, rows_differing=3)
    assert set(verified(world).rows_differing.values()) == {"attributes"}
    return 3, 0


def everything_at_once(world: World, plain: Plain, rows: list[Row]) -> tuple[int, int]:
    generation = world.newest().identity
    plain.remove(generation, rows[:3])
    plain.write(generation, [row | {"digest": ""} for row in rows[3:5]])
    plain.write(generation, [row | {"id": f"evil:{row['id']}"} for row in rows[5:9]])
    assert verified_after(world, missing=3, stale=2, orphaned=4)
    return 5, 4


def verified_after(world: World, **expected: int) -> bool:
    facts = verified(world).facts()
    kinds = ("missing", "stale", "orphaned", "wrong_tenant", "duplicated", "rows_differing")
    found = {kind: facts[kind] for kind in kinds if facts[kind]}
    assert found == expected
    return True


@pytest.mark.parametrize(
    "damage",
    [
        rows_deleted,
        digests_altered,
        texts_altered,
        attributes_altered,
        rows_added,
        tenants_swapped,
        vectors_altered,
        everything_at_once,
    ],
)
def test_damage_is_found_and_only_the_damage_is_rewritten(world: World, damage: Damage) -> None:
    damage_and_repair(world, damage)


@pytest.mark.parametrize("server", ["pinecone"], indirect=True)
def test_what_queries_filter_by_is_found_and_rewritten_where_it_stands_apart(world: World) -> None:
    damage_and_repair(world, attributes_to_filter_by_altered)


def damage_and_repair(world: World, damage: Damage) -> None:
    """Do some damage, repair it, and see that nothing else was rewritten."""
    world.normal_run()
    rows = sorted(world.rows(), key=lambda row: str(row["id"]))
    plain = PLAIN[world.server.backend](world.server.url)
    try:
        written, deleted = damage(world, plain, rows)
    finally:
        plain.close()
    outcome = world.run("repair")
    assert outcome.kind == "done", outcome.facts
    [report] = outcome.facts
    assert (report["upserted"], report["deleted"]) == (written, deleted)
    world.assert_equal()
    for before, after in zip(
        rows, sorted(world.rows(), key=lambda row: str(row["id"])), strict=True
    ):
        np.testing.assert_allclose(after.pop("vector"), before.pop("vector"), rtol=0, atol=1e-6)
        # A fence of a process that does not know the last write marks a row; readers never ask.
        after.pop("fence", None), before.pop("fence", None)
        assert after == before


def test_damage_is_found_by_the_next_change_when_a_full_proof_is_due(world: World) -> None:
    world.normal_run()
    rows = sorted(world.rows(), key=lambda row: str(row["id"]))
    plain = PLAIN[world.server.backend](world.server.url)
    try:
        plain.remove(world.newest().identity, rows[:5])
        plain.write(world.newest().identity, [rows[6] | {"id": "evil:1"}])
    finally:
        plain.close()
    world.change()
    assert world.run(full_proof_hours=0).kind == "done"
    world.assert_equal()


def test_a_generation_that_was_dropped_is_written_again_as_a_whole(world: World) -> None:
    world.normal_run()
    plain = PLAIN[world.server.backend](world.server.url)
    try:
        plain.drop(world.newest().identity)
    finally:
        plain.close()
    world.change()
    [report] = world.normal_run()
    assert report["mode"] == "full"
    world.assert_equal()


def test_a_repair_of_a_sound_index_writes_nothing(world: World) -> None:
    world.normal_run()
    outcome = world.run("repair")
    [report] = outcome.facts
    assert (report["upserted"], report["deleted"]) == (0, 0)
    assert [step for step in outcome.steps if "upsert" in step or "delete" in step] == []
