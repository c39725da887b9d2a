"""Imports point one way: the table of section 2 of the design, enforced on the syntax tree of every module.

Modules are named without the leading ``aiida_surfbench.``: ``science.metrics``, ``runner.contract``, and ``""`` for the
package itself.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = "aiida_surfbench"
EVERYWHERE = frozenset({"numpy", "ase"})
ANY = frozenset({"*"})


@dataclass(frozen=True)
class Rule:
    """What a module may import beside the standard library.

    :ivar project: modules of the project; a package stands for all that is in it. Its own package always belongs to it.
    :ivar others: third-party packages.
    :ivar lazily: third-party packages that are imported inside functions only.
    """

    project: frozenset[str] = frozenset()
    others: frozenset[str] = EVERYWHERE
    lazily: frozenset[str] = frozenset()


def rule(project: str = "", others: str = "", lazily: str = "") -> Rule:
    """Return a rule from names separated by spaces; numpy and ase are added."""
    return Rule(frozenset(project.split()), EVERYWHERE | frozenset(others.split()), frozenset(lazily.split()))


STDLIB_ONLY = Rule(others=frozenset())
#: The longest name that a module begins with decides; what begins with none is refused.
RULES = {
    "": STDLIB_ONLY,
    "runner": rule(),
    "runner.__init__": STDLIB_ONLY,  # importing runner.contract runs it
    "runner.contract": STDLIB_ONLY,
    "runner.families._torch": rule(lazily="torch"),
    "runner.families.chgnet": rule(lazily="chgnet torch pymatgen"),
    "runner.families.m3gnet": rule(lazily="matgl torch torch_geometric"),
    "science": rule(others="scipy sklearn pymatgen", lazily="dscribe"),
    "formats": rule(others="scipy sklearn pymatgen", lazily="dscribe"),
    "potentials": rule(others="yaml"),
    "sources": rule("formats potentials", others="pymatgen ijson", lazily="mp_api"),
    "data": rule("formats runner.contract", others="aiida"),
    "calculations": rule("data potentials formats science sources runner.contract runner.build", others="aiida"),
    "parsers": rule("data potentials formats science sources runner.contract runner.build", others="aiida"),
    "workchains": rule("data potentials", others="aiida"),
    "ingestion": rule("data potentials sources formats", others="aiida"),
    "launch": rule("data ingestion queries", others="aiida"),
    "queries": rule("data", others="aiida pandas"),
    "plots": rule("science", others="pandas matplotlib plotly pymatviz"),
    "report": rule("plots", others="pandas jinja2"),
    "cli": Rule(ANY, ANY),
}


@dataclass(frozen=True)
class Module:
    """A module of the project: its name without the project's, and its source."""

    name: str
    source: str
    is_package: bool = False

    @property
    def key(self) -> str:
        """Return the name by which the rule is looked up."""
        return f"{self.name}.__init__" if self.is_package and self.name else self.name

    @property
    def package(self) -> list[str]:
        """Return the parts of the package that relative imports start from."""
        parts = self.name.split(".") if self.name else []
        return parts if self.is_package else parts[:-1]


@dataclass(frozen=True)
class Import:
    """One import: ``target`` is absolute, or ``None`` where it goes above the project."""

    target: str | None
    line: int
    relative: bool
    in_function: bool
    type_checking: bool


@dataclass
class Finder(ast.NodeVisitor):
    """Collect the imports of a module, those by ``import_module("…")`` included."""

    module: Module
    known: frozenset[str]
    found: list[Import] = field(default_factory=list)
    functions: int = 0
    type_checking: bool = False

    def _add(self, node: ast.AST, target: str | None, relative: bool = False) -> None:
        line = getattr(node, "lineno", 0)
        self.found.append(Import(target, line, relative, self.functions > 0, self.type_checking))

    def _in_function(self, node: ast.AST) -> None:
        self.functions += 1
        self.generic_visit(node)
        self.functions -= 1

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = _in_function  # noqa: N815

    def visit_If(self, node: ast.If) -> None:
        outside = self.type_checking
        self.type_checking = outside or ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
        for child in node.body:
            self.visit(child)
        self.type_checking = outside
        for child in node.orelse:
            self.visit(child)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(node, alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = self._absolute(node.level, node.module or "")
        for alias in node.names:
            full = f"{base}.{alias.name}"
            # `from package import name`: the name is a module of the project, or something inside the package
            self._add(node, full if full in self.known else base, relative=node.level > 0)

    def visit_Call(self, node: ast.Call) -> None:
        name = ast.unparse(node.func).rpartition(".")[2]
        argument = node.args[0] if node.args else None
        if name in ("import_module", "__import__") and isinstance(argument, ast.Constant):
            text = str(argument.value)
            level = len(text) - len(text.lstrip("."))
            self._add(node, self._absolute(level, text.lstrip(".")), relative=level > 0)
        self.generic_visit(node)

    def _absolute(self, level: int, name: str) -> str | None:
        if not level:
            return name
        above = level - 1
        package = self.module.package
        if above > len(package):
            return None
        return ".".join([PROJECT, *package[: len(package) - above], *([name] if name else [])])


def begins_with(name: str, prefixes: frozenset[str]) -> bool:
    """Return whether a dotted name is, or lies in, one of the prefixes."""
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def rule_of(module: Module) -> Rule | None:
    """Return the rule with the longest name that fits, or ``None``."""
    if not module.name:
        return RULES[""]
    names = [name for name in RULES if name and begins_with(module.key, frozenset({name}))]
    return RULES[max(names, key=len)] if names else None


def project_complaint(module: Module, allowed: frozenset[str], entry: Import) -> str | None:
    """Return what is wrong with the import of a module of the project, or ``None``."""
    package = module.name.partition(".")[0]
    inside = (entry.target or "").partition(".")[2]
    if package == "runner":
        if not entry.relative:
            return "the runner has another name on the cluster, its imports of itself must be relative"
        if inside == "runner.build":
            return "left out of the runner that travels"
    elif not inside:
        return None  # the package itself, which holds the version only; on the cluster it is not there
    return None if allowed == ANY or begins_with(inside, allowed | {package}) else f"not for {package or PROJECT}"


def other_complaint(module: Module, applied: Rule, entry: Import) -> str | None:
    """Return what is wrong with the import of any other package, or ``None``."""
    top = (entry.target or "").partition(".")[0]
    if top in sys.stdlib_module_names or top in applied.others or applied.others == ANY:
        return None
    if entry.type_checking:
        return None  # never executed, only read by the type checker: it makes nobody need the package
    if top in applied.lazily:
        return None if entry.in_function else "only inside a function"
    return f"not for {module.name.partition('.')[0] or PROJECT}"


def complaint(module: Module, applied: Rule, entry: Import) -> str | None:
    """Return what is wrong with one import, or ``None``."""
    if entry.target is None:
        return "a relative import that goes above the project"
    if entry.target.partition(".")[0] == PROJECT:
        text = project_complaint(module, applied.project, entry)
    else:
        text = other_complaint(module, applied, entry)
    return text and f"{entry.target}: {text}"


def violations(module: Module, known: frozenset[str]) -> list[str]:
    """Return every import of a module that the table does not allow, as ``module:line: what``."""
    applied = rule_of(module)
    if applied is None:
        return [f"{module.name}: not in the table; say what it may import, here and in the design"]
    finder = Finder(module, known)
    finder.visit(ast.parse(module.source))
    found = ((entry, complaint(module, applied, entry)) for entry in finder.found)
    return [f"{module.name or PROJECT}:{entry.line}: {text}" for entry, text in found if text]


def walk() -> Iterator[tuple[Path, Module]]:
    """Yield every module of the project; ``workchains`` once, from the folder itself and not through the symlink."""
    for folder, prefix in ((ROOT / PROJECT, ""), (ROOT / "workchains", "workchains")):
        for parent, folders, names in os.walk(folder, followlinks=False):
            # Where the symlink became a copy (an unpacked sdist), it is left out too
            folders[:] = [name for name in folders if Path(parent, name) != ROOT / PROJECT / "workchains"]
            for path in sorted(Path(parent, name) for name in names if name.endswith(".py")):
                parts = path.relative_to(folder).with_suffix("").parts
                is_package = parts[-1] == "__init__"
                name = ".".join([*([prefix] if prefix else []), *(parts[:-1] if is_package else parts)])
                yield path, Module(name, path.read_text(encoding="utf-8"), is_package)


MODULES = [module for _, module in walk()]
KNOWN = frozenset(f"{PROJECT}.{module.name}" for module in MODULES if module.name)


def test_the_walk_finds_both_trees():
    names = [module.name for module in MODULES]
    assert len(names) == len(set(names))
    assert {"", "cli", "runner.contract", "workchains", "workchains.surface_energy"} <= set(names)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name or PROJECT)
def test_imports_follow_the_table(module):
    assert not violations(module, KNOWN)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("science.metrics", "import numpy as np\nfrom ase import Atoms\nimport scipy.stats"),
        (
            "science.metrics",
            "from . import errors\nfrom .errors import compute\nfrom aiida_surfbench.science import lattice",
        ),
        ("science.kernels", "def soap():\n    import dscribe"),
        (
            "data.potential",
            "from ..runner import contract\nfrom ..runner.contract import OK\nfrom .. import __version__",
        ),
        ("plots.parity", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from bokeh.plotting import Figure"),
        ("runner.families.chgnet", "def load():\n    import torch\n    from chgnet.model import CHGNet"),
        ("runner.predict", "from . import contract\nfrom .families import get_family"),
        ("calculations.functions.compute", "from ...science.metrics import compute_metrics"),
        (
            "workchains.benchmark",
            "from ..data.potential import PotentialData\nfrom .environments import find_environment",
        ),
        ("cli.demo", "import rich, yaml, torch\nfrom .. import queries, launch"),
    ],
)
def test_what_is_allowed(name, source):
    assert not violations(Module(name, source), KNOWN)


@pytest.mark.parametrize(
    ("name", "source", "words"),
    [
        ("science.metrics", "import aiida", "not for science"),
        ("science.metrics", "import os, aiida.orm as orm", "aiida.orm: not for science"),
        ("science.metrics", "def f():\n    from aiida.orm import Dict", "not for science"),
        ("science.metrics", "from ..data import potential", "aiida_surfbench.data.potential: not for science"),
        ("science.metrics", "from .. import data", "aiida_surfbench.data: not for science"),
        ("science.metrics", "from aiida_surfbench import cli", "aiida_surfbench.cli: not for science"),
        ("science.metrics", "import importlib\nimportlib.import_module('aiida.orm')", "not for science"),
        (
            "science.metrics",
            "from importlib import import_module as i, import_module\nimport_module('..data', 'x')",
            "data",
        ),
        ("science.metrics", "from ... import elsewhere", "above the project"),
        ("science.kernels", "import dscribe", "only inside a function"),
        ("science.kernels", "class A:\n    import dscribe", "only inside a function"),
        ("formats.extxyz", "from ..science import metrics", "not for formats"),
        ("potentials.registry", "import pandas", "pandas: not for potentials"),
        ("sources.demo", "import mp_api", "only inside a function"),
        ("sources.demo", "import aiida", "not for sources"),
        ("data.potential", "from ..runner import weights", "aiida_surfbench.runner.weights: not for data"),
        ("data.potential", "from .. import runner", "aiida_surfbench.runner: not for data"),
        ("data.potential", "import torch", "torch: not for data"),
        ("calculations.predict", "from ..runner.predict import main", "not for calculations"),
        ("calculations.predict", "from ..parsers import predict", "not for calculations"),
        ("workchains.benchmark", "from ..calculations.predict import PredictCalculation", "not for workchains"),
        ("queries", "from .science import metrics", "aiida_surfbench.science.metrics: not for queries"),
        ("ingestion", "from . import launch", "aiida_surfbench.launch: not for ingestion"),
        ("launch", "from .potentials import registry", "not for launch"),
        ("plots.parity", "import aiida", "not for plots"),
        (
            "plots.parity",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..data import table",
            "not for plots",
        ),
        ("plots.parity", "if TYPE_CHECKING:\n    pass\nelse:\n    import aiida", "not for plots"),
        ("report.page", "from ..queries import results", "not for report"),
        ("ingestion", "from .cli import root", "aiida_surfbench.cli.root: not for ingestion"),
        ("runner.predict", "import aiida", "not for runner"),
        ("runner.predict", "import torch", "torch: not for runner"),
        ("runner.predict", "from ..formats import extxyz", "not for runner"),
        ("runner.predict", "from .. import __version__", "aiida_surfbench: not for runner"),
        ("runner.predict", "from aiida_surfbench.runner import contract", "must be relative"),
        ("runner.predict", "from .build import build_runner", "left out of the runner"),
        ("runner.families.chgnet", "import torch", "only inside a function"),
        ("runner.families.chgnet", "def load():\n    import matgl", "matgl: not for runner"),
        ("runner.families.mace", "def load():\n    import mace", "mace: not for runner"),
        ("runner.contract", "import numpy", "numpy: not for runner"),
        ("runner.contract", "from ase import Atoms", "ase: not for runner"),
        ("", "import numpy", "numpy: not for aiida_surfbench"),
        ("", "from . import cli", "not for aiida_surfbench"),
        ("helpers.text", "import os", "not in the table"),
        ("helpers", "import os", "not in the table"),
        ("datasets", "import os", "not in the table"),
    ],
)
def test_what_is_refused(name, source, words):
    found = violations(Module(name, source, is_package=not name), KNOWN)
    assert len(found) == 1
    assert words in found[0]


def test_a_package_is_read_as_one():
    source = "from .sub import x\nimport numpy"
    assert violations(Module("runner", source, is_package=True), KNOWN) == ["runner:2: numpy: not for runner"]
    assert not violations(Module("calculations", "from ..data import table", is_package=True), KNOWN)


RUNNER = [path for path, module in walk() if module.name.partition(".")[0] == "runner"]


@pytest.mark.parametrize("path", RUNNER, ids=lambda path: path.relative_to(ROOT / PROJECT).as_posix())
def test_the_runner_is_written_for_python_3_9(path):
    ast.parse(path.read_text(encoding="utf-8"), filename=str(path), feature_version=(3, 9))


def test_newer_grammar_is_seen():
    with pytest.raises(SyntaxError):
        ast.parse("match 1:\n    case 1:\n        pass", feature_version=(3, 9))


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new interpreter, in the root of the repository."""
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("name", [PROJECT, f"{PROJECT}.runner.contract"])
def test_importing_it_brings_nothing_but_the_standard_library(name):
    result = run_python(
        f"import sys; before = set(sys.modules); import {name}; "
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "print(sorted(new - sys.stdlib_module_names))"
    )
    assert result.stdout.strip() == f"[{PROJECT!r}]", result.stderr


def test_workchains_refuse_another_name():
    result = run_python("import workchains")
    assert result.returncode == 1
    assert result.stderr.strip().endswith("ImportError: import aiida_surfbench.workchains, not workchains")


def test_workchains_is_a_symlink():
    link = ROOT / PROJECT / "workchains"
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: archives may hold a copy of workchains instead of the symlink")
    assert link.is_symlink()
    assert link.readlink() == Path("../workchains")
