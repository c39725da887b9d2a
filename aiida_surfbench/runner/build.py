"""Building the runner that travels to the cluster; runs on the submitting side and is not part of it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

PACKAGE = "surfbench_runner"
_MAIN = f"import sys\n\nfrom {PACKAGE}.__main__ import main\n\nsys.exit(main(sys.argv[1:]))\n"
_LEFT_OUT = ("build.py",)


def build_runner() -> bytes:
    """Return the runner as a zipapp, to be run as ``python runner.pyz``.

    Equal sources give equal bytes: the order, times and permissions inside are fixed, and nothing is compressed, since
    compressed bytes differ between versions of zlib.
    """
    folder = Path(__file__).resolve().parent
    contents = {"__main__.py": _MAIN.encode()}
    for path in folder.rglob("*.py"):
        name = path.relative_to(folder).as_posix()
        if name not in _LEFT_OUT:
            contents[f"{PACKAGE}/{name}"] = path.read_bytes().replace(b"\r\n", b"\n")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(contents):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # Unix, wherever it is built
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, contents[name])
    return buffer.getvalue()
