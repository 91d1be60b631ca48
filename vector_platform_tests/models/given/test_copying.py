"""Given vectors are copied from landed rows: once a text, compared ever after, never mixed up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vector_platform.errors import ContractError
from vector_platform.lake.contract import canonical_json, hash_text
from vector_platform.lake.derived.given_rows import copied_until, rows_to_copy
from vector_platform.lake.given import VectorColumn
from vector_platform.lake.lake import Lake
from vector_platform.models.errors import ModelError
from vector_platform.models.given import copying
from vector_platform.models.given.copying import CopyReport, copy_given
from vector_platform.models.given.version import GivenEmbedder, NoTextSearch
from vector_platform.models.registry import open_model, registration
from vector_platform.settings import Model
from vector_platform_tests.lake import building
from vector_platform_tests.sources.landings import NAME, land_rows

MINE = "mine.v1"
SPEC = Model.model_validate({"given": {"dimensions": 4}})
COLUMNS = {NAME: VectorColumn(MINE, "v", 4)}


class Given:
    """A lake, and the rows of its one source as they are landed and made chunks of."""

    def __init__(self, folder: Path) -> None:
        self.lake: Lake = building.open_lake(folder)
        self.embedder = open_model(MINE, SPEC, cache_dir=folder)
        self.lake.register_model(registration(self.embedder, "register"))
        self.runs = 0

    def put(self, *rows: tuple[str, str, np.ndarray], **more: Any) -> None:
        """Land (key, text, vector), and cut them as the platform does: not at all."""
        found = [{"id": k, "text": text, "v": v.tolist(), **more} for k, text, v in rows]
        land_rows(self.lake, found, run_id=f"landing {self.runs}")
        building.put(
            self.lake,
            *(
                building.chunk(f"{NAME}:{one['id']}", one["text"], attributes=more)
                | {"row_hash": hash_text(canonical_json(one))}
                for one in found
            ),
        )

    def copy(self) -> CopyReport:
        self.runs += 1
        version = self.lake.chunks.version()
        seen = copied_until(self.lake, MINE, version)
        append = self.lake.embeddings.appender("mine", {"run_id": f"run {self.runs}"})
        return copy_given(
            self.embedder,
            rows_to_copy(self.lake, MINE, chunks_version=version, batch_rows=2),
            columns=COLUMNS,
            run_id=f"run {self.runs}",
            commit=lambda rows, well: append(rows, seen if well else {}),
        )

    def stored(self) -> dict[str, np.ndarray]:
        rows = self.lake.embeddings.read(["content_hash", "vector"]).to_pylist()
        assert len({row["content_hash"] for row in rows}) == len(rows)
        return {row["content_hash"]: np.array(row["vector"], np.float32) for row in rows}


@pytest.fixture
def given(tmp_path: Path) -> Given:
    return Given(tmp_path)


def vector(name: str) -> np.ndarray:
    return building.vector_of("mine", name)


def test_each_text_gets_the_vector_of_its_row_bit_by_bit(given: Given) -> None:
    given.put(*((f"k{n}", f"text {n}", vector(f"{n}")) for n in range(5)))
    report = given.copy()
    assert (report.vectors, report.compared, report.commits) == (5, 0, 1)
    for n in range(5):
        assert np.array_equal(given.stored()[hash_text(f"text {n}")], vector(f"{n}"))
    before = given.lake.embeddings.version()
    assert given.copy() == CopyReport()
    assert given.lake.embeddings.version() == before


def test_rows_of_one_text_bring_one_vector_or_an_error_that_names_both(given: Given) -> None:
    near = vector("a") + np.float32(1e-4)
    given.put(("k1", "same", vector("a")), ("k2", "same", near / np.linalg.norm(near)))
    assert given.copy().vectors == 1
    given.put(("k3", "other", vector("b")), ("k4", "other", vector("c")), ("k5", "mine", near))
    for _ in range(2):
        with pytest.raises(ContractError, match=f"document {NAME}:k4: .* that of {NAME}:k3 for"):
            given.copy()
    # Which of the two is right is not guessed; what has nothing to do with them is there.
    assert given.stored().keys() == {hash_text("same"), hash_text("mine")}


def test_a_row_that_changes_its_vector_and_not_its_text_is_an_error_until_it_is_mended(
    given: Given,
) -> None:
    given.put(*((f"k{n}", f"text {n}", vector(f"{n}")) for n in range(3)))
    given.copy()
    given.put(("k1", "text 1", vector("another")), ("k9", "text 9", vector("9")))
    for _ in range(2):
        with pytest.raises(ContractError, match=f"document {NAME}:k1: .* that of the lake"):
            given.copy()
    assert np.array_equal(given.stored()[hash_text("text 1")], vector("1"))
    assert hash_text("text 9") in given.stored()
    given.put(("k1", "text 1", vector("1")))
    given.copy()


def test_a_row_of_which_something_else_changes_is_compared_and_nothing_is_written(
    given: Given,
) -> None:
    given.put(*((f"k{n}", f"text {n}", vector(f"{n}")) for n in range(3)))
    given.copy()
    given.put(("k1", "text 1", vector("1")), price=3)
    report = given.copy()
    # Nothing was written, so what was seen is seen again.
    assert (report.vectors, report.compared) == (0, given.copy().compared)


def test_a_killed_run_keeps_its_commits_and_the_next_does_the_rest(
    given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "_COMMIT_ROWS", 2)
    given.put(*((f"k{n}", f"text {n}", vector(f"{n}")) for n in range(5)))
    append = given.lake.embeddings.append

    def once(*args: Any, **more: Any) -> int:
        monkeypatch.setattr(given.lake.embeddings, "append", killed)
        return append(*args, **more)

    def killed(*_: Any, **__: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(given.lake.embeddings, "append", once)
    with pytest.raises(KeyboardInterrupt):
        given.copy()
    assert len(given.stored()) == 2
    monkeypatch.setattr(given.lake.embeddings, "append", append)
    assert given.copy().vectors == 3
    assert len(given.stored()) == 5


def test_a_chunk_without_its_landed_row_is_an_error_that_names_the_document(given: Given) -> None:
    given.put(("k1", "text 1", vector("1")))
    building.put(given.lake, building.chunk(f"{NAME}:lost", "lost"))
    with pytest.raises(ContractError, match=f"document {NAME}:lost: its landed row is not in raw"):
        given.copy()
    assert hash_text("text 1") in given.stored()


def test_nothing_is_embedded_and_no_text_is_searched_for(given: Given) -> None:
    assert isinstance(given.embedder, GivenEmbedder)
    with pytest.raises(NoTextSearch, match=r"search by a vector, or name .*given\.query_model"):
        given.embedder.encode_queries(["a question"])
    for embed in (given.embedder.encode_documents, given.embedder.embed_few):
        with pytest.raises(ModelError, match="its vectors are given"):
            embed(["a text"])


def test_the_fingerprint_is_what_was_declared_and_not_who_embeds_queries(tmp_path: Path) -> None:
    def fingerprint(**changes: Any) -> str:
        spec = {"given": {"dimensions": 4} | changes.pop("given", {}), **changes}
        return open_model(MINE, Model.model_validate(spec), cache_dir=tmp_path).fingerprint.digest

    same = fingerprint()
    assert fingerprint(given={"query_model": "words.v1"}) == same
    others = (
        fingerprint(given={"dimensions": 5}),
        fingerprint(given={"norm": "scale"}),
        fingerprint(revision="2"),
    )
    assert len({same, *others}) == 4
