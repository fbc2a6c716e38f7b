"""``search pipeline``: rank, features, interactions, params, train."""
