"""PotentialData: embedded or referred to, with digests, and as the runner's job wants it."""

from __future__ import annotations

import hashlib
import io

import pytest
from aiida.common.exceptions import ModificationNotAllowed, ValidationError
from aiida.orm import load_node

from aiida_surfbench.data.potential import PotentialData

REFERENCE = {"package": "chgnet", "path": "pretrained/x.pth.tar", "sha256": "a" * 64}


@pytest.fixture
def weights(tmp_path):
    """Return two files as weights."""
    files = {}
    for name, content in (("model.json", b"{}"), ("state.pt", b"\x00\x01weights")):
        files[name] = tmp_path / name
        files[name].write_bytes(content)
    return files


def test_embedded_files_have_digests_and_come_back(aiida_profile, weights):
    node = PotentialData("m3gnet", "mine", files=weights, elements=["Cu", "Au"]).store()
    node = load_node(node.uuid)
    manifest = node.base.attributes.get("manifest")
    assert node.storage == "embedded"
    assert (node.family, node.name, node.elements) == ("m3gnet", "mine", ["Cu", "Au"])
    for name, path in weights.items():
        content = path.read_bytes()
        assert manifest[name]["sha256"] == hashlib.sha256(content).hexdigest()
        assert node.base.repository.get_object_content(node.embedded_files()[name], mode="rb") == content
    with pytest.raises(ModificationNotAllowed):
        node.base.repository.put_object_from_filelike(io.BytesIO(b""), "files/state.pt")


def test_tree_hash_sees_names_and_contents(aiida_profile, weights, tmp_path):
    first = PotentialData("m3gnet", "one", files=weights).tree_sha256
    assert PotentialData("m3gnet", "two", files=dict(reversed(weights.items()))).tree_sha256 == first
    assert len(first) == 64
    swapped = {"model.json": weights["state.pt"], "state.pt": weights["model.json"]}
    other = tmp_path / "other.pt"
    other.write_bytes(b"\x00\x01weightz")
    changed = {**weights, "state.pt": other}
    hashes = {PotentialData("m3gnet", "x", files=files).tree_sha256 for files in (swapped, changed)}
    assert len({first, *hashes}) == 3


def test_package_reference(aiida_profile):
    node = PotentialData("chgnet", "referred", references={"model.pth.tar": REFERENCE}).store()
    assert node.storage == "package"
    assert node.embedded_files() == {}
    assert node.tree_sha256 is not None
    assert node.job_description("potential")["files"] == {"model.pth.tar": REFERENCE}


def test_path_reference_without_a_digest_invents_none(aiida_profile):
    node = PotentialData("chgnet", "on-cluster", references={"model.pth.tar": {"path": "/data/x.pth.tar"}}).store()
    assert node.storage == "path"
    assert node.tree_sha256 is None
    assert node.job_description("potential")["files"]["model.pth.tar"] == {"path": "/data/x.pth.tar", "sha256": None}


def test_job_description_of_embedded_weights(aiida_profile, weights):
    node = PotentialData("m3gnet", "mine", files=weights, elements=["Cu"], trusted=["b" * 64], facts={"version": "1"})
    digest = hashlib.sha256(b"{}").hexdigest()
    described = node.job_description("potential")
    assert described["files"]["model.json"] == {"path": "potential/model.json", "sha256": digest}
    assert {key: described[key] for key in ("family", "name", "elements", "config", "trusted")} == {
        "family": "m3gnet", "name": "mine", "elements": ["Cu"], "config": {}, "trusted": ["b" * 64],
    }  # fmt: skip
    assert set(described) == {"family", "name", "elements", "config", "files", "trusted"}


def test_unknown_elements_are_none_and_not_empty(emt):
    assert emt.elements is None
    assert emt.job_description("potential")["elements"] is None
    assert emt.job_description("potential")["config"] == {"factory": "ase.calculators.emt:EMT"}


def test_files_and_references_together_are_refused(aiida_profile, weights):
    with pytest.raises(ValueError, match="embedded or referred to, not both"):
        PotentialData("chgnet", "x", files=weights, references={"model.pth.tar": REFERENCE})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"family": "", "name": "x"}, "family and a name"),
        ({"family": "chgnet", "name": ""}, "family and a name"),
        ({"family": "chgnet", "name": "x", "references": {"m": {"path": "relative/x"}}}, "must be absolute"),
        ({"family": "chgnet", "name": "x", "references": {"../m": {"path": "/x"}}}, "no plain file name"),
        (
            {"family": "chgnet", "name": "x", "references": {"m": REFERENCE, "n": {"path": "/data/n", "sha256": None}}},
            "not to both",
        ),
        (
            {"family": "chgnet", "name": "x", "references": {"m": {**REFERENCE, "path": "/absolute"}}},
            "must be relative",
        ),
        ({"family": "chgnet", "name": "x", "references": {"m": {**REFERENCE, "path": "a/../../x"}}}, "'..'"),
    ],
)
def test_invalid_potentials_are_not_stored(aiida_profile, arguments, words):
    with pytest.raises(ValidationError, match=words):
        PotentialData(**arguments).store()
