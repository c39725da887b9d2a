"""aiida-surfbench code setup: the Code of a Python, and what it can run."""

from __future__ import annotations

from aiida.orm import load_code


def test_setup_says_what_the_environment_can_run(invoke, refuse, light_python, tmp_path):
    script = light_python(tmp_path / "python")
    for _ in range(2):  # again, because the environment may have changed
        output = invoke("code", "setup", "thin", "--python", script).output
        assert "thin@localhost: Python 3." in output
        assert "device cpu" in output
        assert "ase: version" in output
        assert "chgnet: not installed" in output
        assert "--code ase=thin@localhost" in output
    code = load_code("thin@localhost")
    assert str(code.filepath_executable) == str(script)
    assert code.default_calc_job_plugin == "surfbench.predict"
    other = light_python(tmp_path / "other")
    sentence = refuse("code", "setup", "thin", "--python", other)
    assert "thin@localhost exists with another Python" in sentence
    assert "another Python or prepend text" in refuse(
        "code", "setup", "thin", "--python", script, "--prepend-text", "x=1"
    )


def test_prepend_text_is_run(invoke, light_python, tmp_path):
    script = light_python(tmp_path / "python")
    invoke("code", "setup", "prepended", "--python", script, "--prepend-text", f"touch {tmp_path}/prepended")
    assert (tmp_path / "prepended").exists()


def test_what_is_no_python(refuse, tmp_path):
    script = tmp_path / "no-python"
    script.write_text("#!/bin/sh\necho 'cannot do that' >&2\nexit 1\n")
    script.chmod(0o755)
    sentence = refuse("code", "setup", "not-a-python", "--python", script)
    assert "could not be described" in sentence
    assert "cannot do that" in sentence


def test_mistakes_are_one_sentence(refuse, light_python, tmp_path):
    script = light_python(tmp_path / "python")
    assert "absolute path" in refuse("code", "setup", "x", "--python", "python3")
    assert "there is no file" in refuse("code", "setup", "x", "--python", tmp_path / "gone")
    assert "no computer 'nowhere'" in refuse("code", "setup", "x", "--python", script, "--computer", "nowhere")
    assert "no Code label" in refuse("code", "setup", "x@y", "--python", script)
    assert "no Code label" in refuse("code", "setup", " ", "--python", script)
    assert "not KEY=VALUE" in refuse("code", "setup", "x", "--python", script, "--job-option", "queue")
    assert "Missing option '--python'" in refuse("code", "setup", "x")
    assert "--job-option" in refuse("code", "setup", "x", "--python", script, "--job-option", "no_such=1")
