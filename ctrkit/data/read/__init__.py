"""Files, folders, addresses and in-memory frames as a stream of polars frames."""
