"""Gates, one file each: relaxed choices that harden."""
