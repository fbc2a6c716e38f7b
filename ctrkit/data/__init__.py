"""From raw rows to encoded batches: sources, schema inference, splits, counts, encoder, shards."""
