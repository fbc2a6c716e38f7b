"""The table of all shipped components: one row each, readable without importing any of them.

A row says where a component is; the module is imported on first use. To ship a component, write
its file, decorate it, and add its row here; ``ctrkit list`` shows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal[
    "model",
    "interaction",
    "head",
    "table",
    "optimizer",
    "schedule",
    "encoding",
    "transform",
    "bucket",
    "split",
    "score",
    "flag",
    "metric",
    "sampler",
    "pruner",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""The kinds of components, in the order in which ``ctrkit list`` shows them."""


@dataclass(frozen=True)
class Entry:
    """What is known about a component before it is imported.

    Attributes:
        name: The name that a configuration uses.
        kind: One of :data:`KINDS`.
        summary: One line for ``ctrkit list``.
        paper: Source, where there is one.
        module: The module that registers it.
        can: What it can do beyond what its kind requires; of an optimiser: ``weight_decay``
            (decoupled) and ``rowwise`` (updates of the rows of a step alone).
    """

    name: str
    kind: Kind
    summary: str
    paper: str = ""
    module: str = ""
    can: tuple[str, ...] = ()


def rows(kind: Kind, module: str, *table: tuple[str, str, str]) -> list[Entry]:
    """Make entries of one kind from (name, summary, paper); ``{}`` in ``module`` is the name."""
    return [Entry(name, kind, line, paper, module.format(name)) for name, line, paper in table]


STATIC: tuple[Entry, ...] = (
    *rows(
        "model",
        "ctrkit.models.presets",
        ("lr", "logistic regression: one weight per value", ""),
        ("fm", "factorization machine: linear + all second-order products", "Rendle, ICDM 2010"),
        ("fwfm", "a weight per pair of fields; quadratic in fields", "arXiv:1806.03514"),
        ("dnn", "multi-layer perceptron on the concatenated embeddings", "arXiv:1601.02376"),
        ("deepfm", "factorization machine and perceptron in parallel", "arXiv:1703.04247"),
        ("dcn", "cross network (vector form) and perceptron", "arXiv:1708.05123"),
        (
            "dcnv2",
            "cross network (matrix form) and perceptron; quadratic in fields",
            "arXiv:2008.13535",
        ),
        (
            "ipnn",
            "inner products of pairs under a perceptron; quadratic in fields",
            "arXiv:1611.00144",
        ),
        (
            "autoint",
            "multi-head self-attention over fields; quadratic in fields",
            "arXiv:1810.11921",
        ),
        (
            "autoint+",
            "AutoInt with a perceptron in parallel; quadratic in fields",
            "arXiv:1810.11921",
        ),
        (
            "optinter",
            "pairs memorized, factorized or naive; quadratic in fields",
            "arXiv:2108.01265",
        ),
        ("finalnet", "two factorized blocks, one behind a field gate", "Zhu et al., SIGIR 2023"),
        ("masknet", "blocks masked by the embeddings; quadratic in fields", "arXiv:2102.07619"),
        (
            "fcn",
            "exponential and linear self-masked crosses; quadratic in fields",
            "arXiv:2407.13349",
        ),
        ("qnn", "QNN-alpha's quadratic neurons; quadratic in fields", "arXiv:2505.17999"),
        (
            "edcn",
            "cross and deep layers in exchange; quadratic in fields",
            "Chen et al., CIKM 2021",
        ),
        ("gdcn", "gated cross network and perceptron; quadratic in fields", "arXiv:2311.04635"),
        ("afn", "products of learned powers of the fields", "arXiv:1909.03276"),
        ("afn+", "AFN and a perceptron on embeddings of its own", "arXiv:1909.03276"),
        ("finalmlp", "two gated perceptrons under a bilinear fusion", "arXiv:2304.00902"),
        (
            "fibinet",
            "bilinear pairs under a perceptron; quadratic in fields",
            "arXiv:1905.09433, 2209.05016",
        ),
        (
            "xdeepfm",
            "compressed interactions and perceptron; quadratic in fields",
            "arXiv:1803.05170",
        ),
        (
            "destine",
            "disentangled attention and perceptron; quadratic in fields",
            "Xu et al., CIKM 2021",
        ),
        ("wukong", "factorization machines and linear compression, stacked", "arXiv:2403.02545"),
        ("rankmixer", "tokens of fields that exchange their heads", "arXiv:2507.15551"),
    ),
    *rows(
        "interaction",
        "ctrkit.nn.interactions.{}",
        ("linear", "sum of one weight per value", ""),
        ("flat", "the embeddings themselves, concatenated", ""),
        ("value_vectors", "first order with a second vector per value", "arXiv:1806.03514"),
        ("fm", "sum of the inner products of all pairs", "Rendle, ICDM 2010"),
        ("products", "inner product of each pair; quadratic in fields", "arXiv:1611.00144"),
        (
            "crossnet",
            "explicit bounded-degree crosses; quadratic in fields unless of vector form",
            "arXiv:1708.05123, 2008.13535, 2311.04635",
        ),
        ("mlp", "fully connected layers on the concatenated embeddings", ""),
        (
            "attention",
            "multi-head self-attention over fields; quadratic in fields",
            "arXiv:1810.11921; Xu et al., CIKM 2021",
        ),
        (
            "pairs",
            "OptInter's crosses and products of chosen pairs; quadratic in fields",
            "arXiv:2108.01265",
        ),
        ("quadratic", "QNN-alpha's quadratic neurons; quadratic in fields", "arXiv:2505.17999"),
        (
            "bilinear",
            "bilinear products of all pairs; quadratic in fields",
            "arXiv:1905.09433, 2209.05016",
        ),
        ("cin", "xDeepFM's compressed products; quadratic in fields", "arXiv:1803.05170"),
        ("logarithmic", "AFN's products of learned powers of the fields", "arXiv:1909.03276"),
        ("second_mlp", "fully connected layers on the second embeddings", "arXiv:1909.03276"),
        ("wukong", "WuKong's factorization and compression blocks", "arXiv:2403.02545"),
        ("token_mixer", "RankMixer's exchange of heads, a network per token", "arXiv:2507.15551"),
        (
            "edcn",
            "EDCN's two streams, bridges and field gates; quadratic in fields",
            "Chen et al., CIKM 2021",
        ),
    ),
    *rows(
        "interaction",
        "ctrkit.nn.interactions.stream",
        ("stream1", "FinalMLP's first gated perceptron", "arXiv:2304.00902"),
        ("stream2", "FinalMLP's second gated perceptron", "arXiv:2304.00902"),
    ),
    *rows(
        "interaction",
        "ctrkit.nn.interactions.mask",
        (
            "serial_mask",
            "MaskNet's blocks, one after the other; quadratic in fields",
            "arXiv:2102.07619",
        ),
        (
            "parallel_mask",
            "MaskNet's blocks, side by side; quadratic in fields",
            "arXiv:2102.07619",
        ),
    ),
    *rows(
        "interaction",
        "ctrkit.nn.interactions.fcn",
        (
            "exponential_cross",
            "FCN's crosses of doubling degree; quadratic in fields",
            "arXiv:2407.13349",
        ),
        (
            "linear_cross",
            "FCN's crosses of growing degree; quadratic in fields",
            "arXiv:2407.13349",
        ),
    ),
    *rows(
        "interaction",
        "ctrkit.nn.interactions.factorized",
        ("factorized", "FinalNet's block of products of two halves", "Zhu et al., SIGIR 2023"),
        ("gated_factorized", "FinalNet's block behind a field gate", "Zhu et al., SIGIR 2023"),
    ),
    *rows(
        "head",
        "ctrkit.nn.heads.{}",
        ("sum", "adds the branches; a branch wider than 1 gets a linear layer", ""),
        ("mean", "averages the branches; a branch wider than 1 gets a linear layer", ""),
        ("concat", "one linear layer over the concatenated branches", ""),
        ("mlp", "a perceptron over the concatenated branches", ""),
        ("bilinear_fusion", "linear and bilinear terms of the branches", "arXiv:2304.00902"),
    ),
    *rows(
        "table",
        "ctrkit.nn.tables.{}",
        ("auto", "a row per code; hash-encoded fields have model.rows hashed rows", ""),
        ("full", "a row per code for every field", ""),
        ("hashed", "at most model.rows rows per field, addressed by hash", "arXiv:0902.2206"),
    ),
    Entry(
        "adam",
        "optimizer",
        "Adam with decoupled weight decay; on the rows of a step for large tables",
        "arXiv:1412.6980, 1711.05101",
        "ctrkit.train.optimizers.adam",
        can=("weight_decay", "rowwise"),
    ),
    Entry(
        "descent",
        "optimizer",
        "gradient descent with bounded steps, as value gates use it",
        "",
        "ctrkit.train.optimizers.descent",
        can=("rowwise",),
    ),
    *rows(
        "schedule",
        "ctrkit.train.schedule",
        ("constant", "the learning rate stays", ""),
        ("linear", "the learning rate falls to zero in a straight line", ""),
        ("cosine", "the learning rate falls to zero as half a cosine", "arXiv:1608.03983"),
        ("plateau", "the learning rate falls to a tenth after an epoch without gain", ""),
    ),
    *rows(
        "encoding",
        "ctrkit.data.encode.vocabulary",
        ("auto", "a vocabulary while its values fit max_rows, else hashes", ""),
        ("vocabulary", "one code for each value seen often enough in training", ""),
    ),
    *rows(
        "encoding",
        "ctrkit.data.encode.hashed",
        ("hash", "the value's 64-bit hash, folded to 32 bits", ""),
    ),
    *rows(
        "transform",
        "ctrkit.data.encode.real",
        ("raw", "the number itself", ""),
        ("standard", "zero mean and unit standard deviation in training", ""),
        ("log2", "floor(ln(z)^2) for z > 2, else z", "arXiv:1810.11921"),
        ("log2_monotone", "ln(1 + |z|)^2 with the sign of z", ""),
    ),
    *rows(
        "bucket",
        "ctrkit.data.encode.log_bucket",
        ("log2", "floor(ln(z)^2) for z > 2, else trunc(z), as a category", "arXiv:1810.11921"),
        ("log2_monotone", "floor of ln(1 + |z|)^2 with the sign of z, as a category", ""),
    ),
    *rows(
        "bucket",
        "ctrkit.data.encode.quantile",
        ("quantile", "buckets of about equally many training rows", ""),
    ),
    *rows("split", "ctrkit.data.split.by_hash", ("random", "by a hash of the key or the row", "")),
    *rows("split", "ctrkit.data.split.by_time", ("time", "the last rows are the test", "")),
    *rows("split", "ctrkit.data.split.by_column", ("column", "a column names the split", "")),
    *rows("split", "ctrkit.data.split.by_files", ("files", "each file is in one split", "")),
    *rows(
        "score",
        "ctrkit.rank.scores.{}",
        ("gain", "log loss saved by a shrunk rate per value", ""),
        ("adj", "mutual information minus its expectation under permuted labels", ""),
        ("ami", "adjusted mutual information: 0 is noise, 1 a copy of the label", ""),
        ("mi", "plug-in mutual information, not adjusted for the number of values", ""),
        ("z", "adj in standard deviations under permuted labels", ""),
        ("outrank", "the score of the outrank package, batch by batch", "arXiv:2309.01552"),
        ("randomised", "mutual information minus its mean over drawn permutations", ""),
    ),
    *rows(  # the most severe first
        "flag",
        "ctrkit.rank.flags.{}",
        ("leaking", "tells more of the label than a feature can know", ""),
        ("near_copy", "a copy of the label, or nearly so", ""),
        ("one_class", "some values occur with one class of the label alone", ""),
        ("within", "determines the label within a category of another field", ""),
        ("future", "times later than the time of the row", ""),
        ("target_encoded", "means of the label over these very rows", ""),
        ("held_out", "later or held-out rows hold values that no other row has", ""),
        ("broken", "all values are missing, or those of one third of the rows", ""),
        ("constant", "one value in every row", ""),
        ("identical", "equal to an earlier field in every row", ""),
        ("id_like", "nearly one value per row", ""),
        ("drifting", "values differ between the first and the last part of the rows", ""),
        ("redundant", "nearly determined by a better feature", ""),
        ("noise", "not distinguishable from noise", ""),
        ("rare", "most rows have a rare value", ""),
    ),
    *rows("metric", "ctrkit.metrics.auc", ("auc", "area under the ROC curve", "")),
    *rows(
        "metric",
        "ctrkit.metrics.losses",
        ("logloss", "mean log loss, natural logarithm", ""),
        ("ne", "normalized entropy: log loss over that of the base rate", "He et al., ADKDD 2014"),
    ),
    *rows(
        "metric",
        "ctrkit.metrics.calibration",
        ("calibration", "predicted positives divided by observed ones", ""),
        ("ece", "expected calibration error over 15 bins of equal counts", ""),
    ),
    *rows(
        "sampler",
        "ctrkit.search.params.samplers",
        ("tpe", "tree-structured Parzen estimator", "arXiv:2304.11127"),
        ("random", "independent random points", ""),
        ("gp", "Gaussian process with expected improvement", ""),
        ("nsgaii", "genetic algorithm for several objectives", "Deb et al., 2002"),
        ("qmc", "scrambled Sobol sequence", ""),
    ),
    *rows(
        "pruner",
        "ctrkit.search.params.samplers",
        ("auto", "median; none for several objectives", ""),
        ("median", "prunes a trial that is worse than the median at the same evaluation", ""),
        ("hyperband", "successive halving with several starting budgets", "arXiv:1603.06560"),
        ("halving", "prunes the worse trials at growing budgets", "arXiv:1810.05934"),
        ("none", "every trial is trained to the end", ""),
    ),
)
