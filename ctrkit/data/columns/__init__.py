"""One function per role reads a column: text, numbers, labels, times, weights, groups, row ids."""
