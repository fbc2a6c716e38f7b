"""Read a bundle: check its parts, ask for consent if it holds code, rebuild the model."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ctrkit.bundle.predictor import Predictor
from ctrkit.bundle.save import CHECKED, FORMAT
from ctrkit.checksums import check_files
from ctrkit.config.messages import validation_message
from ctrkit.config.sections import RunConfig
from ctrkit.data.encode.encoder import Encoder
from ctrkit.errors import RunFolderError
from ctrkit.files import read_json, refuse_links
from ctrkit.layout import Layout
from ctrkit.models.build import build_model
from ctrkit.models.model import Model
from ctrkit.records import RETRAIN, run_of
from ctrkit.registry import load_entry_points, load_plugin
from ctrkit.schema import Schema

_UNREADABLE = (OSError, AttributeError, LookupError, TypeError, ValueError)
"""Errors that files raise which ctrkit did not write; ValueError: CtrkitError too."""
PARTS = ("config.json", "schema.toml", "layout.json", "encoder", "model.safetensors")


def load(
    path: str | Path, trust_plugins: bool = False, *, device: str | torch.device = "cpu"
) -> Predictor:
    """Turn a run folder into a predictor of raw rows.

    Args:
        path: The run folder, or a search folder (its winner).
        trust_plugins: Run the plug-in code in the folder.
        device: Device of the model.

    Raises:
        RunFolderError: The folder is missing, incomplete or of another format; its files belong
            to different runs; or it holds plug-ins that were changed or are not trusted.

    Example::

        ctrkit.load("run").predict(frame)
    """
    folder = run_of(path)
    check_parts(folder)
    check_files(folder, CHECKED, RETRAIN)
    load_plugins(folder, trust=trust_plugins)
    try:
        encoder = _encoder(folder)
        config = read_config(folder)
        layout = _layout(folder, encoder)
        # The seed is part of hashed addressing: the weights fit this seed alone.
        train = config.train
        model = build_model(config.model, layout, seed=train.seed, sparse_from=train.sparse_from)
        load_weights(model, folder / "model.safetensors")
    except RunFolderError:
        raise
    except Exception as error:
        if not isinstance(error, _UNREADABLE):
            raise
        reason = f"{error}" or type(error).__name__
        raise RunFolderError(f"the run folder {str(folder)!r} cannot be read: {reason}") from error
    return Predictor(config, encoder, layout, model.to(device), _validation_unseen(folder))


def check_parts(folder: Path) -> None:
    """Refuse a path that is not a complete run folder, or that links lead out of.

    Raises:
        RunFolderError: States what is missing, or names the link.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise RunFolderError(f"the run folder {str(folder)!r} {what}; make one with ctrkit train")
    refuse_links(folder)
    absent = [part for part in PARTS if not (folder / part).exists()]
    if {"config.json", "model.safetensors"} <= set(absent):
        raise RunFolderError(f"{str(folder)!r} is not a run folder: it has no config.json")
    if absent:
        raise RunFolderError(
            f"the run folder {str(folder)!r} is incomplete: it has no {absent[0]} "
            "(re-run the same command to resume an interrupted run)"
        )


def read_config(folder: Path) -> RunConfig:
    """Read ``config.json``."""
    text = (folder / "config.json").read_text(encoding="utf-8")
    try:
        return RunConfig.model_validate_json(text)
    except ValidationError as error:
        where = str(folder / "config.json")
        raise RunFolderError(
            f"{where!r} cannot be read: {validation_message(error, RunConfig)}"
        ) from None


def load_plugins(folder: Path, *, trust: bool) -> None:
    """Import the plug-ins in a run folder, if they are trusted and unchanged.

    Raises:
        RunFolderError: There are some, and ``trust`` is off or a hash differs.
    """
    load_entry_points()
    plugins = folder / "plugins"
    if not plugins.is_dir() or not any(plugins.iterdir()):
        return
    try:
        index = read_json(plugins / "index.json")
        listed = {str(entry["file"]): str(entry["sha256"]) for entry in index["plugins"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunFolderError(f"{str(plugins / 'index.json')!r} cannot be read: {error}") from error
    _check_format(index.get("format"), plugins / "index.json")
    if listed and not trust:
        raise RunFolderError(
            f"the run folder {str(folder)!r} holds plug-in code ({', '.join(listed)}); "
            "read it, then allow it with --trust-plugins (load(..., trust_plugins=True))"
        )
    for name, digest in listed.items():
        file = plugins / name
        if Path(name).name != name or not file.is_file():
            raise RunFolderError(f"the run folder {str(folder)!r} lacks its plug-in {name!r}")
        if hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            raise RunFolderError(
                f"the plug-in {str(file)!r} was changed after training (its sha256 differs)"
            )
        load_plugin(file)


def _check_format(number: object, path: Path) -> None:
    if str(number) != str(FORMAT):
        raise RunFolderError(f"{str(path)!r} has format {number!r}; this ctrkit reads {FORMAT}")


def _validation_unseen(folder: Path) -> dict[str, float]:
    """Return the share of unseen values in validation by field; earlier runs do not know it."""
    path = folder / "dataset.json"
    facts = read_json(path) if path.is_file() else {}
    shares = facts.get("unseen", {}) if isinstance(facts, dict) else None
    if not isinstance(shares, dict) or not all(isinstance(v, int | float) for v in shares.values()):
        raise RunFolderError(f"{str(path)!r} cannot be read: it must be a table of facts")
    if not all(0 <= share <= 1 for share in shares.values()):
        raise RunFolderError(
            f"{str(path)!r} cannot be read: its 'unseen' must be shares from 0 to 1"
        )
    return {str(name): float(share) for name, share in shares.items()}


def _encoder(folder: Path) -> Encoder:
    """Read the encoder; ``schema.toml`` must hold its schema."""
    schema = Schema.load(folder / "schema.toml")
    encoder = Encoder.load(folder / "encoder")
    if schema != encoder.schema:
        path = str(folder / "schema.toml")
        raise RunFolderError(f"{path!r} and the encoder next to it belong to different runs")
    return encoder


def _layout(folder: Path, encoder: Encoder) -> Layout:
    """Return the encoder's layout, which must be the one that the model was built from."""
    path = folder / "layout.json"
    data = read_json(path)
    _check_format(data.get("format") if isinstance(data, dict) else None, path)
    layout: Layout = encoder.layout()
    if Layout.from_json(path.read_text(encoding="utf-8")) != layout:
        raise RunFolderError(f"{str(path)!r} and the encoder next to it belong to different runs")
    return layout


def load_weights(model: Model, path: Path) -> None:
    """Copy the weights of a ``safetensors`` file into a model.

    Raises:
        RunFolderError: The file is missing or damaged, or its names or shapes are not those of
            the model.
    """
    if not path.is_file():
        raise RunFolderError(f"the weights file {str(path)!r} does not exist")
    expected = model.state_dict()
    try:
        with safe_open(path, framework="pt") as file:
            _check_format((file.metadata() or {}).get("format"), path)
            stored: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise RunFolderError(f"{str(path)!r} is damaged: {error}") from error
    different = sorted(set(expected) ^ set(stored))
    if different:
        side = "lacks" if different[0] in expected else "has the unknown"
        raise RunFolderError(f"{str(path)!r} does not fit the model: it {side} {different[0]!r}")
    for name, tensor in expected.items():
        if tensor.shape != stored[name].shape:
            shapes = f"{tuple(stored[name].shape)} where the model has {tuple(tensor.shape)}"
            raise RunFolderError(f"{str(path)!r} does not fit the model: {name!r} is {shapes}")
    model.load_state_dict(stored)
