"""A short run of the script that attacks a served model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "experiments" / "speed" / "serve" / "run.py"


@pytest.mark.slow
def test_a_served_model_under_attack_answers_right_or_with_one_sentence(tmp_path):
    options = ["--seconds", "5", "--clients", "16", "--rows", "3000", "--out", str(tmp_path)]
    env = {**os.environ, "CTRKIT_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *options], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["wrong_answers"] == 0
    assert report["statuses"]["good: 200"] > 50
    assert 0.2 < report["malformed"] / report["requests"] < 0.45
    assert report["stopped_s"] < 5
