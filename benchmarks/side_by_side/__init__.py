"""What the scripts beside it share: native programs, peers, interleaved rounds, reports."""

import sys
from pathlib import Path

# For native_build, which fetches and builds, and the tests' models: not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
