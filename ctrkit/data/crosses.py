"""Crosses (stand-in until counted)."""

from ctrkit.schema import RESERVED, Layout


def cross_rows(layout: Layout) -> list[int]:
    """Return the codes of each field that crosses count."""
    return [RESERVED + len(f.edges) + 1 if f.kind == "numeric" else f.rows for f in layout.fields]
