"""Write the parts of a bundle, each whole or not at all."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from ctrkit.checksums import CHECKSUMS, write_checksums
from ctrkit.config.sections import RunConfig
from ctrkit.data.encode.encoder import Encoder
from ctrkit.errors import CtrkitError
from ctrkit.files import atomic_folder, atomic_path, copy, write_atomic, write_json
from ctrkit.layout import Layout
from ctrkit.models.model import Model
from ctrkit.schema import DROPPED, MISSING, UNSEEN

logger = logging.getLogger(__name__)

FORMAT = 1
CHECKED = (
    "config.json",
    "schema.toml",
    "layout.json",
    "encoder",
    "model.safetensors",
    "dataset.json",
    "plugins/index.json",
)
"""What has checksums as soon as it is written. The index of plug-ins holds a hash of each."""
KINDS = {MISSING: "missing", UNSEEN: "unseen"}
"""Reserved code -> the kind of value that it means."""


def save_inputs(folder: Path, config: RunConfig, encoder: Encoder, layout: Layout) -> None:
    """Write everything but the weights: what is known before the first step; and its checksums.

    Args:
        folder: The run folder; parts of an earlier bundle are replaced.
        config: The resolved configuration; its plug-in files are copied.
        encoder: The fitted encoder; its schema is written too.
        layout: The layout that the model is built from.

    Raises:
        CtrkitError: A plug-in file of the configuration does not exist.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _save_plugins(folder, config.plugins)
    write_atomic(folder / "config.json", config.canonical_json() + "\n")
    encoder.schema.save(folder / "schema.toml")
    encoder.save(folder / "encoder")
    write_atomic(folder / "layout.json", layout.to_json() + "\n")
    write_checksums(folder / CHECKSUMS, folder, CHECKED)


def save_weights(folder: Path, model: Model, layout: Layout) -> None:
    """Write ``model.safetensors``, and the checksums of all that a model is loaded from.

    Rows that no training row reaches (:func:`zero_unreached`) become zero in ``model`` too, so
    that the model in memory and the one in the folder give the same scores.
    """
    zero_unreached(model, layout)
    state = {
        name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()
    }
    metadata = {"format": str(FORMAT)}  # one key: the order of several is not fixed
    with atomic_path(folder / "model.safetensors") as temporary:
        save_file(state, temporary, metadata=metadata)
    write_checksums(folder / CHECKSUMS, folder, CHECKED)


def zero_unreached(model: Model, layout: Layout) -> None:
    """Set the rows of codes that do not occur in training to zero, and warn of them.

    Where no training value was rare, the row of unseen values still has its random start; zero
    states "nothing known" instead. The same holds for the row of missing values. Rows that fields
    of hashed tables share are left alone.
    """
    zeroed: dict[str, list[str]] = {}
    for index, field in enumerate(layout.coded):
        counts = layout.counts.get(field.name)
        if counts is None or field.hashed:
            continue
        codes = [int(c) for c in np.flatnonzero(counts == 0) if c != DROPPED]
        if codes and _zero_rows(model, index, codes):
            for kind in dict.fromkeys(KINDS.get(code, "other") for code in codes):
                zeroed.setdefault(kind, []).append(field.name)
    for kind, names in zeroed.items():
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        logger.warning(
            "%s values of %d field%s (%s) do not occur in training: they score as a zero vector",
            kind,
            len(names),
            "" if len(names) == 1 else "s",
            shown,
        )


def _zero_rows(model: Model, index: int, codes: list[int]) -> bool:
    """Zero a field's rows in the tables in which they are its own; return whether any were."""
    zeroed = False
    columns = slice(index, index + 1)
    for table in (model.table(name) for name in model.tables):
        if table.has_own_rows(index):
            selected = torch.tensor(codes, device=table.weight.device).unsqueeze(1)  # (n, 1)
            table.weight.data[table.row_of(selected, columns).squeeze(1)] = 0.0
            zeroed = True
    return zeroed


def _save_plugins(folder: Path, plugins: tuple[str, ...]) -> None:
    """Copy plug-in files to ``plugins/`` and list them with their hashes in ``index.json``."""
    if not plugins:
        return
    with atomic_folder(folder / "plugins") as temporary:
        index = []
        for plugin in plugins:
            source = Path(plugin)
            if not source.is_file():
                raise CtrkitError(f"the plug-in file {plugin!r} does not exist")
            digest = hashlib.sha256(source.read_bytes()).hexdigest()
            name = f"{digest[:8]}-{source.name}"
            copy(source, temporary / name)
            index.append({"file": name, "sha256": digest})
        write_json(temporary / "index.json", {"format": FORMAT, "plugins": index})
