"""What a method file may not name: ways to run code, to reach files, frames and modules that it was not handed.

Each is refused in one line that says where. That keeps honest files honest and the plain attempts out; what gets hold of
a module by a detour (a list of modules, a class of a library) passes. It is left to the trace of what runs (eval/trace.py),
and the wall is the sandbox.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator

MODULES = {
    "numpy", "scipy", "sklearn", "torch", "transformers", "peft",
    "__future__", "abc", "bisect", "collections", "contextlib", "copy", "dataclasses", "enum", "functools", "heapq",
    "itertools", "math", "operator", "random", "re", "statistics", "string", "typing", "warnings",
}  # fmt: skip
CALLS = {"input", "breakpoint", "help", "exit", "quit"}
"""Built-ins that are refused where they are called; other things may bear such names."""
NAMES = {"eval", "exec", "compile", "open", "globals", "locals", "vars", "dir", "delattr", "memoryview"}
"""Built-ins that are refused wherever they are named, under another name or handed on, too."""
LOOKUPS = {"getattr", "hasattr", "setattr"}
"""Built-ins that are followed where they are called with a name that is written out, and refused elsewhere."""
PARTS = {
    "sklearn.datasets", "scipy.io", "scipy.datasets", "scipy.misc", "numpy.f2py", "numpy.testing", "numpy.distutils",
    "numpy.ctypeslib", "numpy.lib.format", "numpy.lib.npyio", "numpy.compat", "torch.hub", "torch.package",
    "torch.multiprocessing", "torch.distributed", "torch.utils.cpp_extension", "torch.utils.model_zoo",
    "torch.utils.file_baton", "torch.testing", "sklearn.externals", "transformers.utils.hub",
    "transformers.dynamic_module_utils", "transformers.pipeline", "transformers.agents", "transformers.tools", "transformers.pipelines", "torch.jit",
    "torch.fx", "torch.onnx", "torch.utils.bundled_inputs", "torch.serialization", "torch.utils.collect_env",
}  # fmt: skip
"""Parts of public libraries that read files or data sets, fetch, build or start something."""
OF_MODULES = {
    "load", "save", "loads", "savez", "savez_compressed", "savetxt", "loadtxt", "genfromtxt", "fromregex", "fromfile",
    "memmap", "DataSource", "open_memmap", "from_file", "load_library", "hub_download", "cached_file",
    "loadmat", "savemat", "load_npz", "save_npz", "get_type_hints", "ForwardRef", "make_dataclass", "singledispatch",
    "singledispatchmethod", "attrgetter", "methodcaller", "LowLevelCallable", "open_code", "compile",
    "Formatter", "test",
}  # fmt: skip
"""Members of modules that read or write files, evaluate strings, or fetch what is named by one."""
ANYWHERE = {
    "np", "numpy", "scipy", "sklearn", "torch", "transformers", "peft",
    "os", "sys", "bltns", "builtins", "ctypes", "inspect", "subprocess", "importlib", "socket", "shutil", "pathlib",
    "tempfile", "linecache", "pickle", "gc", "posix", "platform", "multiprocessing", "ctypeslib", "cpp_extension",
    "joblib", "threadpoolctl", "mmap", "load_library", "from_pretrained", "save_pretrained", "memmap", "tofile", "dump", "fromfile", "runstring",
    "setflags", "get_type_hints", "gi_frame", "gi_code", "cr_frame", "cr_code", "ag_frame", "ag_code", "tb_frame",
    "tb_next", "f_back", "f_globals", "f_locals", "f_builtins", "f_code", "get_field", "vformat",
}  # fmt: skip
"""Attributes that are refused of whatever it is: modules of modules, frames, and what writes files."""
DUNDERS = {"__init__", "__call__", "__name__"}
PUBLIC = {"_replace", "_asdict", "_fields", "_make"}
"""Of named tuples."""
OWN_DUNDERS = {
    "__getattr__", "__getattribute__", "__setattr__", "__prepare__", "__set_name__", "__reduce__", "__reduce_ex__",
    "__del__", "__instancecheck__", "__subclasscheck__", "__class_getitem__", "__init_subclass__",
}  # fmt: skip
"""Methods that no class of a method file has a use for: they turn names into data, or run when nobody looks."""
FORMATTED = re.compile(r"\{[^{}]*[.\[]\s*_|__")


def refused(tree: ast.Module, name: str) -> str | None:
    """What is refused first, where, and why; None for nothing."""
    found = _Refusals(tree)
    return next((f"{name}, line {line}: {words}" for line, words in sorted(found.all(), key=lambda one: one[0])), None)


class _Refusals:
    def __init__(self, tree: ast.Module):
        self.nodes = list(ast.walk(tree))
        self.called_names = {id(node.func) for node in self.nodes if isinstance(node, ast.Call)}
        self.remarks = {id(node.value) for node in self.nodes if isinstance(node, ast.Expr)}
        self.looked_into = {id(node.value) for node in self.nodes if isinstance(node, ast.Attribute)}
        self.own = {
            node.attr
            for node in self.nodes
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_self(node.value)
        }
        self.own |= {node.name for node in self.nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
        imported = {alias.name for node in self.nodes if isinstance(node, ast.Import) for alias in node.names}
        imported |= {one.split(".")[0] for one in imported}
        self.modules = {}  # name in the file -> what it stands for
        for node in self.nodes:
            if isinstance(node, ast.Import):
                self.modules |= {
                    alias.asname or alias.name.split(".")[0]: alias.name if alias.asname else alias.name.split(".")[0]
                    for alias in node.names
                }
            elif isinstance(node, ast.ImportFrom):
                self.modules |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        self.whole = {name for name, path in self.modules.items() if path in imported}
        given = [node for node in self.nodes if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)]
        for node in given:  # other names for the same
            if path := self.path(node.value):
                self.modules.setdefault(node.targets[0].id, path)

    def path(self, node: ast.expr) -> str | None:
        """`numpy.linalg` of what is written `np.linalg`; None of what begins with no import."""
        if isinstance(node, ast.Name):
            return self.modules.get(node.id)
        inner = self.path(node.value) if isinstance(node, ast.Attribute) else None
        return inner and f"{inner}.{node.attr}"

    def all(self) -> Iterator[tuple[int, str]]:
        for node in self.nodes:
            line = getattr(node, "lineno", 0)
            for words in self.of(node):
                yield line, words

    def of(self, node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from self.imported(alias.name)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield from self.imported(f"{node.module or '.' * node.level}.{alias.name}", node.module or "." * node.level)
        elif isinstance(node, ast.Name):
            if node.id.startswith("__"):
                yield f"uses {node.id}, which a method has no use for"
            elif node.id in NAMES and isinstance(node.ctx, ast.Load):
                yield f"names {node.id}, which a method has no use for"
            elif node.id in LOOKUPS and id(node) not in self.called_names:
                yield f"hands on {node.id}, which a method has no use for"
            elif node.id in self.whole and isinstance(node.ctx, ast.Load) and id(node) not in self.looked_into:
                yield f"hands on the module {self.modules[node.id]}: name what is needed of it"
        elif isinstance(node, ast.Call):
            yield from self.called(node)
        elif isinstance(node, ast.Attribute):
            to_array = node.attr == "numpy" and id(node) in self.called_names and not self.path(node)  # of a tensor
            yield from () if to_array else self.reached(node.attr, self.path(node), node.value)
            if not isinstance(node.ctx, ast.Load) and (path := self.path(node)):
                yield f"changes {path}, which does not belong to the method"
        elif isinstance(node, ast.ClassDef) and (
            node.keywords or any(isinstance(one, ast.Name) and one.id == "type" for one in node.bases)
        ):
            yield "makes classes of classes, which a method has no use for"
        elif isinstance(node, ast.MatchClass):
            if node.patterns:
                yield "matches a class by position, which a method has no use for"
            for attribute in node.kwd_attrs:
                yield from self.reached(attribute, None, node.cls)
        elif isinstance(node, ast.FunctionDef) and node.name in OWN_DUNDERS:
            yield f"defines {node.name}, which a method has no use for"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in self.remarks:
            if found := FORMATTED.search(node.value):
                yield f"holds {found[0]!r} in a text, which a method has no use for"

    def imported(self, path: str, module: str = "") -> Iterator[str]:
        module = module or path
        if module.split(".")[0] not in MODULES:
            ours = ", ".join(sorted(MODULES - set(sys.stdlib_module_names)))
            yield f"imports {module}; a method may import {ours} and plain standard modules"
        elif part := _part(path):
            yield f"imports {part}, which reaches for files or code; a method is handed its data and models"
        elif path.endswith(".*"):
            yield f"imports all of {module}: name what is needed"
        else:
            for step, attribute in enumerate(path.split(".")[1:], 1):
                yield from self.reached(attribute, ".".join(path.split(".")[: step + 1]), None)

    def called(self, node: ast.Call) -> Iterator[str]:
        called = node.func.id if isinstance(node.func, ast.Name) else ""
        if called in CALLS:
            yield f"calls {called}(), which a method has no use for"
        if called == "type" and len(node.args) != 1:
            yield "makes a class by type(), which a method has no use for"
        if called in LOOKUPS:
            what = node.args[1] if len(node.args) > 1 else None
            if not (isinstance(what, ast.Constant) and isinstance(what.value, str)):
                yield f"calls {called}() with a name that is put together: write it out"
            else:
                yield from self.reached(
                    what.value, f"{path}.{what.value}" if (path := self.path(node.args[0])) else None, node.args[0]
                )
                if called == "setattr" and path:
                    yield f"changes {path}, which does not belong to the method"
        if any(keyword.arg == "allow_pickle" for keyword in node.keywords):
            yield "asks for allow_pickle, which a method has no use for"

    def reached(self, attribute: str, path: str | None, of: ast.expr | None) -> Iterator[str]:
        """Why `attribute` of `of` may not be named; `path` where that is known to lie in a module."""
        private = attribute.startswith("_") and not attribute.startswith("__") and attribute not in PUBLIC
        if attribute.startswith("__") and attribute not in DUNDERS:
            yield f"reaches for {attribute}, which a method has no use for"
        elif path and (part := _part(path)):
            yield f"reaches for {part}, which reads files or runs code; a method is handed its data and models"
        elif (
            attribute in ANYWHERE
            or path
            and (attribute in OF_MODULES and path != "re.compile" or _is_module_of_module(path))
        ):
            yield f"reaches for {path or attribute}, which a method has no use for"
        elif private and (path or not (of is not None and _is_self(of)) and attribute not in self.own):
            yield f"reaches for {path or attribute}, which is private"


def _part(path: str) -> str | None:
    return next((part for part in PARTS if path == part or path.startswith(part + ".")), None)


def _is_module_of_module(path: str) -> bool:
    """Whether a standard module lies there that another one happens to hold, as in `enum.sys`; `copy.copy` is a function."""
    root, *steps = path.removeprefix("collections.abc").split(".")
    return root in sys.stdlib_module_names and any(step in sys.stdlib_module_names and step != root for step in steps)


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")
