"""Builds the native part of the package where there is a C compiler; without one the package is pure Python.

The native part is the same as its Python double, only faster (docs/design.md), so no user needs a compiler.
`CICSC_NATIVE=0` leaves it out, and `CICSC_NATIVE=1` makes its absence an error.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODULE = "cicsc/history/_native"
FLAGS = ["-O3", "-std=c11", "-fPIC", "-fvisibility=hidden", "-shared", "-Wall", "-Wextra"]
ON_MACOS = ["-undefined", "dynamic_lookup"]  # the interpreter has the symbols


class NativeBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Compiles `native/` into one extension module beside the Python modules."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 (the interface has it)
        """Add the module to the wheel, or say why it is not in it."""
        wanted = os.environ.get("CICSC_NATIVE", "")
        if self.target_name != "wheel" or wanted == "0":
            return
        root = Path(self.root)
        built = root / "src" / (MODULE + sysconfig.get_config_var("EXT_SUFFIX"))
        failure = _compile(sorted((root / "native").glob("*.c")), built)
        if failure is None:
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
            build_data["artifacts"].append(f"/src/{MODULE}.*")
        elif wanted == "1":
            raise RuntimeError(f"cannot build the native part: {failure}")
        else:
            self.app.display_warning(f"the native part is left out, reading large files will be slower: {failure}")


def _compile(sources: list[Path], built: Path) -> str | None:
    """Compile sources into a shared module; return what is missing or wrong, if anything is."""
    built.unlink(missing_ok=True)  # an old one is not to stand for the sources that there are now
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    if shutil.which(compiler[0]) is None:
        return f"there is no C compiler {compiler[0]!r}"
    headers = sysconfig.get_path("include")
    if not Path(headers, "Python.h").exists():
        return f"there is no Python.h in {headers!r}"
    command = [
        *compiler,
        *FLAGS,
        *(ON_MACOS if sys.platform == "darwin" else []),
        f"-I{headers}",
        *map(str, sources),
        "-o",
        str(built),
    ]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    return None if made.returncode == 0 else made.stderr.strip()
