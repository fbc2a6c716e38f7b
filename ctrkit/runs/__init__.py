"""Run folders: claim, identity, atomic files, the training of one run."""
