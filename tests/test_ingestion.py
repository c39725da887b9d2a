"""What comes into a profile, from Python: labels, sets, potentials, Codes."""

from __future__ import annotations

import sys

import pytest
from aiida.orm import Computer, load_code

from aiida_surfbench.data.potential import PotentialData
from aiida_surfbench.data.structure_set import SurfaceSetData
from aiida_surfbench.formats.structure_set import StructureSetError
from aiida_surfbench.ingestion import (
    IngestionError,
    demo_dataset,
    find_labelled,
    get_code,
    get_localhost,
    import_surface_set,
    install_known_potential,
    install_potential,
    load_labelled,
    store_surface_set,
)
from aiida_surfbench.potentials.registry import UnavailableFamilyError, UnknownPotentialError


def test_labelled_nodes_are_found_by_label_pk_and_uuid(dataset, emt):
    assert find_labelled(SurfaceSetData, "metals").uuid == dataset.uuid
    assert find_labelled(PotentialData, "metals") is None
    for identifier in ("metals", str(dataset.pk), dataset.uuid):
        assert load_labelled(SurfaceSetData, identifier, "dataset").uuid == dataset.uuid
    with pytest.raises(IngestionError, match=r"no dataset 'nothing'.*dataset list"):
        load_labelled(SurfaceSetData, "nothing", "dataset")
    with pytest.raises(IngestionError, match="no dataset but a PotentialData"):
        load_labelled(SurfaceSetData, emt.uuid, "dataset")


def test_import_records_where_it_came_from(aiida_profile, metal_records, write_set, tmp_path):
    file = write_set(tmp_path / "mine.extxyz", metal_records(("Ag",), shift=0.31))
    node = import_surface_set(file, "imported")
    assert node.is_stored
    assert node.label == "imported"
    assert node.base.attributes.get("source") == {"kind": "extxyz", "file": "mine.extxyz"}
    with pytest.raises(IngestionError, match="'imported' belongs to a dataset already"):
        import_surface_set(file, "imported")
    with pytest.raises(IngestionError, match="in the profile already: 'imported'"):
        import_surface_set(file, "under-another-name")
    with pytest.raises(StructureSetError, match="is not a file"):
        import_surface_set(tmp_path / "gone.extxyz", "x")
    assert find_labelled(SurfaceSetData, "x") is None


def test_refused_set_is_not_stored(aiida_profile, metal_records):
    with pytest.raises(StructureSetError, match="at least one bulk and one slab"):
        store_surface_set(metal_records(("Ag",))[:1], "half", {})
    assert find_labelled(SurfaceSetData, "half") is None


def test_embedded_set_is_stored_once(aiida_profile):
    node = demo_dataset()
    assert node.label == "demo"
    assert len(node.elements) >= 12
    assert node.n_slabs >= 36
    assert "unrelaxed" in str(node.base.attributes.get("source"))
    assert demo_dataset().uuid == node.uuid


def test_registry_potential_brings_its_facts(chgnet_installed):
    node = install_known_potential("chgnet-0.3.0", label="facts")
    facts = node.base.attributes.get("facts")
    assert node.name == node.label == "facts"
    assert facts["name"] == "chgnet-0.3.0"
    assert facts["licence"]
    assert node.elements == list(facts["elements"])
    assert list(node.embedded_files()) == ["model.pth.tar"]


def test_unknown_and_later_potentials(aiida_profile):
    with pytest.raises(UnknownPotentialError, match="no known potential"):
        install_known_potential("chgnet-9")
    with pytest.raises(UnavailableFamilyError, match="later version"):
        install_known_potential("mace-mpa-0")
    with pytest.raises(UnavailableFamilyError, match="no family 'spam'"):
        install_potential("spam", "x")
    with pytest.raises(IngestionError, match="module:callable"):
        install_potential("ase", "x", config={"factory": ":EMT"})


def test_code_is_made_once(code, localhost, tmp_path):
    assert str(code.filepath_executable) == sys.executable
    assert get_code().uuid == code.uuid
    assert get_localhost().uuid == localhost.uuid
    named = get_code("named", sys.executable)
    assert load_code("named@localhost").uuid == get_code("named", sys.executable).uuid == named.uuid
    with pytest.raises(IngestionError, match="exists with another Python or prepend text"):
        get_code("named", str(tmp_path / "other"))
    with pytest.raises(IngestionError, match="absolute path"):
        get_code("relative", "python3")
    with pytest.raises(IngestionError, match="there is no file"):
        get_code("gone", str(tmp_path / "other"))


def test_files_of_one_name_are_refused(aiida_profile, tmp_path):
    paths = [tmp_path / name / "weights.bin" for name in ("a", "b")]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(b"x")
    config = {"factory": "ase.calculators.emt:EMT"}
    with pytest.raises(IngestionError, match="have the same name"):
        install_potential("ase", "twins", paths=paths, config=config)
    with pytest.raises(IngestionError, match="is not a file"):
        install_potential("ase", "folder", paths=[tmp_path], config=config)
    with pytest.raises(IngestionError, match="digest of no file that needs trust"):
        install_potential("ase", "trusting", config=config, trust=["0" * 64])


def test_computer_that_is_not_configured_is_refused(aiida_profile, tmp_path):
    computer = Computer("unready", "localhost", "", "core.local", "core.direct", str(tmp_path)).store()
    with pytest.raises(IngestionError, match="not configured: run `verdi computer configure"):
        get_code("anything", sys.executable, computer)
