"""Which features and crosses carry signal: from counts alone, corrected for cardinality."""

from ctrkit.rank.ranker import SCORES, Ranking, RankOptions, rank_source

__all__ = ["SCORES", "RankOptions", "Ranking", "rank_source"]
