"""One typed, frozen, validated configuration per job: TOML in, canonical JSON out."""
