"""Look into a weights file for code that unpickling it would run, without unpickling it.

A pickle names the functions and classes it wants called. ``torch.load(weights_only=True)`` refuses all but a short
list of them; :func:`scan_pickle` says beforehand, with the standard library alone, whether a file keeps to that list.
It is conservative: a file that it does not understand requires trust.

The list is the part of torch's own (``torch/_weights_only_unpickler.py``) that checkpoints of tensors need, and the
plain numpy arrays that matgl registers with torch when it is imported (``matgl/utils/io.py``).
"""

from __future__ import annotations

import codecs
import hashlib
import io
import pickletools
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

Kind = Literal["torch-zip", "torch-legacy", "pickle", "none", "unknown"]

#: Largest pickle inside an archive that is looked at, in bytes; tensors lie outside of it, so real ones are small.
MAX_PICKLE_BYTES = 256 * 1024 * 1024


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_STORAGES = _words("BFloat16 Bool Byte Char ComplexDouble ComplexFloat Double Float Half Int Long Short")
_DTYPES = _words("bfloat16 bool complex128 complex64 float16 float32 float64 int16 int32 int64 int8 uint8")

#: Globals that may be called: they build tensors, plain containers and plain numpy arrays and do nothing else.
ALLOWED_GLOBALS = frozenset(
    {
        "_codecs.encode",
        "builtins.bytearray",
        "builtins.complex",
        "builtins.set",
        "collections.Counter",
        "collections.OrderedDict",
        "numpy._core.multiarray._reconstruct",
        "numpy.dtype",
        "numpy.dtypes.Float32DType",
        "numpy.dtypes.Float64DType",
        "numpy.dtypes.Int32DType",
        "numpy.dtypes.Int64DType",
        "numpy.ndarray",
        "torch.Size",
        "torch.Tensor",
        "torch._utils._rebuild_parameter",
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_tensor_v3",
        "torch.device",
        "torch.nn.parameter.Parameter",
        "torch.serialization._get_layout",
        "torch.storage.TypedStorage",
        "torch.storage.UntypedStorage",
    }
    | {f"torch.{name}Storage" for name in _STORAGES}
    | {f"torch.cuda.{name}Storage" for name in _STORAGES}
    | {f"torch.{name}" for name in _DTYPES}
)

# Opcodes that torch's restricted unpickler knows; it stops at any other.
_ALLOWED_OPCODES = _words(
    """APPEND APPENDS BINFLOAT BINGET BININT BININT1 BININT2 BINPERSID BINPUT BINUNICODE BUILD EMPTY_DICT EMPTY_LIST
    EMPTY_SET EMPTY_TUPLE GLOBAL LONG1 LONG_BINGET LONG_BINPUT MARK NEWFALSE NEWOBJ NEWTRUE NONE PROTO REDUCE SETITEM
    SETITEMS SHORT_BINSTRING STOP TUPLE TUPLE1 TUPLE2 TUPLE3"""
)
_TEXT_OPCODES = _words("BINSTRING BINUNICODE BINUNICODE8 SHORT_BINSTRING SHORT_BINUNICODE STRING UNICODE")
# The only opcodes through which a name is imported or a registered class is called.
_IMPORTING_OPCODES = frozenset({"EXT1", "EXT2", "EXT4", "GLOBAL", "INST", "STACK_GLOBAL"})
# Opcodes whose argument is a line of text.
_LINE_OPCODES = frozenset(
    opcode.code.encode("latin-1")
    for opcode in pickletools.opcodes
    if opcode.arg is not None and opcode.arg.n == pickletools.UP_TO_NEWLINE
)
_PYTHON_2_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PICKLES = 5  # magic number, protocol, system information, the object, the keys of the raw storages
_ZIP_MAGIC = b"PK\x03\x04"
_RAW_MEMBERS = frozenset({"version", "byteorder", ".format_version", ".storage_alignment", ".data/serialization_id"})


class _Mark:
    """The mark that a pickle sets on its stack."""


_MARK = _Mark()


@dataclass(frozen=True)
class PickleScan:
    """What unpickling a file would do.

    :ivar path: the file.
    :ivar sha256: its digest.
    :ivar kind: ``torch-zip`` or ``torch-legacy`` checkpoint, bare ``pickle``, ``none`` (empty, or text that is no
        pickle), ``unknown`` (not understood).
    :ivar globals: sorted full names that it would import and that are not in :data:`ALLOWED_GLOBALS`.
    :ivar problems: what else speaks against loading it without trust, one phrase each.
    """

    path: Path
    sha256: str
    kind: Kind
    globals: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def requires_trust(self) -> bool:
        """Whether loading the file can run code, or whether that could not be ruled out."""
        return bool(self.globals or self.problems)

    def reasons(self) -> str:
        """Return in one phrase why the file requires trust, empty if it does not."""
        parts = []
        if self.globals:
            parts.append(f"unpickling it would import {', '.join(self.globals)}")
        return "; ".join([*parts, *self.problems])


class _Findings:
    """Collects names and problems, each once."""

    def __init__(self) -> None:
        self.globals: set[str] = set()
        self.problems: dict[str, None] = {}

    def name(self, module: str, name: str) -> None:
        full = f"{_PYTHON_2_MODULES.get(module, module)}.{name}"
        if full not in ALLOWED_GLOBALS:
            self.globals.add(full)

    def problem(self, text: str) -> None:
        self.problems[text] = None


def scan_pickle(path: Path) -> PickleScan:
    """Scan the file for what unpickling it would import; nothing of it is unpickled.

    :raises OSError: if the file cannot be read.
    """
    path = Path(path)
    findings = _Findings()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        if file.read(len(_ZIP_MAGIC)) == _ZIP_MAGIC:
            kind = _scan_zip(file, findings)
        else:
            if zipfile.is_zipfile(file):
                findings.problem("it is a zip archive with something in front of it")
            file.seek(0)
            if tarfile.is_tarfile(file):
                findings.problem("it is a tar archive")
            file.seek(0)
            kind = _scan_stream(file, findings)
    return PickleScan(path, digest, kind, tuple(sorted(findings.globals)), tuple(findings.problems))


def requires_trust(path: Path) -> bool:
    """Return whether loading the file can run code, or whether that could not be ruled out."""
    return scan_pickle(path).requires_trust


def _scan_zip(file: IO[bytes], findings: _Findings) -> Kind:
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            kind = _check_members(members, findings)
            if archive.comment:
                findings.problem("its archive has a comment")
            for member in members:
                if not member.is_dir() and not _is_raw(member.filename):
                    _scan_member(archive, member, findings)
            return kind
    except (zipfile.BadZipFile, OSError, ValueError, EOFError):
        findings.problem("it begins as a zip archive but is damaged or cut off")
        return "unknown"


def _check_members(members: list[zipfile.ZipInfo], findings: _Findings) -> Kind:
    names = [member.filename for member in members]
    if len(set(names)) != len(names):
        findings.problem("its archive has two members of one name")
    # The position of the first member is that of the file's begin, or readers disagree on what the archive holds.
    if members and min(member.header_offset for member in members) != 0:
        findings.problem("its archive does not begin where the file does")
    if any("/code/" in f"/{name}" or name.endswith("constants.pkl") for name in names):
        findings.problem("it is a TorchScript archive, which holds code")
    pickles = [name for name in names if name.split("/")[-1] == "data.pkl"]
    if len(pickles) != 1:
        findings.problem(f"it is a zip archive with {len(pickles)} members data.pkl, where a torch checkpoint has one")
        return "unknown"
    return "torch-zip"


def _is_raw(name: str) -> bool:
    """Whether torch reads the archive's member as plain bytes: the tensors' storages and a few short notes."""
    inner = name.partition("/")[2]
    folder, _, last = inner.rpartition("/")
    return inner in _RAW_MEMBERS or (folder == "data" and last.isascii() and last.isdigit())


def _scan_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, findings: _Findings) -> None:
    name = member.filename
    if member.flag_bits & 0x1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        findings.problem(f"its member {name} is encrypted or packed in a way that checkpoints are not")
        return
    try:
        with archive.open(member) as stream:
            content = stream.read(MAX_PICKLE_BYTES + 1)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, NotImplementedError):
        findings.problem(f"its member {name} cannot be read")
        return
    buffer = io.BytesIO(content)
    if len(content) > MAX_PICKLE_BYTES:
        findings.problem(f"its member {name} is too large for the pickle of a checkpoint")
    elif _scan_one(buffer, findings) != "complete":
        findings.problem(f"its member {name} is no complete pickle")
    elif buffer.tell() != len(content):
        findings.problem(f"its member {name} goes on after its pickle")


def _scan_stream(file: IO[bytes], findings: _Findings) -> Kind:
    """Scan a file that is no zip archive: pickles one after the other, or none."""
    size = file.seek(0, 2)
    file.seek(0)
    if size == 0:
        return "none"
    expected = _LEGACY_PICKLES if _first_value(file) == _LEGACY_MAGIC else 1
    file.seek(0)
    count, end = 0, "complete"
    while count < expected and (end := _scan_one(file, findings)) == "complete":
        count += 1
    if count == 0 and end == "refused" and not findings.globals and not findings.problems and _is_text(file):
        return "none"
    if count < expected:
        findings.problem("it is no complete pickle, no checkpoint of torch and no plain text")
        return "unknown"
    if expected == _LEGACY_PICKLES:
        return "torch-legacy"  # what follows are the tensors' raw storages
    if file.tell() != size:
        findings.problem("it goes on after its pickle")
    return "pickle"


def _first_value(file: IO[bytes]) -> Any:
    """Return the file's first pickle where that is a single number, else ``None``."""
    values = []
    try:
        for opcode, argument, _ in pickletools.genops(file):
            if opcode.name not in {"PROTO", "STOP"}:
                values.append(argument)
            if len(values) > 1:
                return None
    except (ValueError, OverflowError, MemoryError, EOFError):
        return None
    return values[0] if values else None


def _is_text(file: IO[bytes]) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    file.seek(0)
    try:
        while chunk := file.read(1 << 20):
            if b"\0" in chunk:
                return False
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _scan_one(file: IO[bytes], findings: _Findings) -> Literal["complete", "refused", "unsure"]:
    """Scan one pickle from the file's position, leaving the file behind it.

    Names seen before a fault count: an unpickler would have imported them before it came to the fault.

    :returns: ``complete``; ``refused`` if every unpickler stops at the fault; ``unsure`` if another unpickler might
        read what :mod:`pickletools` does not (it takes other spellings of numbers and names in lines of text).
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    unknown_opcodes: set[str] = set()
    complete, imported, position = False, False, file.tell()
    try:
        for opcode, argument, begin in pickletools.genops(file):
            name = opcode.name
            if name not in _ALLOWED_OPCODES:
                unknown_opcodes.add(name)
            if name in _IMPORTING_OPCODES:
                imported = True
                _note_import(file, name, int(begin or 0), stack, findings)
            _simulate(opcode, argument, stack, memo)
            complete, position = name == "STOP", file.tell()
    except (ValueError, OverflowError, MemoryError, EOFError, IndexError, KeyError):
        complete = False
    if complete or imported:
        for name in sorted(unknown_opcodes):
            findings.problem(f"its pickle uses {name}, which torch's restricted unpickler does not know")
    if complete:
        return "complete"
    file.seek(position)
    return "unsure" if file.read(1) in _LINE_OPCODES else "refused"


def _note_import(file: IO[bytes], opcode: str, position: int, stack: list[Any], findings: _Findings) -> None:
    if opcode in {"GLOBAL", "INST"}:
        # Read again: pickletools joins the two lines and interprets escapes, the unpickler does neither.
        here = file.tell()
        file.seek(position + 1)
        module, name = (file.readline().rstrip(b"\n").decode("utf-8", "backslashreplace") for _ in range(2))
        file.seek(here)
        findings.name(module, name)
    elif opcode == "STACK_GLOBAL":
        pair = stack[-2:]
        if len(pair) == 2 and all(isinstance(item, str) for item in pair):
            findings.name(pair[0], pair[1])
        else:
            findings.problem("its pickle computes the name of what it imports")
    else:
        findings.problem(f"its pickle imports by a registered number ({opcode})")


def _simulate(opcode: Any, argument: Any, stack: list[Any], memo: dict[int, Any]) -> None:
    """Do to the stack and the memo what the opcode does, texts and marks as themselves, all else as ``None``."""
    name = opcode.name
    if name in {"PUT", "BINPUT", "LONG_BINPUT"}:
        memo[argument] = stack[-1]
    elif name == "MEMOIZE":
        memo[len(memo)] = stack[-1]
    elif name in {"GET", "BINGET", "LONG_BINGET"}:
        stack.append(memo[argument])
    elif name == "DUP":
        stack.append(stack[-1])
    elif name == "MARK":
        stack.append(_MARK)
    elif name in _TEXT_OPCODES:
        stack.append(argument)
    elif name == "POP":
        stack.pop()
    else:
        before = list(opcode.stack_before)
        if pickletools.markobject in before:
            while stack.pop() is not _MARK:
                pass
            before = before[: before.index(pickletools.markobject)]
        for _ in before:
            stack.pop()
        stack.extend(None for _ in opcode.stack_after)
