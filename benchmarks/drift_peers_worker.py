"""Scores of Evidently or alibi-detect for the days of a folder, one JSON line a method.

Belongs here: what runs in the environment of a peer, with nothing of ours installed.

    python benchmarks/drift_peers_worker.py evidently|alibi-detect FOLDER METHOD ...
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

# The kernel of MMD is a matrix of all rows by all rows.
MMD_ROWS = 1000
Judge = Callable[[np.ndarray], "tuple[float, bool]"]


def evidently(reference: np.ndarray) -> dict[str, Judge]:
    """The four methods for embeddings, as they come."""
    import pandas as pd
    from evidently.legacy.metrics.data_drift.embedding_drift_methods import (
        distance,
        mmd,
        model,
        ratio,
    )

    def judge(method: Callable, rows: int) -> Judge:
        # A method may write into the frames that it is given.
        return lambda day: method(pd.DataFrame(day), pd.DataFrame(reference[:rows]))[:2]

    everything = len(reference)
    return {
        "model": judge(model(), everything),
        "distance": judge(distance(), everything),
        "ratio": judge(ratio(), everything),
        "ratio, 50 components": judge(ratio(pca_components=50), everything),
        f"mmd, {MMD_ROWS} rows": judge(mmd(), MMD_ROWS),
    }


def alibi(reference: np.ndarray) -> dict[str, Judge]:
    """Feature-wise Kolmogorov-Smirnov, a classifier out of fold, MMD; all at p < 0.05."""
    from alibi_detect.cd import ClassifierDrift, KSDrift, MMDDrift
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression

    def judge(detector: object) -> Judge:
        def one(day: np.ndarray) -> tuple[float, bool]:
            found = detector.predict(day)["data"]  # type: ignore[attr-defined]
            return float(np.max(found["distance"])), bool(found["is_drift"])

        return one

    classifier = ClassifierDrift(
        reference,
        LogisticRegression(max_iter=1000),
        backend="sklearn",
        p_val=0.05,
        preds_type="probs",
        binarize_preds=False,
        n_folds=5,
        seed=0,
    )
    mmd = MMDDrift(reference[:MMD_ROWS], backend="pytorch", p_val=0.05, n_permutations=100)
    return {
        "KS": judge(KSDrift(reference, p_val=0.05)),
        # Its documentation reduces embeddings first; Bonferroni then divides by less.
        "KS, 32 components": judge(
            KSDrift(reference, preprocess_fn=PCA(32, random_state=0).fit(reference).transform)
        ),
        "classifier": judge(classifier),
        f"MMD, {MMD_ROWS} rows": judge(mmd),
    }


def main() -> None:
    name, folder, asked = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    reference, days = np.load(folder / "reference.npy"), np.load(folder / "days.npy")
    judges = {"evidently": evidently, "alibi-detect": alibi}[name](reference)
    for method in asked:
        started = time.process_time()
        found = [judges[method](day) for day in days]
        seconds = time.process_time() - started
        scores, verdicts = zip(*((float(score), bool(own)) for score, own in found), strict=True)
        line = {"method": method, "scores": scores, "verdicts": verdicts, "seconds": seconds}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
