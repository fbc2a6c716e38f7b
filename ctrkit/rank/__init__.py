"""Which features and crosses carry signal: from counts alone, corrected for cardinality."""

from ctrkit.rank.ranker import SCORES, RankOptions, rank_source
from ctrkit.rank.result import Ranking, RankRow

__all__ = ["SCORES", "RankOptions", "RankRow", "Ranking", "rank_source"]
