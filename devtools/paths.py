"""The few places in a checkout that the tools agree on."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
VAR = ROOT / "var"
"""State of `run` and `exec`: clusters, keys, locks. Only its owner may look inside."""
