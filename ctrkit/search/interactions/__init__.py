"""``search interactions`` (OptInter): an operation for each pair of fields."""
