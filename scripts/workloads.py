#!/usr/bin/env python3
"""fastgemm from end to end, in PyTorch and CuPy as they are: an example to run and to copy from.

Multiplies the four published workloads and one square, and trains a small GPT in fp32 for 50 steps, each in a plain
process and in one under the preload. Checks every result against float64, asserts from the library's own summary that
its kernels took the calls, and prints a table and one PASS or FAIL.

    scripts/workloads.py [--library PATH] [--steps N] [--out FILE.json]
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))

# Row-major, as PyTorch sees it: C[M, N] = op(A) . op(B), inner size K.
WORKLOADS = {
    "huge K": dict(m=256, n=256, k=524288, ta=False, tb=False),
    "transposed": dict(m=2048, n=4096, k=8192, ta=True, tb=True),
    "irregular": dict(m=8205, n=5921, k=2949, ta=False, tb=False),
    "outer product": dict(m=32768, n=32768, k=32, ta=False, tb=False),
    "square": dict(m=4096, n=4096, k=4096, ta=False, tb=False),
}
PUBLISHED = ("huge K", "transposed", "irregular", "outer product")
CUPY = dict(m=4097, n=2053, k=3001)
UNIT = 2.0**-24  # half a unit in the last place of fp32


# ---- float64 checks -------------------------------------------------------------------------------------------------


def gamma(n):
    return n * UNIT / (1 - n * UNIT)


def compare(xp, a, b, c, rows=4096):
    """Against float64, a few rows at a time: relative Frobenius error, worst |err| / bound, equality, largest sum."""
    b64, k = b.astype("float64") if xp else b.double(), b.shape[0]
    b_abs = abs(b64)
    wrong = whole = worst = largest = 0.0
    equal = True
    for at in range(0, a.shape[0], rows):
        a64 = a[at : at + rows].astype("float64") if xp else a[at : at + rows].double()
        ours = c[at : at + rows].astype("float64") if xp else c[at : at + rows].double()
        exact, reach = a64 @ b64, abs(a64) @ b_abs
        err = abs(ours - exact)
        wrong += float((err * err).sum())
        whole += float((exact * exact).sum())
        # Not a number is never within the bound; where the bound is 0 the result has to be 0.
        ratio = err / (gamma(k + 2) * reach).clip(1e-300)
        worst = max(worst, float(ratio.max()) if bool((ratio == ratio).all()) else float("inf"))
        largest = max(largest, float(reach.max()))
        equal = equal and bool((ours == exact).all())
    return dict(frobenius=(wrong / whole) ** 0.5, bound=worst, equal=equal, largest=largest)


# ---- the worker: one process, plain or preloaded, that takes orders as lines of JSON ----------------------------------


class Worker:
    def __init__(self):
        import torch

        self.torch = torch
        torch.backends.cuda.matmul.allow_tf32 = False
        self.calls = {}  # workload -> fp32 products asked for
        self.held = None

    def operands(self, name, kind):
        """The stored matrices and the views that are multiplied; the same in every process."""
        torch, w = self.torch, WORKLOADS[name]
        g = torch.Generator(device="cuda").manual_seed(hash_of(name + kind))
        shape_a = (w["k"], w["m"]) if w["ta"] else (w["m"], w["k"])
        shape_b = (w["n"], w["k"]) if w["tb"] else (w["k"], w["n"])
        if kind == "normal":
            a = torch.randn(shape_a, generator=g, device="cuda")
            b = torch.randn(shape_b, generator=g, device="cuda")
        else:
            # A: odd integers of 13 or 16 significant bits, which TF32 cannot hold; B: -1, 0, 1, thin enough along K
            # that no sum of magnitudes reaches 2^24.
            bits = 16 if w["k"] <= 128 else 13
            half = torch.randint(2 ** (bits - 2), 2 ** (bits - 1), shape_a, generator=g, device="cuda")
            sign = torch.randint(0, 2, shape_a, generator=g, device="cuda") * 2 - 1
            a = ((2 * half + 1) * sign).float()
            keep = torch.rand(shape_b, generator=g, device="cuda") < min(1.0, 1200 / w["k"])
            b = ((torch.randint(0, 2, shape_b, generator=g, device="cuda") * 2 - 1) * keep).float()
        return (a.t() if w["ta"] else a), (b.t() if w["tb"] else b)

    def multiply(self, name, a, b, out):
        self.torch.mm(a, b, out=out)
        self.calls[name] = self.calls.get(name, 0) + 1
        return out

    def fresh(self, name):
        w = WORKLOADS[name]
        return self.torch.full((w["m"], w["n"]), float("nan"), device="cuda")

    def check(self, name):
        torch, answer = self.torch, {}
        a, b = self.operands(name, "normal")
        c = self.multiply(name, a, b, self.fresh(name))
        again = self.multiply(name, a, b, self.fresh(name))
        answer["same_bits"] = bool(torch.equal(c, again))
        del again
        answer["normal"] = compare(None, a, b, c)
        a, b = self.operands(name, "integer")
        c = self.multiply(name, a, b, self.fresh(name))
        answer["integer"] = compare(None, a, b, c)
        return answer

    def check_tf32(self, name):
        """TF32 on the same integers: the check has to refuse it."""
        a, b = self.operands(name, "integer")
        self.torch.backends.cuda.matmul.allow_tf32 = True
        c = self.torch.mm(a, b)
        self.torch.backends.cuda.matmul.allow_tf32 = False
        return compare(None, a, b, c)

    def hold(self, name):
        a, b = self.operands(name, "normal")
        c = self.fresh(name)
        for _ in range(2):
            self.multiply(name, a, b, c)
        self.torch.cuda.synchronize()
        self.held = (name, a, b, c)

    def measure(self, calls):
        torch, (name, a, b, c) = self.torch, self.held
        times = []
        self.multiply(name, a, b, c)
        for _ in range(calls):
            start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record()
            self.multiply(name, a, b, c)
            end.record()
            times.append((start, end))
        torch.cuda.synchronize()
        return statistics.median(s.elapsed_time(e) for s, e in times)

    def drop(self):
        self.held = None
        self.torch.cuda.empty_cache()

    def train(self, precision, steps):
        return train(self.torch, precision, steps, "cuda")

    def device(self):
        return self.torch.cuda.get_device_name(), self.torch.__version__

    def counts(self):
        return self.calls


def hash_of(text):
    value = 0
    for letter in text:
        value = (value * 131 + ord(letter)) % (2**31)
    return value


def worker():
    # Lines of JSON go to the real standard output; whatever else prints, prints to standard error.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    it = Worker()
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        try:
            reply = dict(value=getattr(it, name)(*arguments))
        except Exception as error:  # told to the parent, which fails the run
            reply = dict(error=f"{name}: {type(error).__name__}: {error}")
        print(json.dumps(reply), file=replies, flush=True)


# ---- a small GPT ------------------------------------------------------------------------------------------------------

GPT = dict(vocabulary=5003, width=512, layers=4, heads=8, length=256, batch=16)


def train(torch, precision, steps, device, gpt=None):
    """The loss at each step. Weights and data come from one seed in float64 and are rounded to the precision asked."""
    g = dict(GPT, **(gpt or {}))
    dtype = torch.float64 if precision == "float64" else torch.float32
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    random = torch.Generator().manual_seed(20)
    width, heads, length, batch = g["width"], g["heads"], g["length"], g["batch"]
    functional = torch.nn.functional

    def weight(*shape, scale=0.02):
        made = torch.randn(*shape, generator=random, dtype=torch.float64) * scale
        return made.to(device=device, dtype=dtype).requires_grad_()

    token, position = weight(g["vocabulary"], width), weight(length, width)
    blocks = [
        dict(qkv=weight(3 * width, width), out=weight(width, width, scale=0.02 / (2 * g["layers"]) ** 0.5),
             up=weight(4 * width, width), down=weight(width, 4 * width, scale=0.02 / (2 * g["layers"]) ** 0.5))
        for _ in range(g["layers"])
    ]
    head = weight(g["vocabulary"], width)
    weights = [token, position, head] + [w for block in blocks for w in block.values()]
    mask = torch.full((length, length), float("-inf"), device=device, dtype=dtype).triu(1)

    def attention(x, block):
        q, k, v = (part.view(batch, length, heads, -1).transpose(1, 2)
                   for part in functional.linear(x, block["qkv"]).split(width, dim=2))
        scores = (q @ k.transpose(2, 3)) * (width // heads) ** -0.5 + mask
        mixed = (scores.softmax(dim=-1) @ v).transpose(1, 2).reshape(batch, length, width)
        return functional.linear(mixed, block["out"])

    def loss_of(tokens, targets):
        x = token[tokens] + position
        for block in blocks:
            x = x + attention(functional.layer_norm(x, (width,)), block)
            x = x + functional.linear(functional.gelu(functional.linear(functional.layer_norm(x, (width,)),
                                                                        block["up"])), block["down"])
        logits = functional.linear(functional.layer_norm(x, (width,)), head)
        return functional.cross_entropy(logits.view(-1, g["vocabulary"]), targets.reshape(-1))

    # Text with something to learn: the next token follows from the last by a fixed rule, three times in four.
    rule = torch.randperm(g["vocabulary"], generator=random)
    optimizer = torch.optim.AdamW(weights, lr=1e-9, betas=(0.9, 0.95), weight_decay=0.1, foreach=True)
    losses = []
    for step in range(steps):
        text = torch.randint(0, g["vocabulary"], (batch, length + 1), generator=random)
        follow = torch.rand(batch, length + 1, generator=random) < 0.75
        for at in range(1, length + 1):
            text[:, at] = torch.where(follow[:, at], rule[text[:, at - 1]], text[:, at])
        text = text.to(device)
        loss = loss_of(text[:, :-1], text[:, 1:])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        for group in optimizer.param_groups:
            group["lr"] = 3e-4 * min(1.0, (step + 1) / 10)
        optimizer.step()
        losses.append(loss.detach())
    return [float(loss) for loss in losses]


def loss_errors(reference, plain, ours):
    """Per step: error of the plain fp32 run, of ours, and what is allowed. The floor is one unit in the last place of
    an fp32 loss: below it, two losses cannot be told apart."""
    rows, worst = [], 0.0
    for exact, p, o in zip(reference, plain, ours):
        worst = max(worst, abs(p - exact))
        unit = 2.0 ** (int_log2(exact) - 23)
        rows.append(dict(plain=abs(p - exact), ours=abs(o - exact), strict=2 * worst, allowed=max(2 * worst, unit)))
    return rows


def int_log2(value):
    exponent = 0
    while 2.0 ** (exponent + 1) <= value:
        exponent += 1
    while 2.0**exponent > value:
        exponent -= 1
    return exponent


# ---- CuPy -------------------------------------------------------------------------------------------------------------


def cupy_worker():
    import cupy

    cupy.random.seed(7)
    a = cupy.random.standard_normal((CUPY["m"], CUPY["k"]), dtype="float32")
    b = cupy.random.standard_normal((CUPY["k"], CUPY["n"]), dtype="float32")
    c, again = cupy.matmul(a, b), cupy.matmul(a, b)
    answer = compare(cupy, a, b, c)
    answer["same_bits"] = bool((c == again).all())
    answer["version"] = cupy.__version__
    print(json.dumps(answer))


# ---- the parent -------------------------------------------------------------------------------------------------------


class Remote:
    """A worker at the other end of a pipe."""

    def __init__(self, command, environment):
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, bufsize=1)

    def send(self, *order):
        self.process.stdin.write(json.dumps(order) + "\n")

    def receive(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"workloads: a worker ended early, with status {self.process.wait()}")
        reply = json.loads(line)
        if "error" in reply:
            sys.exit(f"workloads: {reply['error']}")
        return reply["value"]

    def ask(self, *order):
        self.send(*order)
        return self.receive()

    def end(self):
        self.process.stdin.close()
        return self.process.wait()


def summary_rows(path):
    """The library's summary: calls, sizes (column-major), profile, where the calls went."""
    pattern = re.compile(r"(\d+) x (\S+) .*?\bm=(\d+) n=(\d+) k=(\d+)\b.*?\[(\w+)\] -> (.*)")
    rows = []
    with open(path) as log:
        for line in log:
            found = pattern.search(line)
            if found:
                calls, entry, m, n, k, profile, where = found.groups()
                rows.append(dict(calls=int(calls), entry=entry, m=int(m), n=int(n), k=int(k), profile=profile,
                                 where=where, served=not where.startswith("cuBLAS")))
    return rows


def rows_of(rows, w):
    """A row-major M x N product is a column-major N x M one."""
    return [r for r in rows if r["m"] == w["n"] and r["n"] == w["m"] and r["k"] == w["k"]]


class Verdict:
    def __init__(self):
        self.failures = []

    def expect(self, good, what):
        if not good:
            self.failures.append(what)


def check_workload(verdict, name, plain, ours):
    k = WORKLOADS[name]["k"]
    limit = max(k**0.5, 4) * UNIT
    verdict.expect(ours["same_bits"], f"{name}: two calls gave different bits")
    verdict.expect(ours["normal"]["bound"] <= 1, f"{name}: an element beyond the bound: {ours['normal']['bound']:.3g}")
    verdict.expect(ours["normal"]["frobenius"] <= limit,
                   f"{name}: relative Frobenius error {ours['normal']['frobenius']:.3g} > {limit:.3g}")
    verdict.expect(ours["normal"]["frobenius"] <= 2 * plain["normal"]["frobenius"],
                   f"{name}: error {ours['normal']['frobenius']:.3g} > 2 x cuBLAS's {plain['normal']['frobenius']:.3g}")
    verdict.expect(ours["integer"]["largest"] < 2**24, f"{name}: the integers' sums are too large for the check")
    verdict.expect(ours["integer"]["equal"], f"{name}: integers are not exact")


def print_table(results):
    print(f"{'profile':14} {'M x N x K':22} {'route':50} {'cuBLAS ms':>10} {'ours ms':>9} {'ratio':>6} "
          f"{'cuBLAS err':>10} {'our err':>10} {'err/bound':>10}  bits")
    for name, r in results.items():
        w = WORKLOADS[name]
        print(f"{name:14} {w['m']:>6} x {w['n']} x {w['k']:<8} {r['route'][:50]:50} {r['plain_ms']:10.4f} "
              f"{r['ours_ms']:9.4f} {r['plain_ms'] / r['ours_ms']:6.2f} {r['plain']['normal']['frobenius']:10.2e} "
              f"{r['ours']['normal']['frobenius']:10.2e} {r['ours']['normal']['bound']:10.2e}  "
              f"{'same' if r['ours']['same_bits'] else 'DIFFERENT'}")


def measure_pair(plain, ours, name):
    """ABBA, twice, in warm processes: the median of a block, the mean of the blocks."""
    for remote in (plain, ours):
        remote.send("hold", name)
    for remote in (plain, ours):
        remote.receive()
    flops = 2.0 * WORKLOADS[name]["m"] * WORKLOADS[name]["n"] * WORKLOADS[name]["k"]
    calls = max(5, min(100, int(0.15 / (flops / 4e13))))
    blocks = {plain: [], ours: []}
    for remote in (plain, ours, ours, plain) * 2:
        blocks[remote].append(remote.ask("measure", calls))
    for remote in (plain, ours):
        remote.ask("drop")
    return statistics.mean(blocks[plain]), statistics.mean(blocks[ours])


def run_training(verdict, plain, ours, steps):
    reference, fp32 = plain.ask("train", "float64", steps), plain.ask("train", "fp32", steps)
    tf32, served = plain.ask("train", "tf32", steps), ours.ask("train", "fp32", steps)
    rows = loss_errors(reference, fp32, served)
    beyond = [i for i, r in enumerate(rows) if not r["ours"] <= r["allowed"]]
    strict = sum(r["ours"] <= r["strict"] for r in rows)
    caught = sum(not r["ours"] <= r["allowed"] for r in loss_errors(reference, fp32, tf32))
    verdict.expect(len(served) == steps and not beyond, f"training: loss beyond twice the plain run's worst at {beyond}")
    verdict.expect(caught > 0, "training: TF32 would have passed, so the check shows nothing")
    print(f"GPT, {steps} steps in fp32: loss {reference[0]:.4f} -> {reference[-1]:.4f} (float64); worst distance from it: "
          f"plain {max(r['plain'] for r in rows):.2e}, ours {max(r['ours'] for r in rows):.2e}; within twice the plain "
          f"run's worst so far at {strict} steps, and with one fp32 unit of the loss as floor at {steps - len(beyond)}; "
          f"TF32 breaks it at {caught} steps")
    return dict(float64=reference, plain=fp32, ours=served, tf32=tf32)


def check_routes(verdict, rows, asked):
    verdict.expect(rows, "the library wrote no summary: nothing was intercepted")
    for name, calls in asked.items():
        mine = rows_of(rows, WORKLOADS[name])
        served = sum(r["calls"] for r in mine if r["served"])
        verdict.expect(served == calls, f"{name}: {served} of {calls} calls ran on our kernels: {mine}")
    failed = [r for r in rows if "refused" in r["where"] or "could not be had" in r["where"]]
    verdict.expect(not failed, f"calls that failed on our road: {failed}")
    shapes = [(w["n"], w["m"], w["k"]) for w in WORKLOADS.values()]
    gpt = [r for r in rows if (r["m"], r["n"], r["k"]) not in shapes]
    ours = sum(r["calls"] for r in gpt if r["served"])
    print(f"GPT's products: {ours} of {sum(r['calls'] for r in gpt)} calls ran on our kernels")
    for where in sorted({r["where"] for r in gpt if not r["served"]}):
        print(f"    {sum(r['calls'] for r in gpt if r['where'] == where):6} went to {where}")
    verdict.expect(ours > 0, "training: no call ran on our kernels")


def run_cupy(verdict, launch, folder):
    log = os.path.join(folder, "cupy.log")
    environment = dict(os.environ, FASTGEMM_LOG="summary", FASTGEMM_LOG_FILE=log)
    done = subprocess.run(launch + [sys.executable, __file__, "--cupy-worker"], env=environment, capture_output=True,
                          text=True)
    if done.returncode:
        verdict.expect(False, f"CuPy failed: {done.stderr.strip()[-400:]}")
        return None
    r = json.loads(done.stdout.splitlines()[-1])
    rows = rows_of(summary_rows(log), CUPY) if os.path.exists(log) else []
    served = sum(row["calls"] for row in rows if row["served"])
    print(f"CuPy {r['version']}: matmul {CUPY['m']} x {CUPY['n']} x {CUPY['k']}: {served} of 2 calls ran on our kernels "
          f"({', '.join(sorted({row['entry'] + ' -> ' + row['where'] for row in rows})) or 'none seen'}), error "
          f"{r['frobenius']:.2e}, err/bound {r['bound']:.2e}")
    verdict.expect(served == 2, "CuPy: its product did not run on our kernels")
    verdict.expect(r["bound"] <= 1 and r["frobenius"] <= CUPY["k"] ** 0.5 * UNIT and r["same_bits"],
                   f"CuPy: the result fails the checks: {r}")
    return r


def run_products(verdict, plain, ours):
    results = {}
    for name in WORKLOADS:
        # One at a time: each check fills the GPU.
        r = dict(plain=plain.ask("check", name), ours=ours.ask("check", name))
        tf32 = plain.ask("check_tf32", name)
        verdict.expect(not tf32["equal"], f"{name}: TF32 passed the integer check, so it shows nothing")
        r["plain_ms"], r["ours_ms"] = measure_pair(plain, ours, name)
        check_workload(verdict, name, r["plain"], r["ours"])
        results[name] = r
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", dest="preloaded", help="libfastgemm.so (default: as scripts/fastgemm finds it)")
    parser.add_argument("--steps", type=int, default=50, help="of training (default 50)")
    parser.add_argument("--out", help="write everything measured, as JSON")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--cupy-worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return worker()
    if options.cupy_worker:
        return cupy_worker()
    if options.preloaded:
        os.environ["FASTGEMM_LIBRARY"] = os.path.abspath(options.preloaded)
    started = time.time()
    verdict = Verdict()
    launch = [os.path.join(HERE, "fastgemm"), "run"]
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "torch.log")
        # Each worker is one process that lasts: they take turns on the GPU, so that both see the same clocks.
        plain = Remote([sys.executable, __file__, "--worker"], dict(os.environ, FASTGEMM="off"))
        ours = Remote(launch + [sys.executable, __file__, "--worker"],
                      dict(os.environ, FASTGEMM_LOG="summary", FASTGEMM_LOG_FILE=log))
        device, version = plain.ask("device")
        ours.ask("device")
        print(f"{device}, PyTorch {version}; times in ms, errors relative to float64 (Frobenius)", flush=True)
        results = run_products(verdict, plain, ours)
        losses = run_training(verdict, plain, ours, options.steps)
        asked = ours.ask("counts")
        for remote, what in ((plain, "plain"), (ours, "preloaded")):
            verdict.expect(remote.end() == 0, f"the {what} process did not end well")
        rows = summary_rows(log) if os.path.exists(log) else []
        for name, r in results.items():
            r["route"] = "; ".join(f"{x['profile']}: {x['where']}" for x in rows_of(rows, WORKLOADS[name])) or "none"
        check_routes(verdict, rows, asked)
        cupy = run_cupy(verdict, launch, folder)
    print_table(results)
    if options.out:
        with open(options.out, "w") as out:
            json.dump(dict(device=device, torch=version, products=results, training=losses, cupy=cupy, summary=rows,
                           failures=verdict.failures), out, indent=1)
    for failure in verdict.failures:
        print(f"failed: {failure}")
    print(f"{'FAIL' if verdict.failures else 'PASS'} in {time.time() - started:.0f} s")
    return 1 if verdict.failures else 0


if __name__ == "__main__":
    sys.exit(main())
