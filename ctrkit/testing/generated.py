"""Generated click logs with known planted effects, for the demo and the tests.

Everything is a function of ``(rows, seed)``; effects and rows are drawn from separate generators,
so that two sizes of one seed have the same effects.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
SITES, DEVICES, ADS, SEGMENTS, INTERESTS = 60, 8, 200, 12, 24


@dataclass(frozen=True)
class Truth:
    """What was planted.

    Attributes:
        informative: Fields that move the click probability, alone or in a pair.
        pairs: Field pairs with a planted second-order interaction, names in column order.
        noise: Fields that are independent of the click.
        auc: AUC of the true probabilities on these rows; a model exceeds it by chance only.
        probability: ``(rows,)`` float64, the true click probability of each row.
    """

    informative: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    noise: tuple[str, ...]
    auc: float
    probability: Floats = field(repr=False, compare=False)


def planted_clicks(
    rows: int, seed: int = 0, *, interaction: float = 1.2, click_rate: float = 0.2
) -> tuple[pl.DataFrame, Truth]:
    """Generate an ad log of 12 columns with planted main effects and interactions.

    ``site x device`` is XOR-like: each alone has no effect. ``ad x segment`` is an inner
    product of two planted vectors of width 2; ``ad`` has a main effect. ``age`` (with nulls)
    and ``interests`` (a list, sometimes empty) have main effects; ``price``, ``creative``,
    ``slot`` and ``user`` are noise.

    Args:
        rows: Rows to generate, 0 allowed.
        seed: Seed of effects and rows.
        interaction: Strength of the two interactions in logits; 0: main effects only.
        click_rate: Click probability of a row without any effect.

    Returns:
        The columns ``click`` (0/1), ``time``, ``user``, ``site``, ``device``, ``ad``,
        ``segment``, ``age``, ``interests``, ``price``, ``creative``, ``slot``; and the truth.
    """
    effects, draw = (np.random.default_rng([seed, part]) for part in (0, 1))
    site, site_share = _zipf(draw, rows, SITES, 0.8)
    ad, ad_share = _zipf(draw, rows, ADS, 1.0)
    device = draw.integers(0, DEVICES, rows)
    segment = draw.integers(0, SEGMENTS, rows)
    age, age_effect = _ages(draw, rows)
    tokens, offsets = _bags(draw, rows)
    logit = np.full(rows, np.log(click_rate / (1 - click_rate)))
    logit += interaction * _signed_pair(effects, (site, site_share), device)
    product, ad_effect = _ad_effects(effects, (ad, ad_share), segment)
    logit += 0.6 * interaction * product
    bag_effect = _bag_means(effects.normal(0, 0.8, INTERESTS), tokens, offsets)
    logit += ad_effect + age_effect + bag_effect
    probability = 1 / (1 + np.exp(-logit))
    click = (draw.random(rows) < probability).astype(np.uint8)
    users = max(rows // 40, 10)
    frame = pl.DataFrame(
        {
            "click": click,
            "time": _times(rows),
            "user": _named(draw.integers(0, users, rows), "user", users),
            "site": _named(site, "site", SITES),
            "device": _named(device, "device", DEVICES),
            "ad": _named(ad, "ad", ADS),
            "segment": _named(segment, "segment", SEGMENTS),
            "age": age,
            "interests": _bag_column(tokens, offsets),
            "price": draw.lognormal(0, 1, rows).round(4),
            "creative": _named(_zipf(draw, rows, 500, 1.0)[0], "creative", 500),
            "slot": _named(draw.integers(0, 5, rows), "slot", 5),
        }
    )
    truth = Truth(
        informative=("site", "device", "ad", "segment", "age", "interests"),
        pairs=(("site", "device"), ("ad", "segment")) if interaction else (),
        noise=("user", "price", "creative", "slot"),
        auc=_auc(click, logit),
        probability=probability,
    )
    return frame, truth


def _signed_pair(effects: np.random.Generator, site: tuple[Codes, Floats], device: Codes) -> Floats:
    """Return the effect of ``site x device``, which has no effect of either alone."""
    codes, share = site
    site_side = _balanced_signs(effects, share)
    return site_side[codes] * _balanced_signs(effects, np.full(DEVICES, 1 / DEVICES))[device]


def _ad_effects(
    effects: np.random.Generator, ad: tuple[Codes, Floats], segment: Codes
) -> tuple[Floats, Floats]:
    """Return the inner product of ``ad`` with ``segment``, and the main effect of ``ad``."""
    codes, share = ad
    ad_vector = effects.normal(size=(ADS, 2))
    ad_vector -= share @ ad_vector
    segment_vector = effects.normal(size=(SEGMENTS, 2))
    segment_vector -= segment_vector.mean(axis=0)
    product: Floats = (ad_vector[codes] * segment_vector[segment]).sum(axis=1)
    return product, effects.normal(0, 0.4, ADS)[codes]


def xor_fields(
    rows: int,
    seed: int = 0,
    *,
    fields: int = 10,
    pair: tuple[int, int] = (3, 7),
    flips: float = 0.1,
) -> tuple[pl.DataFrame, Truth]:
    """Generate binary fields and a label that is the XOR of two of them, a share of it flipped.

    No single field is informative: "Explanations" in ``docs/methods.md``.

    Args:
        rows: Rows to generate, 0 allowed.
        seed: Seed of the rows.
        fields: Number of fields, named ``f0``, ``f1``, ...
        pair: Positions of the two informative fields.
        flips: Share of labels that are flipped; the best AUC is ``1 - flips``.

    Returns:
        The columns ``label`` and ``f0`` ... (Int64 0/1); and the truth.
    """
    draw = np.random.default_rng(seed)
    bits = draw.integers(0, 2, (rows, fields))
    clean = bits[:, pair[0]] ^ bits[:, pair[1]]
    label = (clean ^ (draw.random(rows) < flips)).astype(np.uint8)
    frame = pl.DataFrame({"label": label, **{f"f{i}": bits[:, i] for i in range(fields)}})
    names = (f"f{pair[0]}", f"f{pair[1]}")
    truth = Truth(
        informative=names,
        pairs=(names,),
        noise=tuple(f"f{i}" for i in range(fields) if i not in pair),
        auc=_auc(label, clean.astype(np.float64)),
        probability=np.where(clean == 1, 1 - flips, flips),
    )
    return frame, truth


TABLE_SIDE, PRODUCT_RANK, CELL_ROWS = 30, 2, 2
OPERATION_NOISE = (5, 40, 400, 4000)


def planted_operations(
    rows: int,
    seed: int = 0,
    *,
    table: float = 1.5,
    product: float = 2.0,
    click_rate: float = 0.3,
    values: int = 2000,
) -> tuple[pl.DataFrame, Truth]:
    """Generate a pair of fields to memorize, one to factorize, and noise to leave alone.

    ``table_a x table_b``: 30 values each and a random table of 900 click rates, so that each
    cell has many rows and no structure. ``product_a x product_b``: 2000 values each; the effect
    is an inner product of two planted vectors of width 2, and no cell has more than 2 rows, so
    that only what cells share can be learned. About 300 values hold most rows, because gradient
    descent finds no vectors from 20 rows per value. Four noise fields have 5 to 4000 values, the
    largest two with a long tail.

    Args:
        rows: Rows to generate, at most 2 per cell of the second pair.
        seed: Seed of effects and rows.
        table: Standard deviation of the first pair's effects in logits.
        product: Standard deviation of the second pair's effects in logits.
        click_rate: Click probability of a row without any effect.
        values: Number of values of each field of the second pair.

    Returns:
        The columns ``click`` (0/1), ``table_a``, ``table_b``, ``product_a``, ``product_b``,
        ``noise_5`` ... ``noise_4000``; and the truth, with the pair to memorize first and the
        pair to factorize second.
    """
    assert 0 <= rows <= CELL_ROWS * values**2, rows
    effects, draw = (np.random.default_rng([seed, part]) for part in (4, 5))
    cells = effects.normal(0, table, (TABLE_SIDE, TABLE_SIDE))
    width = (product / PRODUCT_RANK**0.5) ** 0.5  # an inner product's deviation: width^2 sqrt(rank)
    left, right = effects.normal(0, width, (2, values, PRODUCT_RANK))
    a, b = draw.integers(0, TABLE_SIDE, (2, rows))
    share: Floats = (np.arange(values, dtype=np.float64) + values / 20) ** -3
    c, d = _thin_cells(draw, rows, share, CELL_ROWS)
    logit = np.log(click_rate / (1 - click_rate)) + cells[a, b] + (left[c] * right[d]).sum(axis=1)
    probability = 1 / (1 + np.exp(-logit))
    click = (draw.random(rows) < probability).astype(np.uint8)
    columns = {
        "table_a": _named(a, "a", TABLE_SIDE),
        "table_b": _named(b, "b", TABLE_SIDE),
        "product_a": _named(c, "a", values),
        "product_b": _named(d, "b", values),
    }
    informative = tuple(columns)
    for size in OPERATION_NOISE:
        codes = _zipf(draw, rows, size, 0.8 if size >= 400 else 0.0)[0]
        columns[f"noise_{size}"] = _named(codes, "n", size)
    truth = Truth(
        informative=informative,
        pairs=(("table_a", "table_b"), ("product_a", "product_b")),
        noise=tuple(n for n in columns if n not in informative),
        auc=_auc(click, logit),
        probability=probability,
    )
    return pl.DataFrame({"click": click, **columns}), truth


def _thin_cells(
    draw: np.random.Generator, rows: int, share: Floats, most: int
) -> tuple[Codes, Codes]:
    """Draw pairs of codes by their shares; no pair occurs more often than ``most`` times.

    Every cell has ``most`` places; those with the largest ``log share + Gumbel noise`` are a
    weighted sample without replacement (Gumbel top-k).
    """
    size = len(share)
    score = draw.gumbel(size=(size, size, most))
    score += np.log(share)[:, None, None] + np.log(share)[None, :, None]
    places = np.argpartition(-score.ravel(), min(rows, score.size - 1))[:rows]
    draw.shuffle(places)
    a, b = np.divmod(places // most, size)
    return a, b


NOISE_SIZES = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)


def ranking_fields(rows: int, seed: int = 0) -> tuple[pl.DataFrame, Truth]:
    """Generate 39 text columns of every cardinality, to test that signal ranks above noise.

    Nine informative or redundant columns (2 to 50,000 values; of ``hole`` only the missingness
    matters; ``copy_500`` is a noisy copy of ``info_500``), two XOR pairs without effects of their
    own (``xor_8a x xor_8b``, ``xor_500a x xor_500b``), and 26 noise columns of 1 value up to one
    value per row.

    Args:
        rows: Rows to generate, 0 allowed.
        seed: Seed of effects and rows.

    Returns:
        The columns ``label`` and 39 features; and the truth.
    """
    effects, draw = (np.random.default_rng([seed, part]) for part in (2, 3))
    logit = np.full(rows, -1.35)
    columns: dict[str, pl.Series] = {}
    for size, strength in (
        (2, 0.25),
        (10, 0.22),
        (100, 0.3),
        (500, 0.3),
        (5_000, 0.45),
        (20_000, 0.6),
        (50_000, 0.8),
    ):
        codes, _ = _zipf(draw, rows, size, 0.6)
        side = effects.normal(0, strength, size) if size > 2 else np.array([-strength, strength])
        logit += side[codes]
        columns[f"info_{size}"] = _named(codes, "v", size)
        if size == 500:
            other = draw.random(rows) < 0.05
            copy = np.where(other, draw.integers(0, size, rows), codes)
            columns["copy_500"] = _named(copy, "c", size)
    hole = draw.random(rows) < 0.3
    logit += np.where(hole, 0.35, -0.15)
    values = _named(draw.integers(0, 50, rows), "h", 50)
    columns["hole"] = values.zip_with(pl.Series(~hole), pl.Series([None], dtype=pl.String))
    for size in (8, 500):
        a, b = draw.integers(0, size, rows), draw.integers(0, size, rows)
        logit += 0.7 * np.where((a + b) % 2 == 0, 1.0, -1.0)
        columns[f"xor_{size}a"], columns[f"xor_{size}b"] = (_named(c, "x", size) for c in (a, b))
    for size in (*NOISE_SIZES, 20_000, 50_000, 100_000, 200_000):
        columns[f"noise_{size}"] = _named(draw.integers(0, size, rows), "n", size)
    for size in (100, 1000, 10_000, 50_000, 100_000, 200_000, 100_000):
        name = f"skewed_{size}" + "_b" * (f"skewed_{size}" in columns)
        columns[name] = _named(_zipf(draw, rows, size, 0.9)[0], "s", size)
    columns["row_id"] = pl.Series([f"r{i}" for i in range(rows)], dtype=pl.String)
    probability = 1 / (1 + np.exp(-logit))
    label = (draw.random(rows) < probability).astype(np.uint8)
    frame = pl.DataFrame({"label": label, **columns})
    truth = Truth(
        informative=tuple(n for n in columns if n.startswith(("info", "copy", "hole"))),
        pairs=(("xor_8a", "xor_8b"), ("xor_500a", "xor_500b")),
        noise=tuple(n for n in columns if n.startswith(("noise", "skewed", "row"))),
        auc=_auc(label, logit),
        probability=probability,
    )
    return frame, truth


def _zipf(draw: np.random.Generator, rows: int, size: int, exponent: float) -> tuple[Codes, Floats]:
    """Draw codes with shares proportional to ``rank ** -exponent``; return codes and shares."""
    share = np.arange(1, size + 1, dtype=np.float64) ** -exponent
    share /= share.sum()
    codes = np.searchsorted(np.cumsum(share)[:-1], draw.random(rows), side="right")
    return codes.astype(np.int64), share


def _balanced_signs(draw: np.random.Generator, share: Floats) -> Floats:
    """Give each value a side, +1 or -1, so that the sides hold about equal shares of rows."""
    sides = np.empty(len(share))
    balance = 0.0
    order = np.argsort(-(share + draw.random(len(share)) * 1e-9), kind="stable")
    for value in order:
        sides[value] = -1.0 if balance > 0 else 1.0
        balance += sides[value] * share[value]
    return sides


def _ages(draw: np.random.Generator, rows: int) -> tuple[pl.Series, Floats]:
    """Return ages with 10 % nulls, and their effect, which rises with age."""
    age = np.clip(draw.gamma(6.0, 6.0, rows), 14, 95).round()
    present = draw.random(rows) >= 0.1
    effect = np.where(present, 0.5 * np.tanh((age - 35) / 10), 0.0)
    values = pl.Series("age", age)
    return pl.select(pl.when(pl.Series(present)).then(values).alias("age")).to_series(), effect


def _bags(draw: np.random.Generator, rows: int) -> tuple[Codes, Codes]:
    """Return tokens and offsets ``(rows + 1,)`` of lists of 0 to 4 tokens."""
    lengths = draw.integers(0, 5, rows)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return _zipf(draw, int(offsets[-1]), INTERESTS, 0.7)[0], offsets


def _bag_column(tokens: Codes, offsets: Codes) -> pl.Series:
    """Return lists of names of interests."""
    names = _names("interest", INTERESTS).gather(tokens).to_arrow()
    return pl.Series(pl.from_arrow(pa.LargeListArray.from_arrays(pa.array(offsets), names)))


def _bag_means(weights: Floats, tokens: Codes, offsets: Codes) -> Floats:
    """Return the mean weight of each bag's tokens, 0 for an empty one."""
    total = np.concatenate([[0.0], np.cumsum(weights[tokens])])
    lengths = np.diff(offsets)
    means: Floats = (total[offsets[1:]] - total[offsets[:-1]]) / np.maximum(lengths, 1)
    return means


def _times(rows: int) -> pl.Series:
    """Return two weeks of increasing event times."""
    start = np.datetime64("2026-01-01T00:00:00", "us")
    step = np.arange(rows, dtype=np.int64) * (14 * 86_400_000_000 // max(rows, 1))
    return pl.Series("time", start + step.astype("timedelta64[us]"))


def _names(prefix: str, size: int) -> pl.Series:
    width = len(str(size - 1))
    return pl.Series([f"{prefix}{i:0{width}d}" for i in range(size)], dtype=pl.String)


def _named(codes: Codes, prefix: str, size: int) -> pl.Series:
    return _names(prefix, size).gather(codes)


def _auc(label: npt.NDArray[np.uint8], score: Floats) -> float:
    """Return the AUC by ranks; nan for one class."""
    positives = int(label.sum())
    negatives = len(label) - positives
    if not positives or not negatives:
        return float("nan")
    ranks = pl.Series(score).rank("average").to_numpy()
    below = ranks[label == 1].sum() - positives * (positives + 1) / 2
    return float(below / (positives * negatives))
