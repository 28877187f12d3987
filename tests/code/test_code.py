#!/usr/bin/env python3
"""Holds every kernel's compiled code to its row of code_limits.txt.

usage: test_code.py LIST_KERNELS LIMITS LIBRARY     (LIST_KERNELS: the program that prints the list)
       test_code.py --print LIST_KERNELS LIBRARY    (what the code has now, in the form of the limits)

For each kernel and architecture: no local memory (spills), the intended CTAs per SM by registers, shared memory and
threads, at most the chip's shared memory a CTA (99 KB on sm_89), of the main loop the share of FFMAs, or of tensor core
instructions, at least and its register-bank conflicts
at most as the row says. sm_89 must be as good as sm_90, within SLACK.
"""

import re
import subprocess
import sys

import cubin

RESERVED_SHARED = 1024  # that the system takes of each CTA
LIMITS = {80: (164, 2048), 89: (100, 1536), 90: (228, 2048)}  # KB of shared memory and threads per SM
CHECKED = (89, 90)
REGISTERS = 65536
SLACK = 0.05


def listed(program):
    """kernel -> (oldest architecture, threads, CTAs per SM, shared bytes)"""
    rows = subprocess.run([program], check=True, capture_output=True, text=True).stdout.split("\n")
    return {name: tuple(map(int, rest)) for name, *rest in (row.split() for row in rows if row)}


def resident_ctas(kernel, threads, shared, arch):
    warps = -(-threads // 32)
    by_registers = REGISTERS // (-(-kernel.registers * 32 // 256) * 256 * warps)
    kilobytes, most_threads = LIMITS[arch]
    return min(by_registers, kilobytes * 1024 // (shared + RESERVED_SHARED), most_threads // threads)


def variant_of(name):
    """Without the loaders, where a kernel is named by them."""
    return re.sub(r"_[vst]{2}$", "", name)


def faults_of(kernel, intended, row, arch):
    _, threads, ctas, shared = intended
    min_share, max_conflicts = row
    if kernel.local_memory():
        yield f"{kernel.local_memory()} local memory instructions (spills)"
    most = LIMITS[arch][0] * 1024 - RESERVED_SHARED
    if shared > most:
        yield f"{shared} bytes of shared memory, at most {most} fit"
    resident = resident_ctas(kernel, threads, shared, arch)
    if resident < ctas:
        yield f"{resident} CTAs share an SM ({kernel.registers} registers), {ctas} are intended"
    if kernel.math_share() < min_share:
        yield f"math share {kernel.math_share():.3f} of the main loop, the limit is {min_share}"
    if kernel.bank_conflicts() > max_conflicts:
        yield f"register-bank conflicts in {kernel.bank_conflicts():.3f} of the FFMAs, the limit is {max_conflicts}"


def read_limits(path):
    """(variant, arch) -> (least math share, most bank conflicts)"""
    rows = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            fields = line.split("#")[0].split()
            if fields and fields[1] != "shared":
                variant, arch, share, conflicts = fields
                rows[variant, int(arch)] = (float(share), float(conflicts))
    return rows


def read_code(library):
    """architecture -> kernels, of those that have rows"""
    code = cubin.kernels(library)
    return {arch: code[arch] for arch in CHECKED}


def print_limits(kernels, code):
    print("# variant arch: least share of math instructions and most bank conflicts of the main loop, over all its loaders")
    for variant in dict.fromkeys(map(variant_of, kernels)):
        for arch in sorted(code):
            mine = [code[arch][name] for name in kernels if variant_of(name) == variant and kernels[name][0] <= arch]
            if not mine:
                continue
            share, conflicts = min(k.math_share() for k in mine), max(k.bank_conflicts() for k in mine)
            print(f"{variant} {arch} {int(share * 100) / 100:.2f} {-int(-conflicts * 100 - 1) / 100:.2f}")


def as_good_as_sm_90(kernels, code):
    """sm_89's main loop beside sm_90's: the worse share of each variant."""
    for name in kernels:
        share_89, share_90 = code[89][name].math_share(), code[90][name].math_share()
        if code[90][name].on_tensor_cores():
            continue  # rounding to TF32 is one instruction more there
        if share_89 < share_90 - SLACK:
            yield f"{name}: math share {share_89:.3f} on sm_89, {share_90:.3f} on sm_90"


def check(kernels, limits, code):
    failures = []
    for arch, compiled in sorted(code.items()):
        for name, intended in kernels.items():
            if intended[0] > arch:
                continue
            row = limits.get((variant_of(name), arch))
            if name not in compiled or row is None:
                failures.append(f"sm_{arch} {name}: " + ("has no row in the limits" if row is None else "not compiled"))
                continue
            failures += [f"sm_{arch} {name}: {fault}" for fault in faults_of(compiled[name], intended, row, arch)]
    if not failures and 89 in code and 90 in code:
        failures += as_good_as_sm_90(kernels, code)
    return failures


def main():
    arguments = sys.argv[1:]
    if arguments and arguments[0] == "--print":
        print_limits(listed(arguments[1]), read_code(arguments[2]))
        return 0
    kernels, limits, code = listed(arguments[0]), read_limits(arguments[1]), read_code(arguments[2])
    failures = check(kernels, limits, code)
    print("\n".join(failures))
    print(f"{len(kernels)} kernels on {len(code)} architectures: {len(failures)} faults")
    return bool(failures) or not kernels


if __name__ == "__main__":
    sys.exit(main())
