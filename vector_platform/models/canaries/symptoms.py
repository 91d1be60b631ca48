"""What differing canaries say of the change of a model, in words.

Belongs here: reading which texts differ, and by how much. A symptom names suspects, not culprits:
only the files of the model show which of them it was.
"""

from __future__ import annotations

from collections.abc import Sequence

from vector_platform.models.canaries.answers import SCRIPTS, groups_of

# Below this share of all canaries a change spares some texts.
NEARLY_ALL = 0.75
# Measured with MiniLM: bfloat16 leaves .9999, noise of 1 % in the weights of a layer .9998, int8
# weights .81, a head less .992, and anything else less than that.
ROUNDED_COSINE = 0.999


def reading(
    texts: Sequence[str],
    distances: Sequence[float],
    *,
    tolerance: float,
    least_cosine: float,
    fingerprint_matches: bool,
) -> str:
    """What kind of change fits the canaries that differ.

    Args:
        texts: The canaries.
        distances: Largest difference of a component of each.
        tolerance: Largest difference that is no change.
        least_cosine: Between an answer and the registered vector, of all canaries.
        fingerprint_matches: Whether the files and settings are the registered ones.
    """
    files = (
        "the files and settings that the fingerprint sees are the registered ones"
        if fingerprint_matches
        else "its fingerprint is not the registered one either"
    )
    differing = [place for place, distance in enumerate(distances) if distance > tolerance]
    if not differing:
        if fingerprint_matches:
            return "No canary differs: the model answers as it was registered."
        return (
            "No canary differs, but the fingerprint is not the registered one: other files or "
            "settings that give these texts the same vectors."
        )
    return (
        f"{len(differing)} of {len(texts)} canaries differ, and {files}. "
        f"{suspect(texts, differing, least_cosine)}"
    )


def suspect(texts: Sequence[str], differing: Sequence[int], least_cosine: float) -> str:
    """What fits a change that touches these canaries (their places, at least one)."""
    groups = groups_of(len(texts))
    changed = set(differing)
    if len(changed) >= NEARLY_ALL * len(texts):
        if least_cosine > ROUNDED_COSINE:
            return (
                "All of them a little: another precision or a rounding, or weights that are "
                "slightly different."
            )
        return (
            "Nearly all texts, and far: other weights, coarser ones (int8), another pooling, "
            "another prompt, another case or other marks in the tokenizer, or another model."
        )
    if {groups[place] for place in changed} == {SCRIPTS}:
        return "Only texts of unusual writing: the tokenizer reads them otherwise."
    lengths = [len(texts[place]) for place in changed]
    spared = [len(text) for place, text in enumerate(texts) if place not in changed]
    if min(lengths) >= max(spared):
        return "Only the longest texts: the window (max_tokens) is another, or texts are cut."
    if max(lengths) <= min(spared):
        return (
            "Only the shorter texts: the pooling counts padding, or something is appended that the "
            "window cuts off."
        )
    return "Only some texts: words are tokenized otherwise, or some of the weights are different."
