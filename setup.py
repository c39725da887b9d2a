import json
from pathlib import Path

from setuptools import setup

setup(**json.loads((Path(__file__).parent / "setup.json").read_text(encoding="utf-8")))
