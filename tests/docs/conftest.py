"""The tests of this folder share docs_kit.py."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
