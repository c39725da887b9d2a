"""The registry of known potentials: every YAML keeps to the schema, and files are matched and checked."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from aiida_surfbench.potentials import registry
from aiida_surfbench.potentials.registry import (
    AVAILABLE_FAMILIES,
    FAMILY_FILES,
    KNOWN_FAMILIES,
    KnownFile,
    KnownPotential,
    PotentialFileError,
    RegistryError,
    UnavailableFamilyError,
    UnknownPotentialError,
    check_available,
    check_files,
    find_requirements,
    find_wheel_files,
    known_names,
    load_known,
    match_files,
    parse_known,
    sha256_file,
)

SHARED = Path(os.environ.get("SURFBENCH_SHARED", Path(__file__).parents[3] / "shared"))
M3GNET = SHARED / "data" / "weights" / "M3GNet-MP-2021.2.8-PES"
NAMES = (
    "chgnet-0.2.0",
    "chgnet-0.3.0",
    "m3gnet-mp-2021.2.8",
    "m3gnet-mp-2021.2.8-direct",
    "mace-mp-0-128-l2",
    "mace-mp-0-large",
    "mace-mp-0-medium",
    "mace-mp-0-small",
    "mace-mpa-0",
    "sevennet-0",
    "sevennet-l3i5",
)
UNTRAINED = {"Po", "At", "Rn", "Fr", "Ra"}


def document(name: str = "chgnet-0.3.0") -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((registry.FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return loaded


def test_names() -> None:
    assert tuple(known_names()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_yaml_keeps_the_schema(name: str) -> None:
    known = load_known(name)
    assert known.name == name
    assert known.family in KNOWN_FAMILIES
    assert known.available == (known.family in AVAILABLE_FAMILIES)
    assert list(known.files) == [slot.logical for slot in FAMILY_FILES[known.family]]
    assert known.elements is not None
    assert len(known.elements) == 89
    assert not UNTRAINED & set(known.elements)
    assert known.references
    assert all(re.fullmatch(r"10\.\d{4,5}/\S+", reference.doi) for reference in known.references)
    assert (known.weights.download is None) != (known.weights.package is None)
    assert json.loads(json.dumps(known.facts(), allow_nan=False))["name"] == name


def test_counted_and_quoted_parameters_stand_side_by_side() -> None:
    known = load_known("mace-mp-0-128-l2")
    assert known.n_parameters == 5_725_072
    assert {quote.value for quote in known.parameters_quoted} == {"5.7M", "4.69M"}
    assert load_known("chgnet-0.3.0").n_parameters == 412_525
    assert load_known("m3gnet-mp-2021.2.8").n_parameters == 288_157


def test_unknown_name_gives_close_matches() -> None:
    with pytest.raises(UnknownPotentialError, match=r"did you mean chgnet-0\.3\.0"):
        load_known("CHGNet-0.3")
    with pytest.raises(UnknownPotentialError, match=r"known are chgnet-0\.2\.0"):
        load_known("zzzzzzzz")
    with pytest.raises(UnknownPotentialError):
        load_known("../potentials/chgnet-0.3.0")


def broken(path: str, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(document())
    *parents, last = path.split("/")
    section: Any = changed
    for parent in parents:
        section = section[int(parent) if isinstance(section, list) else parent]
    if value is ...:
        del section[last]
    else:
        section[last] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("colour", "red", "chgnet-0.3.0 has unknown keys: colour"),
        ("training_set/colour", "red", "chgnet-0.3.0.training_set has unknown keys: colour"),
        ("references/0/year", 2023, r"references\[0\] has unknown keys: year"),
        ("functional", ..., "the key functional is missing"),
        ("functional", "LDA", r"functional must be one of PBE\(\+U\), r2SCAN; got 'LDA'"),
        ("family", "gap", "family must be one of"),
        ("version", 0.3, "version must be a text"),
        ("title", " ", "title must be a text"),
        ("n_parameters", "many", "n_parameters must be a whole number"),
        ("n_parameters", True, "n_parameters must be a whole number"),
        ("n_parameters", None, "n_parameters and n_parameters_source are both given or both null"),
        ("cutoff_a", -1.0, "cutoff_a must be a positive number"),
        ("cutoff_a", float("inf"), "cutoff_a must be a positive number"),
        ("cutoff_a", float("nan"), "cutoff_a must be a positive number"),
        ("elements", ["H", "H"], "elements names something twice"),
        ("elements", [False], "elements must be a list of texts"),
        ("loads_weights_only", "yes", "loads_weights_only must be true, false or null"),
        ("files", {}, "files must be model.pth.tar for the family chgnet"),
        ("files/model.pth.tar/known_sha256", ["abc"], "'abc' is no sha256"),
        ("weights/path", ..., "the key path is missing"),
        ("references", {}, "references must be a list"),
        ("notes", "one", "notes must be a list of texts"),
        ("training_set", None, "training_set must be a mapping"),
    ],
)
def test_schema_refuses(path: str, value: Any, message: str) -> None:
    with pytest.raises(RegistryError, match=message):
        parse_known(broken(path, value), "chgnet-0.3.0")


def test_name_must_be_the_files() -> None:
    with pytest.raises(RegistryError, match="unlike the file's name"):
        parse_known(document(), "chgnet-0.4.0")


def test_check_available() -> None:
    for family in AVAILABLE_FAMILIES:
        check_available(family)
    with pytest.raises(UnavailableFamilyError, match="comes in a later version"):
        check_available("mace")
    with pytest.raises(UnavailableFamilyError, match="there is no family 'gap'"):
        check_available("gap")


def test_requirements_are_pinned() -> None:
    for family, package in (("chgnet", "chgnet"), ("m3gnet", "matgl")):
        lines = find_requirements(family).read_text(encoding="utf-8").splitlines()
        pins = dict(line.split("==") for line in lines if not line.startswith("#"))
        assert {package, "torch", "numpy", "ase"} <= set(pins)
        assert all(pins.values())
    with pytest.raises(RegistryError, match="there is one for chgnet, m3gnet"):
        find_requirements("../potentials")


@pytest.mark.parametrize("name", ["chgnet-0.2.0", "chgnet-0.3.0"])
def test_files_of_the_installed_package(name: str) -> None:
    known = load_known(name)
    imported = "chgnet" in sys.modules
    files = find_wheel_files(known)
    if files is None:
        pytest.skip("chgnet is not installed")
    assert ("chgnet" in sys.modules) == imported
    assert check_files(known, files) == {"model.pth.tar": known.files["model.pth.tar"].known_sha256[0]}
    assert files["model.pth.tar"].stat().st_size == known.files["model.pth.tar"].size
    other = load_known("chgnet-0.2.0" if name == "chgnet-0.3.0" else "chgnet-0.3.0")
    with pytest.raises(PotentialFileError, match=f"is a file of {name}, not of {other.name}"):
        check_files(other, files)


def test_counted_in_the_installed_weights() -> None:
    torch = pytest.importorskip("torch")
    for name in ("chgnet-0.2.0", "chgnet-0.3.0"):
        known = load_known(name)
        files = find_wheel_files(known)
        if files is None:
            pytest.skip("chgnet is not installed")
        checkpoint = torch.load(files["model.pth.tar"], map_location="cpu", weights_only=True)
        state = checkpoint["model"]["state_dict"]
        assert sum(tensor.numel() for tensor in state.values()) == known.n_parameters
        assert checkpoint["model"]["model_args"]["atom_graph_cutoff"] == known.cutoff_a


def test_absent_package_and_changed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = load_known("chgnet-0.3.0")
    assert find_wheel_files(load_known("m3gnet-mp-2021.2.8")) is None
    absent = dataclasses.replace(known, weights=dataclasses.replace(known.weights, package="no_such_package_here"))
    assert find_wheel_files(absent) is None
    (tmp_path / "emptied_package").mkdir()
    (tmp_path / "emptied_package" / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    emptied = dataclasses.replace(known, weights=dataclasses.replace(known.weights, package="emptied_package"))
    with pytest.raises(PotentialFileError, match=r"version 0\.4\.2 ships it"):
        find_wheel_files(emptied)


def folder_with(path: Path, *names: str) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for name in names:
        (path / name).write_text(name)
    return path


def test_match_a_folder_of_m3gnet(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "m", "model.json", "model.pt", "state.pt", "README.md")
    files = match_files("m3gnet", [folder])
    assert files == {name: folder / name for name in ("model.json", "model.pt", "state.pt")}
    assert match_files(load_known("m3gnet-mp-2021.2.8"), [folder / name for name in reversed(files)]) == files


def test_match_names_what_is_wrong(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "m", "model.json", "model.pt", "README.md")
    with pytest.raises(PotentialFileError, match=r"state\.pt is missing from what was given"):
        match_files("m3gnet", [folder])
    with pytest.raises(
        PotentialFileError, match=r"README\.md is no file of the family m3gnet, which needs model\.json"
    ):
        match_files("m3gnet", [folder / "README.md"])
    other = folder_with(tmp_path / "n", "model.pt", "state.pt")
    with pytest.raises(PotentialFileError, match=r"two files were given for model\.pt"):
        match_files("m3gnet", [folder, other])
    with pytest.raises(PotentialFileError, match="does not exist"):
        match_files("m3gnet", [tmp_path / "absent"])
    with pytest.raises(PotentialFileError, match="needs no file"):
        match_files("ase", [folder / "model.pt"])
    assert match_files("ase", []) == {}
    for family in ("nequip", "gap"):
        with pytest.raises(UnavailableFamilyError):
            match_files(family, [folder])


def test_match_one_file_of_chgnet(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "a.pth.tar", "b.pt", "c.txt")
    assert match_files("chgnet", [folder / "a.pth.tar"]) == {"model.pth.tar": folder / "a.pth.tar"}
    assert match_files("chgnet", [folder / "b.pt"]) == {"model.pth.tar": folder / "b.pt"}
    with pytest.raises(PotentialFileError, match="two files were given"):
        match_files("chgnet", [folder])
    with pytest.raises(PotentialFileError, match=r"needs \*\.pth\.tar or \*\.pt"):
        match_files("chgnet", [folder / "c.txt"])
    with pytest.raises(PotentialFileError, match="nothing"):
        match_files("chgnet", [])


def fake(name: str, **digests: str) -> KnownPotential:
    known = load_known(name)
    files = {
        logical: KnownFile((digests[logical.replace(".", "_")],) if logical.replace(".", "_") in digests else (), None)
        for logical in known.files
    }
    return dataclasses.replace(known, files=files)


def test_check_files(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "model.json", "model.pt", "state.pt")
    files = match_files("m3gnet", [folder])
    digest = sha256_file(files["state.pt"])
    assert check_files(fake("m3gnet-mp-2021.2.8-direct", state_pt=digest), files)["state.pt"] == digest
    wrong = "0" * 64
    with pytest.raises(PotentialFileError) as caught:
        check_files(fake("m3gnet-mp-2021.2.8-direct", state_pt=wrong), files)
    for part in (str(files["state.pt"]), digest, wrong, "under a label of your own", "m3gnet"):
        assert part in str(caught.value)
    with pytest.raises(PotentialFileError, match=r"has the files model\.json, model\.pt, state\.pt; got model\.pt"):
        check_files(load_known("m3gnet-mp-2021.2.8"), {"model.pt": files["model.pt"]})


@pytest.mark.skipif(not M3GNET.is_dir(), reason="the weights are not at hand")
def test_real_m3gnet() -> None:
    known = load_known("m3gnet-mp-2021.2.8")
    files = match_files(known, [M3GNET])
    digests = check_files(known, files)
    assert all(digests[name] in known.files[name].known_sha256 for name in digests)
    assert [file.stat().st_size for file in files.values()] == [file.size for file in known.files.values()]
    with pytest.raises(
        PotentialFileError, match=r"is a file of m3gnet-mp-2021\.2\.8, not of m3gnet-mp-2021\.2\.8-direct"
    ):
        check_files(load_known("m3gnet-mp-2021.2.8-direct"), files)
    described = json.loads((M3GNET / "model.json").read_text())["kwargs"]["model"]["init_args"]
    assert known.elements == tuple(described["element_types"])
    assert known.cutoff_a == described["cutoff"]
