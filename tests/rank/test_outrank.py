"""The published scores: the numbers of the outrank package, and permutations."""

import numpy as np
import polars as pl
import pytest

from ctrkit.data.read.sources import frame_source, open_source
from ctrkit.errors import DataError
from ctrkit.rank.scores.outrank import outrank_scores, shifted
from ctrkit.rank.scores.randomised import randomised
from ctrkit.rank.spectrum import Spectrum
from ctrkit.rank.statistics import Scorer
from ctrkit.schema import Field, Schema

NAMES = ("f0", "f1", "f2", "f3", "f4")
# Every number: outrank 0.97.5, --data_source csv-raw, MI-numba-randomized, on exactly these rows.
GOLDEN = {  # --subsampling 1: three batches, the last one short
    "f0": -2.8908252716064453e-05,
    "f1": -0.0016220808029174805,
    "f2": 0.401637464761734,
    "f3": -4.5746564865112305e-06,
    "f4": -0.0036420822143554688,
}

BATCHES = [  # rows, --minibatch_size, --subsampling, score of f0 to f4
    # two batches, 732 rows left out
    (33_500, 16_384, 1, [-0.000056416, 0.000549197, 0.40620625, 0.000004575, -0.001621127]),
    # one batch of every third row, from the third on
    (40_000, 16_384, 3, [-0.000087857, 0.000761271, 0.404929608, -0.000067741, 0.002832651]),
    # three of those rows, and a fourth of 1,045
    (40_000, 4_096, 3, [0.000027761, -0.005346298, 0.405501932, -0.000101507, -0.003054738]),
    # four of every tenth row: a full batch may be small
    (40_000, 900, 10, [0.00034003, 0.010799766, 0.402334943, -0.000072874, -0.003850758]),
]  # fmt: skip
# Of f0 to f99 in units of 1e-7: --task data_generator, in one batch ...
OWN = """
    -87 5260 -163 -7730 -7944 12630 -1519 -5136 716 82 11874 11257 -14342 -4083 -17332 -6974
    11617 15085 834 11919 2264 -8084 -19749 15606 6602 3427 8889 3402 -7327 -7930 6332542 298
    -8054 935 -5356 674 5639 9055 2928 -7758 -13957 3285 -21505 -814 385 20112 -4327 7339 12513
    610 -6251 7062 15544 2048 11709 6038 -2010 -18392 -9159 -17655 -10084 1444 -12224 -849
    -10967 13740 10620 22070 -25369 -9707 2172 15664 15178 4324 11197 -7898 -14670 -13499 4606
    552 -3564 -2029 10221 179 -2384 -3840 21211 46 4978 13275 9774 19847 -436 13750 25541 15608
    -1090 7056 -371 -14775
"""
# ... and the benchmark of its repository, in one batch and in three of 3,000 rows (1,000 left out).
BENCHMARK = """
    137399 -117560 -10216 39987 126781 151517 8636 -10940 62593 -28314 47988 -118913 -231900
    97649 96827 -27099 33708 -65099 -39538 65965 77383 19545 -79352 60590 -3234 34202 198468
    27005 -97066 17298 42425494 -50931 -96414 148594 10183 46763 -77380 -39456 16353 30727
    -20568 87443 135856 50652 -29512 -8501 -89634 117981 -79325 7924 -77287 -34038 20301 -28333
    -117922 45182 1225 62641 -89515 115099 -92848 58536 55281 -36372 -44203 -114483 -44045 49096
    -52428 -3711 -71953 -7522 95962 -2042 100633 -30967 47719 57307 -17478 148294 143813 -84446
    202603 27633 32893 56936 -9262 -93742 64673 42399 78514 117872 -142732 2414 -148151 -186981
    154606 6906 -66467 20257
"""
BENCHMARK_BATCHES = """
    124505 -213108 49046 5560 19502 -11942 68085 -56650 -53383 -52457 -27426 -64961 -63450 71461
    -119130 -26883 69304 -52064 -105815 59202 46687 -36087 -136768 155110 -49510 75458 32935
    -77945 172936 53830 42288103 -61094 -112319 187881 -92329 47910 99604 -67259 -53190 7750
    59766 29464 51216 -9016 -44108 114436 1759 -45878 -30088 74944 2238 251061 2114 81592
    -141955 -78675 -61112 6899 74650 -4681 -200354 132832 -28600 48104 -24637 -69839 24028
    -85716 14071 -4801 13295 -70173 52793 -100232 -15580 -90521 59839 -22295 -26384 -63166 80774
    57919 -846 16085 67630 -20025 78862 33681 57573 -23599 140651 -6714 -21101 117484 -90220
    -138313 46008 -15162 103042 -67059
"""
PAIRS = {  # --target_ranking_only False
    ("f0", "f1"): -0.006206236779689789,
    ("f0", "f99"): -0.01034320518374443,
    ("f1", "f30"): -0.011755991727113724,
    ("f30", "f31"): 0.0017211958765983582,
    ("f30", "f50"): 0.002422947436571121,
    ("f97", "f98"): 0.005505122244358063,
    ("f50", "f50"): 4.495175361633301,
    ("label", "label"): 4.242549419403076,
}


def rows(n=40_000):
    draw = np.random.default_rng(0)
    y = (draw.random(n) < 0.3).astype(int)
    return pl.DataFrame(
        {
            "f0": draw.integers(0, 5, n),
            "f1": draw.integers(0, 300, n),
            "f2": y * 2 + draw.integers(0, 3, n),
            "f3": draw.integers(0, 2, n),
            "f4": draw.integers(0, 20_000, n),
            "label": y,
        }
    )


def test_scores_equal_the_packages():
    fields = [Field(n, "categorical") for n in NAMES]
    got = outrank_scores(frame_source(rows()), Schema(tuple(fields), label="label"), fields)
    assert got == pytest.approx([GOLDEN[n] for n in NAMES], abs=1e-6)


@pytest.mark.parametrize(("n", "batch", "every", "golden"), BATCHES)
def test_batches_equal_the_packages(n, batch, every, golden):
    fields = [Field(name, "categorical") for name in NAMES]
    schema = Schema(tuple(fields), label="label")
    got = outrank_scores(frame_source(rows(n)), schema, fields, batch, every)
    assert got == pytest.approx(golden, abs=1e-6)


def benchmark(below, binary):
    """Return the package's 10,000 x 100 data: uniform columns; f30 is the label, cut at a value."""
    values = np.random.RandomState(123).randint(10, 100, size=(10_000, 100))
    label = values[:, 30].copy()
    values[:, 30] = label >= below if binary else np.where(label < below, 0, label)
    return pl.DataFrame(values, [f"f{i}" for i in range(100)]).with_columns(label="f30")


@pytest.mark.parametrize(
    ("below", "binary", "batch", "golden"),
    [
        (40, True, 20_000, OWN),
        (20, False, 20_000, BENCHMARK),
        (20, False, 3_000, BENCHMARK_BATCHES),
    ],
)
def test_scores_of_its_benchmark_equal_the_packages(below, binary, batch, golden):
    fields = [Field(f"f{i}", "categorical") for i in range(100)]
    source = frame_source(benchmark(below, binary))
    got = outrank_scores(source, Schema(tuple(fields), label="label"), fields, batch)
    assert got == pytest.approx([int(v) * 1e-7 for v in golden.split()], abs=1e-6)


def test_scores_of_pairs_equal_the_packages():
    source = frame_source(benchmark(20, binary=False))
    for (one, two), golden in PAIRS.items():
        field = Field(one, "categorical")
        got = outrank_scores(source, Schema((), label=two), [field])
        assert got == pytest.approx([golden], abs=1e-6)


def test_the_mean_over_orders_of_the_rows_is_adj():
    draw = np.random.default_rng(1)
    y = (draw.random(4000) < 0.3).astype(np.int64)
    x = np.where(draw.random(4000) < 0.1, y, draw.integers(0, 40, 4000))
    found = []
    for _ in range(60):
        order = draw.permutation(4000)
        found.append(shifted(x[order], y[order]))
    table = np.zeros((40, 2), np.int64)
    np.add.at(table, (x, y), 1)
    adj = Scorer(table.sum(axis=0)).score([Spectrum.of(table)])[0].information.adj
    assert abs(np.mean(found) - adj) < 4 * np.std(found) / np.sqrt(60)


def test_randomised_is_close_to_adj_in_any_order_of_the_values():
    draw = np.random.default_rng(2)
    table = draw.integers(0, 9, (500, 3))
    scorer = Scorer(table.sum(axis=0))
    score = scorer.score([Spectrum.of(table)])[0].information
    got = randomised(table, scorer, 40)
    assert got == randomised(table[::-1], scorer, 40)
    assert got != randomised(table, scorer, 40, seed=1)
    assert abs(got - score.adj) < 4 * score.sd / np.sqrt(40)


def test_several_files_and_too_few_rows_are_errors(tmp_path):
    schema = Schema((Field("f0", "categorical"),), label="label")
    for i in range(2):
        rows(50).write_parquet(tmp_path / f"{i}.parquet")
    with pytest.raises(DataError, match="one file"):
        outrank_scores(open_source(tmp_path), schema, schema.fields)
    with pytest.raises(DataError, match="more than 1024 rows"):
        outrank_scores(frame_source(rows(500)), schema, schema.fields)
