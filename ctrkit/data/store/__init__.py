"""Encoded rows on disk and in batches: shards, the cache, data sets."""
