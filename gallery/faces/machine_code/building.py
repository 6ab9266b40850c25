"""Compiles a module's FUNCTIONS with numba, and gives them as one file of machine code that needs no numba.

python -m gallery.faces.machine_code.building MODULE > FILE

Each becomes a function of C that takes its arguments as one row of 64-bit words, in the order in which numba
flattens them. Of what numba's own runtime brings, the functions use the making and letting go of arrays
alone, which is added here; anything else that they might ask for is refused, so that loading never fails.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any

import numba
from llvmlite import binding
from numba.core.runtime import nrtdynmod

from gallery.faces.machine_code.loading import FAILED

Module = Any
"""llvmlite has no types."""

FROM_C = {"malloc", "free", "memset", "memcpy", "memmove"}

# An array's header: how often it is referred to, two pointers that stay empty, where its numbers are, and how
# many bytes they take. The numbers follow it, aligned.
ARRAYS = """
declare ptr @malloc(i64)
declare void @free(ptr)

define ptr @NRT_MemInfo_alloc_aligned(i64 %size, i32 %align) {
  %wide = zext i32 %align to i64
  %room = add i64 %wide, 40
  %all = add i64 %room, %size
  %header = call ptr @malloc(i64 %all)
  %nothing = icmp eq ptr %header, null
  br i1 %nothing, label %end, label %fill
fill:
  %start = ptrtoint ptr %header to i64
  %beyond = add i64 %start, %room
  %minus = sub i64 0, %wide
  %aligned = and i64 %beyond, %minus
  %data = inttoptr i64 %aligned to ptr
  call void @llvm.memset.p0.i64(ptr %header, i8 0, i64 40, i1 false)
  store i64 1, ptr %header
  %data_at = getelementptr i8, ptr %header, i64 24
  store ptr %data, ptr %data_at
  %size_at = getelementptr i8, ptr %header, i64 32
  store i64 %size, ptr %size_at
  br label %end
end:
  ret ptr %header
}

define void @NRT_MemInfo_call_dtor(ptr %header) {
  call void @free(ptr %header)
  ret void
}

define ptr @NRT_Allocate(i64 %size) {
  %room = call ptr @malloc(i64 %size)
  ret ptr %room
}

define void @NRT_Free(ptr %room) {
  call void @free(ptr %room)
  ret void
}

declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
"""


def build(functions: Mapping[str, tuple[Any, str]]) -> bytes:
    """An object file for the processor that numba compiles for."""
    header = nrtdynmod._meminfo_struct_type
    if [str(part) for part in header.elements[::4]] != ["i64", "i64"] or len(header.elements) != 5:
        raise NotImplementedError("this numba lays its arrays out otherwise")
    whole = binding.parse_assembly(ARRAYS)
    for name, (function, signature) in functions.items():
        # Divisions by zero don't happen; numba need not look.
        compiled: Any = numba.njit(signature, error_model="numpy")(function)
        (made,) = compiled.overloads.values()
        module = binding.parse_assembly(made.library.get_llvm_str())
        inner = made.fndesc.llvm_func_name
        entry = _entry(name, inner, [str(each.type) for each in module.get_function(inner).arguments])
        whole.link_in(module)
        whole.link_in(binding.parse_assembly(entry))
    machine = _machine()
    _strip(whole, set(functions), machine)
    asked = {each.name for each in whole.functions if each.is_declaration}
    foreign = {name for name in asked - FROM_C if not name.startswith("llvm.")}
    foreign |= {each.name for each in whole.global_variables if each.is_declaration}
    if foreign:
        raise NotImplementedError(f"needs of numba's runtime {', '.join(sorted(foreign))}")
    return bytes(machine.emit_object(whole))


def _entry(name: str, inner: str, kinds: list[str]) -> str:
    """What is called: hands the words on, and gives the result, or FAILED."""
    given = [f"{kind} %a{i}" for i, kind in enumerate(kinds)]
    # The first two are where numba puts a function's result, and what it raises.
    given[:2] = ["ptr %result", "ptr %raised"]
    lines = [
        f'declare i32 @"{inner}"({", ".join(kinds)})',
        f"define i64 @{name}(ptr %words) {{",
        "  %result = alloca i64",
        "  store i64 0, ptr %result",
        "  %raised = alloca ptr",
        "  store ptr null, ptr %raised",
    ]
    for i, kind in enumerate(kinds[2:]):
        lines.append(f"  %p{i + 2} = getelementptr i64, ptr %words, i64 {i}")
        lines.append(f"  %a{i + 2} = load {kind}, ptr %p{i + 2}")
    lines += [
        f'  %status = call i32 @"{inner}"({", ".join(given)})',
        "  %found = load i64, ptr %result",
        "  %well = icmp eq i32 %status, 0",
        f"  %told = select i1 %well, i64 %found, i64 {FAILED}",
        "  ret i64 %told",
        "}",
    ]
    return "\n".join(lines)


def _machine() -> Any:
    """As numba has it for code that runs where it was made."""
    target = binding.Target.from_triple(binding.get_process_triple())
    reloc = "static" if target.name.startswith("x86") else "default"
    from gallery.faces.machine_code.processor import processor

    name, features = processor()
    return target.create_target_machine(
        cpu=name, features=features, opt=3, reloc=reloc, codemodel="jitdefault", jit=True
    )


def _strip(whole: Module, names: set[str], machine: Any) -> None:
    """Takes out all that the functions of these names don't need, such as what Python would call them by."""
    for each in [*whole.functions, *whole.global_variables]:
        if not each.is_declaration and each.name not in names:
            each.linkage = "internal"
    builder = binding.create_pass_builder(machine, binding.create_pipeline_tuning_options())
    passes = binding.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.add_strip_dead_prototype_pass()
    passes.run(whole, builder)


def main() -> None:
    """Writes the machine code to stdout."""
    functions = importlib.import_module(sys.argv[1]).FUNCTIONS
    sys.stdout.buffer.write(build(functions))


if __name__ == "__main__":
    main()
