"""Re-embedding: a model that was changed under its name becomes a model version of its own.

Belongs here: the name and the entry of what it is now.
"""

from __future__ import annotations

from vector_platform.models.local_versions import keep_model, write_card
from vector_platform.training.workshop import BASE_NAME_LENGTH, CannotBeMade, Workshop


def name_anew(shop: Workshop, changed: str) -> str:
    """A model version for what a model is now; the same weights get the same name again.

    Raises:
        CannotBeMade: It has no weights of its own to name.
    """
    spec = shop.spec(changed)
    if spec.bases:
        raise CannotBeMade(f"{changed} is made from {', '.join(spec.bases)}: name those anew")
    digest = shop.embedder(changed).fingerprint.digest
    card = {"made_by": "reembed", "of": changed, "fingerprint": digest}
    name = f"{changed[:BASE_NAME_LENGTH]}.re-{digest[:8]}"
    keep_model(
        shop.settings.data_dir,
        name,
        settings=spec.model_dump(mode="json", exclude_defaults=True)
        | {"description": f"{changed} as it answers since it was changed under its name."},
        fill=lambda folder: write_card(folder, card),
    )
    return name
