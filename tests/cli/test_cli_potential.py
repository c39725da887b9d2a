"""aiida-surfbench potential: known, install, list, show, and what is refused."""

from __future__ import annotations

import hashlib
import pickle

import pytest
from aiida.orm import QueryBuilder

from aiida_surfbench.data.potential import PotentialData

KNOWN = {
    "chgnet-0.3.0", "chgnet-0.2.0", "m3gnet-mp-2021.2.8-direct", "m3gnet-mp-2021.2.8", "mace-mp-0-128-l2",
    "mace-mp-0-small", "mace-mp-0-medium", "mace-mp-0-large", "mace-mpa-0", "sevennet-0", "sevennet-l3i5",
}  # fmt: skip


def test_known_potentials_have_their_facts(invoke, load_json):
    records = {record["name"]: record for record in load_json(invoke("potential", "known", "--format", "json").output)}
    assert set(records) == KNOWN
    assert records["chgnet-0.3.0"]["family"] == "chgnet"
    assert records["chgnet-0.3.0"]["available"] is True
    assert records["mace-mp-0-small"]["available"] is False
    for record in records.values():
        assert {"version", "training_set", "n_parameters", "licence", "elements", "weights", "functional"} <= set(
            record
        )
        assert record["training_set"]["name"]
    table = invoke("potential", "known").output
    assert all(name in table for name in KNOWN)
    assert invoke("potential", "known", "--format", "markdown").output.startswith("| name |")


@pytest.mark.usefixtures("chgnet_installed")
def test_weights_of_a_package_are_embedded(invoke, refuse, load_json):
    assert "family chgnet, embedded" in invoke("potential", "install", "chgnet-0.2.0", "--label", "older").output
    shown = invoke("potential", "show", "older").output
    assert "storage: embedded" in shown
    assert "family: chgnet" in shown
    assert "elements: 89" in shown
    assert '"licence"' in shown
    records = load_json(invoke("potential", "list", "--format", "json").output)
    record = next(record for record in records if record["label"] == "older")
    assert (record["family"], record["storage"], len(record["tree_sha256"])) == ("chgnet", "embedded", 64)
    assert "older" in invoke("potential", "list").output
    assert "belongs to a potential already" in refuse("potential", "install", "chgnet-0.2.0", "--label", "older")


@pytest.mark.usefixtures("chgnet_installed")
def test_reference_keeps_the_weights_in_the_package(invoke, refuse, tmp_path):
    invoke("potential", "install", "chgnet-0.2.0", "--label", "referred", "--reference")
    node = QueryBuilder().append(PotentialData, filters={"label": "referred"}).first(flat=True)
    assert node.storage == "package"
    assert node.embedded_files() == {}
    assert node.base.attributes.get("manifest")["model.pth.tar"]["package"] == "chgnet"
    arguments = (
        "potential",
        "install",
        "chgnet-0.2.0",
        "--label",
        "y",
        "--reference",
        "--file",
        tmp_path / "x.pth.tar",
    )
    assert "--reference" in refuse(*arguments)
    assert "--reference" in refuse("potential", "install", "x", "--family", "ase", "--factory", "a:b", "--reference")


def test_folder_of_real_weights(invoke, m3gnet_weights):
    invoke("potential", "install", "m3gnet-mp-2021.2.8", "--file", m3gnet_weights, "--label", "m3gnet-cli")
    node = QueryBuilder().append(PotentialData, filters={"label": "m3gnet-cli"}).first(flat=True)
    manifest = node.base.attributes.get("manifest")
    assert set(manifest) == {"model.json", "model.pt", "state.pt"}
    for name, entry in manifest.items():
        content = (m3gnet_weights / name).read_bytes()
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
        assert node.base.repository.get_object_content(entry["path"], mode="rb") == content


def test_weights_that_are_not_on_this_machine(refuse):
    sentence = refuse("potential", "install", "m3gnet-mp-2021.2.8-direct")
    assert "weights are not on this machine" in sentence
    assert "--file" in sentence


def test_weights_that_are_not_the_recorded_ones(refuse, tmp_path):
    (tmp_path / "changed.pth.tar").write_bytes(b"something else")
    sentence = refuse("potential", "install", "chgnet-0.3.0", "--label", "x", "--file", tmp_path / "changed.pth.tar")
    assert "is not the recorded" in sentence
    assert hashlib.sha256(b"something else").hexdigest() in sentence
    assert "does not exist" in refuse("potential", "install", "chgnet-0.3.0", "--file", tmp_path / "gone.pth.tar")


@pytest.mark.parametrize("name", ["mace-mp-0-small", "sevennet-0"])
def test_later_family_says_so(refuse, name):
    assert "comes in a later version" in refuse("potential", "install", name)


def test_unknown_name_is_answered_with_near_ones(refuse):
    sentence = refuse("potential", "install", "CHGNet-0.3")
    assert "no known potential is called 'CHGNet-0.3'" in sentence
    assert "chgnet-0.3.0" in sentence


def test_pickle_needs_trust(invoke, refuse, tmp_path):
    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "written"), "w"))

    file = tmp_path / "payload.pth.tar"
    file.write_bytes(pickle.dumps(Payload(), protocol=2))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    arguments = ("potential", "install", "payload", "--family", "chgnet", "--file", file)
    sentence = refuse(*arguments)
    assert "can run code" in sentence
    assert f"--trust {digest}" in sentence
    assert "can run code" in refuse(*arguments, "--trust", "0" * 64)
    invoke(*arguments, "--trust", digest)
    node = QueryBuilder().append(PotentialData, filters={"label": "payload"}).first(flat=True)
    assert node.base.attributes.get("trusted") == [digest]
    assert not (tmp_path / "written").exists()


def test_any_ase_calculator(invoke):
    arguments = ("--family", "ase", "--factory", "ase.calculators.lj:LennardJones", "--kwargs", '{"sigma": 2.0}')
    invoke("potential", "install", "my-lj", *arguments, "--elements", "Cu, Au")
    node = QueryBuilder().append(PotentialData, filters={"label": "my-lj"}).first(flat=True)
    assert node.base.attributes.get("config") == {
        "factory": "ase.calculators.lj:LennardJones", "kwargs": {"sigma": 2.0},
    }  # fmt: skip
    assert node.elements == ["Cu", "Au"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("x", "--factory", "a:b"), "go with --family"),
        (("x", "--elements", "Cu"), "go with --family"),
        (("x", "--family", "ase"), "--factory module:callable"),
        (("x", "--family", "ase", "--factory", "nocolon"), "--factory module:callable"),
        (("x", "--family", "ase", "--factory", "a:b", "--kwargs", "{"), "no JSON"),
        (("x", "--family", "ase", "--factory", "a:b", "--kwargs", "[1]"), "JSON object"),
        (("x", "--family", "ase", "--factory", "a:b", "--elements", "Cu,Qq"), "'Qq' is no chemical element"),
        (("x", "--family", "chgnet"), "is missing from what was given"),
        (("x", "--family", "mace"), "later version"),
        (("x", "--family", "spam"), "no family 'spam'"),
        (("x", "--family", "ase", "--factory", "a:b", "--label", " "), "must not be empty"),
    ],
)
def test_mistakes_are_one_sentence(refuse, arguments, words):
    assert words in refuse("potential", "install", *arguments)


def test_show_of_what_is_not_there(refuse, dataset):
    assert "no potential 'nobody'" in refuse("potential", "show", "nobody")
    assert "is no potential but a SurfaceSetData" in refuse("potential", "show", dataset.uuid)
