"""``search params`` (Optuna): hyper-parameters, side by side and resumable."""
