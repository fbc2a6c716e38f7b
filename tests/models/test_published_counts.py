"""Parameter counts of published runs, to the last digit, from their vocabularies and settings.

The counts are those that FuxiCTR printed for the runs of BARS (and for QNN and FCN, those of their
authors). FuxiCTR counts no row for padding before version 2, one per categorical field from then
on (``new``). A number counts as one row. Models are built on the meta device: no memory is used.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
import torch

from ctrkit.config.files import make_config
from ctrkit.layout import Layout, LayoutField
from ctrkit.models.build import build_model, count_parameters


@dataclass(frozen=True)
class Data:
    """Vocabulary of a data set: categorical fields, their rows with padding, numbers, width D."""

    fields: int
    rows: int
    numbers: int = 0
    dim: int = 10


DATA = {
    "frappe": Data(10, 5_399),
    "movielens": Data(3, 90_242),
    "criteo": Data(26, 2_086_329, 13),
    "criteo_x4": Data(39, 910_747, dim=16),
    "avazu": Data(22, 1_298_621),
    "avazu_x4": Data(24, 3_750_999, dim=16),
}


NO_BIAS = {"linear": {"bias": False}}


def count(name: str, era: str, model: dict) -> int:
    data = DATA[name]
    rows = data.rows - (data.fields if era == "old" else 0)
    sizes = [rows // data.fields] * data.fields
    sizes[0] += rows - sum(sizes)
    coded = (LayoutField(f"c{i}", "categorical", size) for i, size in enumerate(sizes))
    numbers = (LayoutField(f"n{i}", "numeric", 0) for i in range(data.numbers))
    values = {"dim": data.dim, "numeric_missing": "zero", **model}
    with torch.device("meta"):
        built = build_model(make_config({"model": values}).model, Layout((*coded, *numbers)))
    assert all(p.is_meta for p in built.parameters())
    return count_parameters(built)["allocated"]


def deep(*hidden: int, norm: str = "none") -> dict:
    return {"hidden": hidden, "norm": norm}


def deepfm(norm: str = "none") -> dict:
    return {"name": "deepfm", **NO_BIAS, "mlp": deep(400, 400, 400, norm=norm)}


def ipnn(norm: str = "none") -> dict:
    return {"name": "ipnn", "mlp": deep(400, 400, 400, norm=norm)}


def dcnv2(layers: int, *hidden: int, norm: str = "none") -> dict:
    parameters = {"crossnet": {"layers": layers}, "mlp": deep(*hidden, norm=norm)}
    return {"name": "dcnv2", "head": "concat", **parameters}


FWFM = {"name": "fwfm", "preset": "bars", "second_dim": 10}


def dcn(layers: int, norm: str = "none") -> dict:
    parameters = {"crossnet": {"layers": layers}, "mlp": deep(400, 400, 400, norm=norm)}
    return {"name": "dcn", "head": "concat", **parameters}


def crossnet(layers: int) -> dict:
    return {"name": "crossnet", "crossnet": {"layers": layers}}


def one_block(*hidden: int, gate: bool) -> dict:
    name = "gated_factorized" if gate else "factorized"
    return {"name": name, name: {"hidden": hidden}}


def finalnet(first: list[int], second: list[int]) -> dict:
    return {
        "name": "finalnet",
        "gated_factorized": {"hidden": first},
        "factorized": {"hidden": second},
    }


def serial_mask(ratio: float, **options: bool) -> dict:
    hidden = (400, 400, 400)
    parameters = {"hidden": hidden, "ratio": ratio, "norm_fields": False, **options}
    return {"name": "serial_mask", "serial_mask": parameters}


def parallel_mask(blocks: int, width: int, ratio: float, *hidden: int, norm: bool) -> dict:
    options = {"blocks": blocks, "block_dim": width, "ratio": ratio, "hidden": hidden}
    return {"name": "masknet", "parallel_mask": {**options, "norm": norm, "norm_fields": False}}


def fcn(deep: int, shallow: int) -> dict:
    layers = {"exponential_cross": {"layers": deep}, "linear_cross": {"layers": shallow}}
    return {"name": "fcn", **layers}


def ecn(layers: int) -> dict:
    return {"name": "exponential_cross", "exponential_cross": {"layers": layers}}


def edcn(layers: int, **options: bool) -> dict:
    return {"name": "edcn", "edcn": {"layers": layers, **options}}


def afn(neurons: int, *hidden: int, norm: str = "none") -> dict:
    options = {"neurons": neurons, "hidden": hidden, "hidden_norm": norm}
    return {"name": "afn", "logarithmic": options}


def afn_plus(
    neurons: int, hidden: list[int], second: list[int], norm: str = "none", dim: int = 10
) -> dict:
    model = {**afn(neurons, *hidden, norm=norm), "name": "afn+", "second_dim": dim}
    return {**model, "second_mlp": deep(*second, norm=norm)}


def finalmlp(
    first: list[int],
    second: list[int],
    heads: int,
    gate: int = 0,
    norms: tuple[str, str] = ("batch", "batch"),
) -> dict:
    gates: dict = {"gate": bool(gate), "gate_hidden": (gate,)}
    return {
        "name": "finalmlp",
        "stream1": {"hidden": first, "norm": norms[0], **gates},
        "stream2": {"hidden": second, "norm": norms[1], **gates},
        "bilinear_fusion": {"heads": heads},
    }


def destine(layers: int, width: int) -> dict:
    attention = {"layers": layers, "head_dim": width}
    mlp = deep(400, 400, 400, norm="batch")
    return {"name": "destine", "attention": attention, "mlp": mlp}


def xdeepfm(*maps: int, norm: str = "none") -> dict:
    return {
        "name": "xdeepfm",
        **NO_BIAS,
        "cin": {"maps": maps, "bias": True},
        "mlp": deep(400, 400, 400, norm=norm),
    }


def cin(*maps: int) -> dict:
    return {
        "name": "xdeepfm",
        **NO_BIAS,
        "interactions": ("linear", "cin"),
        "cin": {"maps": maps, "bias": True},
    }


PUBLISHED = {
    "lr": [
        ("frappe", "old", {"name": "lr"}, 5_390),
        ("movielens", "old", {"name": "lr"}, 90_240),
        ("criteo", "old", {"name": "lr"}, 2_086_317),
        ("avazu", "old", {"name": "lr"}, 1_298_600),
    ],
    "fm": [
        ("frappe", "old", {"name": "fm"}, 59_280),
        ("movielens", "old", {"name": "fm"}, 992_630),
        ("criteo", "old", {"name": "fm"}, 22_949_477),
        ("avazu", "old", {"name": "fm"}, 14_284_590),
        ("criteo_x4", "old", {"name": "fm"}, 15_482_037),
        ("avazu_x4", "old", {"name": "fm"}, 63_766_576),
    ],
    "deepfm": [
        ("frappe", "old", deepfm("batch"), 423_280),
        ("movielens", "old", deepfm("batch"), 1_328_630),
        ("criteo", "old", {"name": "deepfm", "preset": "bars"}, 23_429_477),
        ("avazu", "old", deepfm("batch"), 14_696_590),
    ],
    "ipnn": [
        ("frappe", "old", ipnn(), 433_491),
        ("movielens", "old", ipnn(), 1_237_191),
        ("criteo", "old", {"name": "ipnn", "preset": "bars"}, 21_639_561),
        ("avazu", "old", ipnn(), 13_487_991),
    ],
    "crossnet": [
        ("frappe", "old", crossnet(4), 94_391),
        ("movielens", "old", crossnet(8), 909_861),
        ("criteo", "old", crossnet(5), 21_626_001),
        ("avazu", "old", crossnet(4), 13_180_691),
    ],
    "dcn": [
        ("frappe", "old", dcn(3, norm="batch"), 418_591),
        ("movielens", "old", dcn(4, norm="batch"), 1_238_661),
        ("criteo", "old", {"name": "dcn", "preset": "bars"}, 21_343_491),
        ("avazu", "old", dcn(3), 13_397_131),
    ],
    "fwfm": [
        ("criteo", "old", FWFM, 41_727_062),
        ("frappe", "old", FWFM, 107_826),
        ("movielens", "old", FWFM, 1_804_784),
        ("avazu", "old", FWFM, 25_972_212),
        (
            "criteo_x4",
            "old",
            {"name": "fwfm", "interactions": ("linear", "products"), "head": "sum", **NO_BIAS},
            15_482_778,
        ),
    ],
    "dcnv2": [
        ("frappe", "old", dcnv2(4, 400, 400, 400, norm="batch"), 458_391),
        ("movielens", "old", dcnv2(5, 400, 400, 400, norm="batch"), 1_243_071),
        ("criteo", "old", {"name": "dcnv2", "preset": "bars"}, 22_018_021),
        ("avazu", "old", dcnv2(5, 400, 400, 400, norm="batch"), 13_641_311),
        ("criteo_x4", "new", dcnv2(3, *[1000] * 5, norm="batch"), 20_382_577),
        ("avazu_x4", "old", dcnv2(4, *[2000] * 4), 73_385_345),
    ],
    "dlrm_cat": [
        ("frappe", "old", {"name": "dnn", "mlp": deep(400, 400, 400, norm="batch")}, 417_891),
        ("movielens", "old", {"name": "dnn", "mlp": deep(400, 400, 400, norm="batch")}, 1_238_391),
    ],
    "finalnet": [
        ("frappe", "new", finalnet([400, 400], [400]), 338_502),
        ("movielens", "new", finalnet([400, 400], [500]), 1_106_234),
        ("criteo", "new", {"name": "finalnet", "preset": "bars"}, 21_658_582),
        ("criteo", "new", one_block(1000, 1000, gate=True), 22_651_981),
        ("criteo_x4", "new", finalnet([1000, 1000, 1000], [512]), 18_153_050),
        ("avazu", "new", finalnet([800], [800, 800]), 14_163_518),
        ("avazu_x4", "new", finalnet([2000, 2000, 2000], [500]), 69_766_586),
    ],
    "finalnet_without_gate": [
        ("frappe", "new", one_block(400, 400, gate=False), 256_791),
        ("movielens", "new", one_block(400, gate=False), 916_021),
        ("avazu", "new", one_block(400, 400, 400, gate=False), 13_398_211),
    ],
    "masknet": [
        ("criteo", "old", {"name": "masknet", "preset": "bars"}, 21_530_629),
        ("movielens", "old", serial_mask(4), 2_624_541),
        ("avazu", "old", serial_mask(2, norm_fields=True), 14_585_891),
        ("frappe", "old", parallel_mask(3, 50, 2, 400, 400, 400, norm=True), 571_691),
        ("criteo_x4", "new", parallel_mask(2, 500, 0.1, *[1000] * 5, norm=False), 20_358_077),
        ("avazu_x4", "new", parallel_mask(6, 500, 0.8, *[2000] * 3, norm=False), 76_594_787),
    ],
    "fcn": [
        ("criteo_x4", "new", {"name": "fcn", "preset": "bars"}, 15_944_754),
        ("criteo_x4", "new", fcn(4, 5), 16_336_626),
    ],
    "ecn": [
        ("criteo_x4", "new", ecn(1), 14_768_513),
        ("criteo_x4", "new", ecn(2), 14_964_449),
        ("criteo_x4", "new", ecn(3), 15_160_385),
        ("criteo_x4", "new", ecn(4), 15_356_321),
    ],
    "qnn": [
        ("criteo_x4", "new", {"name": "qnn", "preset": "bars"}, 16_912_577),
        ("criteo_x4", "new", {"name": "qnn", "quadratic": {"layers": 5, "rows": 4}}, 22_372_577),
    ],
    "edcn": [
        ("criteo", "old", {"name": "edcn", "preset": "bars"}, 21_329_055),
        ("frappe", "old", edcn(3), 86_351),
        ("movielens", "old", edcn(2, regulation=False), 904_701),
        ("avazu", "old", edcn(3, regulation=False), 13_136_471),
    ],
    "finalmlp": [
        ("movielens", "new", finalmlp([400], [800], 10, 800), 1_040_902),
        ("avazu", "new", finalmlp([400, 400, 400], [800], 10, 800), 13_979_472),
        ("criteo_x4", "new", {"name": "finalmlp", "preset": "bars"}, 19_524_954),
        ("avazu_x4", "new", finalmlp([2000] * 3, [500], 20, norms=("batch", "none")), 69_046_986),
    ],
    "afn": [
        ("criteo", "old", {"name": "afn", "preset": "bars"}, 24_081_239),
        ("frappe", "old", afn(1000, 400), 4_066_711),
        ("movielens", "old", afn(800, 200), 2_506_797),
        ("avazu", "old", afn(1500, 400), 19_022_835),
        ("criteo_x4", "old", afn(1200, *[1000] * 4, norm="batch"), 36_833_607),
        ("avazu_x4", "old", afn(1200, 1000, 1000, norm="batch"), 80_253_849),
    ],
    "destine": [
        ("criteo", "old", {"name": "destine", "preset": "bars"}, 21_552_328),
        ("frappe", "old", destine(4, 128), 623_346),
        ("movielens", "old", destine(3, 64), 1_274_821),
        ("avazu", "old", destine(3, 64), 13_435_637),
    ],
    "xdeepfm": [
        ("criteo", "old", {"name": "xdeepfm", "preset": "bars"}, 23_461_462),
        ("frappe", "old", xdeepfm(64, norm="batch"), 429_809),
        ("movielens", "old", xdeepfm(64, 64, 64), 1_351_767),
        ("avazu", "old", xdeepfm(64, norm="batch"), 14_727_695),
    ],
    "cin": [
        ("criteo", "old", cin(32, 32, 32, 32, 32), 23_158_213),
        ("frappe", "old", cin(64, 64, 64), 147_984),
        ("movielens", "old", cin(32, 32, 32, 32), 1_002_390),
        ("avazu", "old", cin(64, 64, 64), 14_496_174),
        ("avazu_x4", "old", cin(*[200] * 6), 68_684_176),
    ],
}


@pytest.mark.parametrize(
    ("data", "era", "model", "expected"),
    [pytest.param(*case, id=f"{name}-{case[0]}") for name in PUBLISHED for case in PUBLISHED[name]],
)
def test_the_count_is_the_published_one(data, era, model, expected):
    assert count(data, era, model) == expected


@pytest.mark.parametrize(
    ("data", "contexts", "rows", "settings", "expected"),
    [
        ("frappe", (["c0"], ["c1"]), 956 + 4084, ([400], [100], 5, 400), 253_392),
        (
            "criteo",
            ([f"n{i}" for i in range(13)], ["c5"]),
            13 + 23,
            ([400, 400, 400], [1000], 200, 800),
            22_478_162,
        ),
    ],
)
def test_finalmlp_with_contexts_lacks_their_own_tables(data, contexts, rows, settings, expected):
    """The published gates read tables of their own; here they read the embeddings."""
    model = finalmlp(*settings)
    for stream, context in zip(("stream1", "stream2"), contexts, strict=True):
        model[stream]["context"] = context
    assert count(data, "new", model) == expected - rows * DATA[data].dim


@pytest.mark.parametrize(
    ("data", "model", "expected"),
    [
        ("criteo", {"name": "afn+", "preset": "bars", "second_dim": 10}, 42_411_303),
        ("frappe", afn_plus(1000, [400], [400] * 3), 4_482_205),
        ("movielens", afn_plus(800, [200], [400] * 3), 3_742_791),
        ("avazu", afn_plus(1500, [1200], [400] * 3, "batch"), 44_424_829),
        ("criteo_x4", afn_plus(1200, [1000] * 4, [1000] * 5, "batch", 16), 56_044_939),
        ("avazu_x4", afn_plus(1200, [1000] * 2, [1000] * 2, "batch", 16), 141_660_453),
    ],
)
def test_afn_plus_lacks_a_linear_layer_over_two_linear_logits(data, model, expected):
    """FuxiCTR's last layer has two weights and a bias, which scale and shift the branches' own."""
    assert count(data, "old", model) == expected - 3


VOCABULARIES = {
    "frappe": "frappe_x1",
    "movielens": "movielenslatest_x1",
    "criteo": "criteo_x1",
    "criteo_x4": "criteo_x4_001",
    "avazu": "avazu_x1",
    "avazu_x4": "avazu_x4_001",
}


@pytest.mark.parametrize("name", DATA)
def test_rows_are_those_of_the_published_vocabulary(name, shared_data):
    path = shared_data.parent / "specs" / "bars" / "bars_vocab.json"
    if not path.is_file():
        pytest.skip(f"no {path}")
    for text in json.loads(path.read_text(encoding="utf-8"))[VOCABULARIES[name]]:
        fields = json.loads(text).values()
        sizes = [size for kind, size in fields if kind == "categorical"]
        numbers = sum(kind == "numeric" for kind, _ in fields)
        assert (len(sizes), sum(sizes), numbers) == (
            DATA[name].fields,
            DATA[name].rows,
            DATA[name].numbers,
        )
