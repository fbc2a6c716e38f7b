"""Which features and crosses carry signal: from counts alone, corrected for cardinality."""

from ctrkit.rank.options import RankOptions
from ctrkit.rank.ranker import rank_source
from ctrkit.rank.result import Ranking, RankRow

__all__ = ["RankOptions", "RankRow", "Ranking", "rank_source"]
