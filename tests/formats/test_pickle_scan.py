"""The scan of weights files: what needs trust, what does not, and that nothing is ever unpickled."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest

from aiida_surfbench.formats.pickle_scan import ALLOWED_GLOBALS, requires_trust, scan_pickle

SHARED = Path(os.environ.get("SURFBENCH_SHARED", Path(__file__).parents[3] / "shared"))
M3GNET = SHARED / "data" / "weights" / "M3GNet-MP-2021.2.8-PES"


class Malicious:
    """Unpickling it runs a command that writes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.target}",)


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def checkpoint(path: Path, content: bytes, **members: bytes) -> Path:
    """Write a zip archive of the shape that torch.save gives it."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/version", b"3\n")
        archive.writestr("archive/data/0", pickle.dumps("raw bytes of a tensor are never unpickled"))
        for name, data in members.items():
            archive.writestr(f"archive/{name}", data)
    return path


SAFE = pickle.dumps(OrderedDict(a=1), protocol=2)


def test_chgnet_weights_need_no_trust() -> None:
    spec = importlib.util.find_spec("chgnet")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("chgnet is not installed")
    files = sorted(Path(spec.submodule_search_locations[0]).glob("pretrained/*/*.pth.tar"))
    assert files
    for file in files:
        scan = scan_pickle(file)
        assert (scan.kind, scan.requires_trust, scan.reasons()) == ("torch-zip", False, "")


@pytest.mark.skipif(not M3GNET.is_dir(), reason="the weights are not at hand")
def test_m3gnet_files_need_no_trust() -> None:
    kinds = {name: scan_pickle(M3GNET / name).kind for name in ("model.json", "model.pt", "state.pt")}
    assert kinds == {"model.json": "none", "model.pt": "torch-zip", "state.pt": "torch-zip"}
    assert not any(requires_trust(M3GNET / name) for name in kinds)


@pytest.mark.parametrize("legacy", [False, True])
def test_torch_tensors_and_arrays_need_no_trust(tmp_path: Path, legacy: bool) -> None:
    torch = pytest.importorskip("torch")
    numpy = pytest.importorskip("numpy")
    state = OrderedDict(
        weight=torch.arange(300, dtype=torch.float32),
        parameter=torch.nn.Parameter(torch.ones(3, dtype=torch.float64)),
        counts=torch.ones(2, dtype=torch.int64),
        half=torch.ones(2, dtype=torch.bfloat16),
        array=numpy.linspace(0.0, 1.0, 7),
        dtype=torch.float16,
        device=torch.device("cpu"),
        size=torch.Size([2, 3]),
        names=["a", "b"],
    )
    path = tmp_path / "state.pt"
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)
    scan = scan_pickle(path)
    assert scan.kind == ("torch-legacy" if legacy else "torch-zip")
    assert scan.reasons() == ""


@pytest.mark.parametrize("legacy", [False, True])
def test_pickled_module_needs_trust(tmp_path: Path, legacy: bool) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "model.pt"
    torch.save(torch.nn.Linear(2, 2), path, _use_new_zipfile_serialization=not legacy)
    scan = scan_pickle(path)
    assert scan.requires_trust
    assert "torch.nn.modules.linear.Linear" in scan.globals


def test_torchscript_needs_trust(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "script.pt"
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(path))
    scan = scan_pickle(path)
    assert scan.requires_trust
    assert "it is a TorchScript archive, which holds code" in scan.problems


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("packed", [False, True])
def test_malicious_pickle_is_named_and_not_executed(tmp_path: Path, protocol: int, packed: bool) -> None:
    target = tmp_path / "executed"
    content = pickle.dumps({"weights": Malicious(target)}, protocol=protocol)
    path = checkpoint(tmp_path / "m.pt", content) if packed else write(tmp_path / "m.pt", content)
    scan = scan_pickle(path)
    assert scan.requires_trust
    assert scan.globals == (f"{os.system.__module__}.system",)
    assert "system" in scan.reasons()
    assert not target.exists()


def test_second_pickle_in_the_archive_is_scanned(tmp_path: Path) -> None:
    bad = pickle.dumps(Malicious(tmp_path / "x"), protocol=2)
    scan = scan_pickle(checkpoint(tmp_path / "m.pt", SAFE, **{"extra.bin": bad}))
    assert scan.globals == (f"{os.system.__module__}.system",)
    assert scan_pickle(checkpoint(tmp_path / "n.pt", SAFE, **{"inner/data.pkl": SAFE})).requires_trust
    assert not requires_trust(checkpoint(tmp_path / "o.pt", SAFE))


def test_names_are_resolved_through_the_memo(tmp_path: Path) -> None:
    # Both texts go to the memo first, other things are pushed and popped between, then they are fetched again.
    content = (
        b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94]\x94(K\x01K\x02e00\x8c\x05decoy0h\x00h\x01\x93\x8c\x04true\x85R."
    )
    scan = scan_pickle(write(tmp_path / "m.pkl", content))
    assert scan.globals == ("os.system",)
    computed = b"\x80\x04K\x01K\x02\x93."
    assert "its pickle computes the name of what it imports" in scan_pickle(write(tmp_path / "c", computed)).problems


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n(S'true'\ntR.",  # protocol 0 is plain text
        b"cos\nsystem\n(S'true'\ntR",  # an unpickler runs it before it misses the end
        b"cos\nsystem",
        b"cm\xc3\xb3dulo\nname\n(tR.",  # a name that pickletools cannot decode
        b"I0x10\n0cos\nsystem\n(S'true'\ntR.",  # a number that the C unpickler reads and pickletools does not
        b"(S'true'\nios\nsystem\n.",
        b"c\\x63ollections\nOrderedDict\n.",  # an escape that the unpickler does not interpret
        b"\x80\x02\x82\x01.",  # a registered extension
        SAFE[:-1],
        SAFE + SAFE,
        SAFE + b"more",
        os.urandom(8) + b"\xff" * 400,
        b"\x89HDF\r\n\x1a\n" + bytes(64),
    ],
)
def test_what_is_not_understood_needs_trust(tmp_path: Path, content: bytes) -> None:
    scan = scan_pickle(write(tmp_path / "file", content))
    assert scan.requires_trust
    assert scan.reasons()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"# a README\n",
        b"MTP\nversion = 1.1.0\n",
        json.dumps({"@class": "Potential", "name": "å"}, indent=1, ensure_ascii=False).encode(),
    ],
)
def test_text_and_empty_files_need_no_trust(tmp_path: Path, content: bytes) -> None:
    scan = scan_pickle(write(tmp_path / "file", content))
    assert (scan.kind, scan.requires_trust) == ("none", False)


def test_bare_pickles(tmp_path: Path) -> None:
    scan = scan_pickle(write(tmp_path / "plain.pkl", SAFE))
    assert (scan.kind, scan.requires_trust) == ("pickle", False)
    modern = scan_pickle(write(tmp_path / "modern.pkl", pickle.dumps({"a": [1]}, protocol=4)))
    assert modern.globals == ()
    assert "FRAME" in modern.reasons()


def test_damaged_archives_need_trust(tmp_path: Path) -> None:
    whole = checkpoint(tmp_path / "whole.pt", SAFE).read_bytes()
    assert requires_trust(write(tmp_path / "cut.pt", whole[: len(whole) // 2]))
    assert requires_trust(write(tmp_path / "prefix.pt", SAFE + whole))
    assert requires_trust(write(tmp_path / "twice.pt", whole + whole))
    damaged = bytearray(whole)
    damaged[damaged.index(SAFE)] ^= 0xFF
    assert requires_trust(write(tmp_path / "damaged.pt", bytes(damaged)))
    empty = io.BytesIO()
    with zipfile.ZipFile(empty, "w") as archive:
        archive.writestr("archive/version", b"3\n")
    assert requires_trust(write(tmp_path / "none.pt", empty.getvalue()))


def test_digest_is_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "abc", b"abc")
    assert scan_pickle(path).sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_allowed_globals_are_those_of_torch() -> None:
    unpickler = pytest.importorskip("torch._weights_only_unpickler")
    ours = {name for name in ALLOWED_GLOBALS if not name.startswith("numpy.")}
    assert ours <= set(unpickler._get_allowed_globals())


def test_scan_agrees_with_torch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    for number, thing in enumerate([{"a": torch.ones(2)}, torch.nn.Linear(1, 1), Path("x"), OrderedDict(b=1.5)]):
        path = tmp_path / f"{number}.pt"
        torch.save(thing, path)
        try:
            torch.load(path, weights_only=True)
            refused = False
        except pickle.UnpicklingError:
            refused = True
        assert requires_trust(path) == refused
