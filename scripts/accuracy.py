#!/usr/bin/env python3
"""The accuracy of contract fp32, in PyTorch on a GPU: our kernels' errors over those of cuBLAS fp32, case by case.
With --tf32 that of callers who allow TF32: over those of cuBLAS with TF32 allowed.

A case is a kind of inputs, a size and a layout. Plain and preloaded processes compute the same products; each compares
with float64. Two errors are looked at: Frobenius (relative, of the whole) and component (the largest |err|/(|A||B|)).
A case fails where either is over twice cuBLAS's; the whole fails where a case does, or a geometric mean is over 1.
TF32 may err 1.05 times as much as cuBLAS's (Frobenius), its worst element 1.5 times as much.

    scripts/accuracy.py [--tf32] [--library PATH] [--kernel NAME,...] [--kinds ...] [--seeds N,...] [--out FILE.json]

A kernel's name forces it; "choice" is what the library does by itself, which leaves some products to cuBLAS.
"""

import argparse
import contextlib
import json
import math
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
CHOICE = "choice"  # the library's own
KERNELS = "sgemm_fp16x3_wgmma_256x128x64,sgemm_bf16x6_wgmma_256x128x64,sgemm_fused_wgmma_128x128x64," + CHOICE
KERNELS_TF32 = "sgemm_fp16x1_wgmma_256x128x64,sgemm_tf32_wgmma_256x128x32"
KINDS = (
    "normal uniform lognormal lognormal2 signed_lognormal cancelling graded graded_k subnormal near_overflow sparse"
).split()
KINDS_TF32 = KINDS + ["tiny", "one_hot"]
SIZES = [(1024, 768, 2**e) for e in range(5, 15)]
SIZES += [(301, 259, 1000), (512, 384, 65536), (256, 256, 524288), (2048, 4096, 8192)]
LAYOUTS = ("NN", "NT", "TN", "TT")  # row-major: T is stored transposed
LIMITS, MEANS = (2.0, 2.0), 1.0  # Frobenius, component
LIMITS_TF32, MEANS_TF32 = (1.05, 1.5), 1.01


# ---- inputs, the same in every process ------------------------------------------------------------------------------


def powers(torch, count, reach=60):
    return torch.exp2(torch.linspace(-reach, reach, count, device="cuda").round())


def inputs(torch, kind, m, n, k, seed):
    g = torch.Generator(device="cuda").manual_seed(seed * 7919 + KINDS_TF32.index(kind) * 101 + k % 9973)

    def normal(*shape):
        return torch.randn(*shape, generator=g, device="cuda")

    def uniform(*shape):
        return torch.rand(*shape, generator=g, device="cuda")

    if kind == "uniform":
        return uniform(m, k), uniform(k, n)
    if kind == "cancelling":  # A next to -A, B over almost the same B
        a, b = normal(m, k // 2), normal(k // 2, n)
        return torch.cat((a, -a), 1), torch.cat((b, b * (1 + 2**-10 * normal(k // 2, n))), 0)
    a, b = normal(m, k), normal(k, n)
    if kind in ("lognormal", "signed_lognormal", "lognormal2"):
        sign_a, sign_b = (a.sign(), b.sign()) if kind == "signed_lognormal" else (1, 1)
        sigma = 2 if kind == "lognormal2" else 4
        return torch.exp(sigma * normal(m, k)) * sign_a, torch.exp(sigma * normal(k, n)) * sign_b
    if kind == "graded":  # rows of A and columns of B
        return a / k * powers(torch, m)[:, None], b * powers(torch, n)
    if kind == "graded_k":  # columns of A and rows of B, against each other
        return a * powers(torch, k), b / powers(torch, k)[:, None]
    if kind == "subnormal":
        return a * 1e-39, b * 10
    if kind == "near_overflow":
        return 3.3e38 * (2 * uniform(m, k) - 1), b / (8 * math.sqrt(k))
    if kind == "sparse":  # most are zero, and the rest of many sizes
        return a * (uniform(m, k) < 0.1) * torch.exp2(-20 * uniform(m, k)), b
    if kind == "tiny":  # a few, that fp16 holds as zeros
        a *= torch.where(uniform(m, k) < 1e-4, 2.0**-45, 1.0)
    if kind == "one_hot":  # B picks single elements of such an A, where they decide
        a *= torch.where(uniform(m, k) < 1e-2, 2.0**-45, 1.0)
        b *= torch.arange(k, device="cuda")[:, None] == torch.arange(n, device="cuda") % k
    return a, b


# ---- one process ----------------------------------------------------------------------------------------------------


def errors(torch, c, exact, reach):
    err = (c.double() - exact).abs()
    if not bool(torch.isfinite(err).all()):
        return [math.inf, math.inf]
    scale = float(exact.abs().max()) or 1.0  # squares of the largest and the smallest numbers
    frobenius = float((err / scale).norm() / (exact / scale).norm())
    return [frobenius, float((err / reach.clamp_min(1e-300)).max())]


def worker(kinds, sizes, seeds, tf32):
    import torch

    torch.backends.cuda.matmul.allow_tf32 = tf32
    out = {}
    for kind in kinds:
        for m, n, k in sizes:
            for seed in seeds:
                a, b = inputs(torch, kind, m, n, k, seed)
                exact, reach = a.double() @ b.double(), a.double().abs() @ b.double().abs()
                for layout in LAYOUTS:
                    x = a.t().contiguous().t() if layout[0] == "T" else a.contiguous()
                    y = b.t().contiguous().t() if layout[1] == "T" else b.contiguous()
                    c = torch.mm(x, y, out=torch.full((m, n), math.nan, device="cuda"))
                    out[f"{kind} {m}x{n}x{k} {layout} {seed}"] = errors(torch, c, exact, reach)
    json.dump(out, sys.stdout)


# ---- the table ------------------------------------------------------------------------------------------------------


def start(arguments, environment):
    command = [sys.executable, os.path.abspath(__file__), "--worker"] + arguments
    return subprocess.Popen(command, env=dict(os.environ, **environment), stdout=subprocess.PIPE, text=True)


def answer(process):
    out = process.communicate()[0]
    if process.returncode:
        sys.exit(f"accuracy: a process ended with {process.returncode}")
    return json.loads(out)


def start_preloaded(library, kernel, arguments, log):
    precision = "caller" if "--tf32" in arguments else "fp32"
    forced = {} if kernel == CHOICE else {"FASTGEMM_PRECISION": precision, "FASTGEMM_KERNEL": kernel}
    return start(arguments, dict(forced, LD_PRELOAD=os.path.abspath(library), FASTGEMM_LOG="summary",
                                 FASTGEMM_LOG_FILE=log))


def answer_preloaded(process, kernel, log):
    """Every product on this kernel: one that was not intercepted would agree with cuBLAS's for nothing."""
    cases = answer(process)
    total = [line for line in log if " total " in line]
    routed = int(total[-1].split()[4]) if total else 0
    if routed < (1 if kernel == CHOICE else len(cases)):
        sys.exit(f"accuracy: not all of {len(cases)} products ran on {kernel}: {''.join(total).strip()}")
    print(f"{kernel}: {routed} of {len(cases)} products ran on our kernels")
    return cases


def ratio(ours, theirs):
    return ours / theirs if theirs else (1.0 if ours == 0 else math.inf)


def judge(name, ours, theirs, limits, most):
    logs, failed, worst = [[], []], [], {}
    for case, theirs_of in theirs.items():
        pair = [ratio(ours[case][i], theirs_of[i]) for i in range(2)]
        for i in range(2):
            logs[i].append(math.log(max(pair[i], 1e-3)))
        kind, size = case.split()[:2]
        old = worst.setdefault(kind, {}).setdefault(size, [0.0, 0.0])
        worst[kind][size] = [max(x, y) for x, y in zip(old, pair)]
        if pair[0] > limits[0] or pair[1] > limits[1]:
            failed.append((case, pair, ours[case], theirs_of))
    print(f"\n{name}: the worst layout and seed, ours over cuBLAS's: Frobenius / component")
    for kind, sizes in worst.items():
        print(f"  {kind}")
        for size, pair in sizes.items():
            over = pair[0] > limits[0] or pair[1] > limits[1]
            print(f"    {size:18} {pair[0]:6.3f} {pair[1]:6.3f} {'FAIL' if over else ''}")
    for case, pair, mine, other in failed:
        print(f"  over: {case}: {pair[0]:.2f} {pair[1]:.2f}; ours {mine[:2]}, cuBLAS {other[:2]}")
    means = [math.exp(sum(values) / len(values)) for values in logs]
    good = not failed and max(means) <= most
    print(f"{name}: {len(theirs)} cases, {len(failed)} over {limits[0]:g} or {limits[1]:g}; means {means[0]:.3f} {means[1]:.3f}: "
          f"{'PASS' if good else 'FAIL'}")
    return good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--library", dest="preloaded", default=os.path.join(HERE, "..", "build", "release", "libfastgemm.so"))
    parser.add_argument("--tf32", action="store_true")
    parser.add_argument("--kernel")
    parser.add_argument("--kinds")
    parser.add_argument("--sizes", default=",".join("x".join(map(str, s)) for s in SIZES))
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--out")
    parser.add_argument("--worker", action="store_true")
    given = parser.parse_args()
    given.kernel = given.kernel or (KERNELS_TF32 if given.tf32 else KERNELS)
    given.kinds = given.kinds or ",".join(KINDS_TF32 if given.tf32 else KINDS)
    kinds = given.kinds.split(",")
    if given.worker:
        return worker(kinds, [tuple(map(int, s.split("x"))) for s in given.sizes.split(",")],
                      [int(seed) for seed in given.seeds.split(",")], given.tf32)
    arguments = ["--kinds", given.kinds, "--sizes", given.sizes, "--seeds", given.seeds]
    arguments += ["--tf32"] if given.tf32 else []
    kernels = given.kernel.split(",")
    with contextlib.ExitStack() as stack:
        logs = {kernel: stack.enter_context(tempfile.NamedTemporaryFile("r")) for kernel in kernels}
        plain = start(arguments, {})
        workers = {name: start_preloaded(given.preloaded, name, arguments, logs[name].name) for name in kernels}
        theirs = answer(plain)
        ours = {name: answer_preloaded(workers[name], name, logs[name]) for name in kernels}
    limits, means = (LIMITS_TF32, MEANS_TF32) if given.tf32 else (LIMITS, MEANS)
    good = [judge(kernel, cases, theirs, limits, means) for kernel, cases in ours.items()]
    if given.out:
        with open(given.out, "w") as file:
            json.dump(dict(cublas=theirs, **ours), file)
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
