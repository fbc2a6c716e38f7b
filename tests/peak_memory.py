"""The memory that a command claims for itself."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

WITHOUT_SLACK = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_TRIM_THRESHOLD_": "65536",
    "OMP_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "2",
    "_RJEM_MALLOC_CONF": "dirty_decay_ms:0,muzzy_decay_ms:0",
}
"""Environment of a process whose allocators (glibc, Arrow, polars) give back what is freed."""


def peak_anonymous(args: list[str], env: dict[str, str]) -> int:
    """Run a command; return the peak of its anonymous resident memory, in bytes (Linux)."""
    process = subprocess.Popen(args, env=env)
    status = Path(f"/proc/{process.pid}/status")
    peak = 0
    while process.poll() is None:
        try:
            text = status.read_text()
        except OSError:
            break
        found = [line for line in text.splitlines() if line.startswith("RssAnon:")]
        peak = max(peak, int(found[0].split()[1]) * 1024 if found else 0)
        time.sleep(0.02)
    assert process.wait() == 0
    return peak
