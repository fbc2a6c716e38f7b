"""What an explanation holds (``explain.json``), and its text."""

from __future__ import annotations

from typing import TypedDict

FORMAT = 1
ATTENTION_CAVEAT = (
    "Attention is not attribution: it leaves out the residual path, the length of the value "
    "vectors and the output weights. A uniform map gives every pair 1/F, so read the lift over "
    "1/F, of layer 1 first; deeper layers mix fields that are already mixed. Trust a pair that "
    "the ablation score supports. "
)
ABLATION_CAVEAT = (
    "The ablation score of a pair is the log-loss increase when the two fields are permuted "
    "together, minus the sum of the increases when each is permuted alone. Negative: the model "
    "needs both together. Positive: each can replace the other. Near zero, within its standard "
    "error: no interaction that changes the loss. All of this describes the model on these rows, "
    "not the world: permuted rows may be ones that never occur."
)


class FieldImportance(TypedDict):
    """Log-loss increase when one field is permuted, and its standard error."""

    field: str
    increase: float
    se: float


class AttentionPair(TypedDict):
    """A pair of fields: lift per layer, and lift of the rollout over that of uniform maps."""

    rank: int
    fields: list[str]
    lift: list[float]
    rollout: float


class ValuePair(TypedDict):
    """A pair of values: lift, rows that hold both (``support``), and their label rate."""

    fields: list[str]
    values: list[str]
    lift: float
    support: int
    label_rate: float


class AttentionSummary(TypedDict):
    """What the attention maps say.

    ``maps`` are the mean maps ``(L, F, F)``; ``baseline`` is ``1 / F``; ``self_lift`` is, per
    layer, the mean attention of a field to itself over the baseline.
    """

    baseline: float
    self_lift: list[float]
    min_support: int
    maps: list[list[list[float]]]
    pairs: list[AttentionPair]
    values: list[ValuePair]


class AblatedPair(TypedDict):
    """A pair of fields: ablation score, its standard error, and the joint log-loss increase."""

    rank: int
    fields: list[str]
    score: float
    se: float
    joint: float


class AblationSummary(TypedDict):
    """The pairs that were ablated, how they were chosen, and how many were not."""

    chosen_by: str
    evaluated: int
    not_evaluated: int
    note: str
    pairs: list[AblatedPair]


class Explanation(TypedDict):
    """The explanation of a run on some rows; the value of ``explain.json``."""

    format: int
    rows: int
    fields: list[str]
    logloss: float
    attention: AttentionSummary | None
    importance: list[FieldImportance]
    ablation: AblationSummary
    caveats: str


def explanation_text(explanation: Explanation, top: int = 10) -> str:
    """Return an explanation as a text of tables, with the first ``top`` rows of each."""
    ablation = explanation["ablation"]
    lines = [f"{explanation['rows']:,} rows, log loss {explanation['logloss']:.5f}", ""]
    lines += ["field importance (log-loss increase when permuted alone)"]
    lines += [
        f"  {row['increase']:+.5f} ± {row['se']:.5f}  {row['field']}"
        for row in explanation["importance"][:top]
    ]
    if explanation["attention"]:
        lines += _attention_lines(explanation["attention"], top)
    lines += ["", "pairs by ablation (negative: the model needs both together)"]
    lines += [
        f"  {pair['score']:+.5f} ± {pair['se']:.5f}  {' x '.join(pair['fields'])}"
        for pair in ablation["pairs"][:top]
    ]
    return "\n".join([*lines, f"  {ablation['note']}", "", explanation["caveats"]])


def _attention_lines(attention: AttentionSummary, top: int) -> list[str]:
    lines = ["", "pairs by attention (lift over 1/F per layer; rollout)"]
    for pair in attention["pairs"][:top]:
        lifts = " ".join(f"{v:6.3f}" for v in pair["lift"])
        lines.append(f"  {lifts}  {pair['rollout']:6.3f}  {' x '.join(pair['fields'])}")
    lines += ["", "pairs of values by attention (lift, rows, label rate)"]
    for row in attention["values"][:top]:
        names = zip(row["fields"], row["values"], strict=True)
        text = " x ".join(f"{field}={value}" for field, value in names)
        lines.append(f"  {row['lift']:6.3f}  {row['support']:6d}  {row['label_rate']:.3f}  {text}")
    return lines
