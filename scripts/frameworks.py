#!/usr/bin/env python3
"""fastgemm under the frameworks as they are: PyTorch, CuPy, JAX, and data-parallel training on several GPUs.

Each runs a list of cases in a plain process, in a preloaded one, and in a preloaded one that logs every call. Results
are compared with float64: single products per element, and every case against the plain run's own error. The log says
how many products were seen and how many ran on our kernels, which has to be what the case expects.

For the times there are two plain processes and two preloaded ones, which take turns. What two of a kind differ by is
what two processes differ by that do the same; the ratio of the kinds is known no better than that. A case is slower
when the ratio lies below 1 by more than 1.5 % and by more than that spread, also when measured four times as long, and
again in fresh processes. Both stand in the line. One line a framework at the end, and one PASS or FAIL; also of a run
that is cut (by `timeout`, say), which fails.

    scripts/frameworks.py [--library PATH] [--only pytorch,cupy,jax,ddp] [--case NAME]... [--no-time | --no-check]
                          [--out FILE.json] [--gloo]
"""

import argparse
import importlib.util
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
UNIT = 2.0**-24  # half a unit in the last place of fp32
SLOWER = 0.015  # a ratio further below 1 is not noise, unless processes that do the same differ by more
ALL, SOME, NONE, ANY = "all", "some", "none", "any"  # of the products that were seen, how many ran on our kernels


# ---- float64 ----------------------------------------------------------------------------------------------------------


def gamma(n):
    return n * UNIT / (1 - n * UNIT)


class Case:
    """`run` gives the results; `exact` the same in float64. `seen`: how many fp32 products the library sees in one run
    (None: at least one; ANY: none is fine), `ours`: how many of them run on its kernels. `captured`: what counts are the
    first runs, since later ones only replay a graph."""

    def __init__(self, name, run, exact, seen=1, ours=ALL, product=None, timed=True, same_bits=False,
                 captured=False):
        self.name, self.run, self.exact, self.seen, self.ours = name, run, exact, seen, ours
        self.product, self.timed, self.same_bits, self.captured = product, timed, same_bits, captured


def as_tuple(x):
    return x if isinstance(x, (tuple, list)) else (x,)


# ---- PyTorch ----------------------------------------------------------------------------------------------------------


class PyTorch:
    def __init__(self):
        import torch

        self.torch, self.version = torch, "PyTorch " + torch.__version__
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.preferred_linalg_library("cusolver")
        self.device = torch.cuda.get_device_name()

    def wait(self):
        self.torch.cuda.synchronize()

    def random(self, *shape, seed=1):
        g = self.torch.Generator(device="cuda").manual_seed(seed + 7919 * sum(shape))
        return self.torch.randn(shape, generator=g, device="cuda")

    def float64(self, x):
        return x.detach().double()

    def norm(self, x):
        return float(self.torch.linalg.vector_norm(x.detach()))

    def bits(self, x):
        return x.detach().contiguous().view(self.torch.uint8).cpu().numpy().tobytes()

    def cases(self):
        torch, r, f = self.torch, self.random, self.torch.nn.functional
        double = lambda *xs: [x.detach().double() for x in xs]  # noqa: E731

        def product(name, a, b, **more):
            return Case(name, lambda: a @ b, lambda: a.double() @ b.double(), product=(a, b), **more)

        yield product("mm", r(4096, 4096), r(4096, 4096, seed=2))
        yield product("mm, both transposed", r(8192, 2048).t(), r(4096, 8192).t())
        yield product("mm, irregular", r(4101, 2049), r(2049, 3001))
        yield product("mm, huge K", r(256, 131072), r(131072, 256))
        yield product("mm, small K", r(16384, 32), r(32, 16384))
        yield product("mm, small", r(64, 64), r(64, 64, seed=2), ours=NONE)
        a, b, c = r(4096, 4096), r(4096, 4096, seed=2), r(4096, 4096, seed=3)
        yield Case("addmm", lambda: torch.addmm(c, a, b, beta=0.5, alpha=2.0),
                   lambda: torch.addmm(*double(c, a, b), beta=0.5, alpha=2.0))
        x, w, bias = r(8192, 1024), r(4096, 1024), r(4096)
        yield Case("addmm, 1-D bias", lambda: torch.addmm(bias, x, w.t()), lambda: torch.addmm(*double(bias, x, w.t())))

        def linear(x, w, bias):
            def run():
                leaves = [t.detach().clone().requires_grad_() for t in (x, w, bias) if t is not None]
                y = f.linear(*leaves)
                y.backward(y.detach() / 64)
                return [y] + [leaf.grad for leaf in leaves]

            return run

        def linear64(x, w, bias):
            return linear(*[None if t is None else t.double() for t in (x, w, bias)])

        yield Case("Linear, forward and backward", linear(x, w, None), linear64(x, w, None), seen=3)
        yield Case("Linear with bias, forward and backward", linear(x, w, bias), linear64(x, w, bias), seen=3)
        p, q = r(64, 512, 512), r(64, 512, 512, seed=2)
        yield product("bmm", p, q)
        yield product("bmm, transposed", p.transpose(1, 2), q.transpose(1, 2))
        query, key, value = (r(8, 12, 1024, 64, seed=s) for s in (1, 2, 3))

        def attention(*qkv):
            from torch.nn.attention import SDPBackend, sdpa_kernel

            with sdpa_kernel(SDPBackend.MATH):
                return f.scaled_dot_product_attention(*qkv)

        yield Case("attention, math", lambda: attention(query, key, value),
                   lambda: attention(*double(query, key, value)), seen=2, ours=ANY)
        m, n = r(2048, 1024), r(1024, 3072)
        yield Case("einsum", lambda: torch.einsum("ik,kj->ij", m, n), lambda: m.double() @ n.double(), product=(m, n),
                   ours=ANY)
        yield Case("einsum, batched", lambda: torch.einsum("bik,bjk->bij", p, q),
                   lambda: p.double() @ q.double().transpose(1, 2))

        def autocast():
            with torch.autocast("cuda", dtype=torch.bfloat16):
                return a @ b

        yield Case("autocast bf16", autocast, lambda: a.double() @ b.double(), ours=NONE, same_bits=True)
        w1, w2 = r(2048, 1024) / 32, r(1024, 2048) / 45

        def mlp(x, w1, w2):
            return f.linear(f.gelu(f.linear(x, w1)), w2)

        yield Case("CUDA graph", self.graphed(lambda: mlp(x, w1, w2)), lambda: mlp(*double(x, w1, w2)), seen=None,
                   captured=True)
        if os.environ.get("FRAMEWORKS_COMPILE", "1") != "0":
            compiled, reduced = torch.compile(mlp), torch.compile(mlp, mode="reduce-overhead")
            yield Case("compile", lambda: compiled(x, w1, w2), lambda: mlp(*double(x, w1, w2)), seen=2)

            def overhead():
                torch.compiler.cudagraph_mark_step_begin()
                return reduced(x, w1, w2).clone()

            yield Case("compile, reduce-overhead", overhead, lambda: mlp(*double(x, w1, w2)), seen=None,
                       captured=True)
        image, weights = r(16, 128, 56, 56), r(128, 128, 3, 3) / 34
        yield Case("cuDNN, convolution", lambda: f.conv2d(image, weights, padding=1),
                   lambda: f.conv2d(*double(image, weights), padding=1), seen=ANY, ours=ANY)
        torch.manual_seed(3)
        cells, words = torch.nn.LSTM(1024, 1024).cuda(), r(32, 64, 1024)
        cells64 = torch.nn.LSTM(1024, 1024, dtype=torch.float64).cuda()
        cells64.load_state_dict(cells.state_dict())

        def recurrent(cells, words):
            with torch.no_grad():
                return cells(words)[0]

        yield Case("cuDNN, LSTM", lambda: recurrent(cells, words), lambda: recurrent(cells64, words.double()), seen=ANY,
                   ours=ANY)
        spd = r(2048, 2048)
        spd = spd @ spd.t() / 2048 + torch.eye(2048, device="cuda")
        yield Case("cuSOLVER, Cholesky", lambda: torch.linalg.cholesky(spd), lambda: torch.linalg.cholesky(spd.double()),
                   seen=ANY, ours=ANY)
        general, right = r(2048, 2048), r(2048, 64)
        yield Case("cuSOLVER, LU", lambda: general @ torch.linalg.solve(general, right), lambda: right.double(),
                   seen=None, ours=ANY)

    def graphed(self, run):
        """Captured at the first call, as the products' first, and replayed; a replay has to give the same bits."""
        state = {}

        def replay():
            torch = self.torch
            if not state:
                side = torch.cuda.Stream()
                side.wait_stream(torch.cuda.current_stream())
                with torch.cuda.stream(side):
                    run()
                torch.cuda.current_stream().wait_stream(side)
                state["graph"] = torch.cuda.CUDAGraph()
                with torch.cuda.graph(state["graph"]):
                    state["out"] = run()
                state["graph"].replay()
                torch.cuda.synchronize()
                state["first"] = state["out"].clone()
            state["out"].fill_(float("nan"))
            state["graph"].replay()
            assert torch.equal(state["out"], state["first"]), "a replay gave other bits"
            return state["out"]

        return replay


# ---- CuPy -------------------------------------------------------------------------------------------------------------


class CuPy:
    def __init__(self):
        import cupy

        self.cupy, self.version = cupy, "CuPy " + cupy.__version__
        self.device = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()

    def wait(self):
        self.cupy.cuda.Device().synchronize()

    def random(self, *shape, seed=1):
        return self.cupy.random.RandomState(seed + 7919 * sum(shape)).standard_normal(shape, dtype="float32")

    def float64(self, x):
        return x.astype("float64")

    def norm(self, x):
        return float(self.cupy.linalg.norm(x.ravel()))

    def bits(self, x):
        return self.cupy.ascontiguousarray(x).get().tobytes()

    def cases(self):
        cupy, r = self.cupy, self.random

        def product(name, a, b, run=cupy.matmul, **more):
            return Case(name, lambda: run(a, b), lambda: cupy.matmul(a.astype("float64"), b.astype("float64")),
                        product=(a, b), **more)

        yield product("matmul", r(4096, 4096), r(4096, 4096, seed=2))
        yield product("matmul, irregular", r(4097, 3001), r(3001, 2053))
        yield product("matmul, transposed", r(8192, 2048).T, r(4096, 8192).T)
        yield product("matmul, batched", r(64, 512, 512), r(64, 512, 512, seed=2))
        yield product("dot", r(4096, 4096), r(4096, 4096, seed=2), run=cupy.dot)
        yield product("dot, small", r(64, 64), r(64, 64, seed=2), run=cupy.dot, ours=NONE)
        spd = r(2048, 2048)
        spd = spd @ spd.T / 2048 + cupy.eye(2048, dtype="float32")
        yield Case("cuSOLVER, Cholesky", lambda: cupy.linalg.cholesky(spd),
                   lambda: cupy.linalg.cholesky(spd.astype("float64")), seen=ANY, ours=ANY)
        general, right = r(2048, 2048), r(2048, 64)
        yield Case("cuSOLVER, LU", lambda: cupy.matmul(general, cupy.linalg.solve(general, right)),
                   lambda: right.astype("float64"), seen=None, ours=ANY, timed=False)


# ---- JAX --------------------------------------------------------------------------------------------------------------


class Jax:
    def __init__(self):
        os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
        import jax

        jax.config.update("jax_enable_x64", True)
        jax.config.update("jax_default_matmul_precision", "highest")
        self.jax, self.version = jax, "JAX " + jax.__version__
        self.device = jax.devices()[0].device_kind
        self.last = ()

    def wait(self):
        for x in self.last:
            x.block_until_ready()

    def random(self, *shape, seed=1):
        jax = self.jax
        return jax.random.normal(jax.random.PRNGKey(seed + 7919 * sum(shape)), shape, dtype="float32")

    def float64(self, x):
        return x.astype("float64")

    def norm(self, x):
        return float(self.jax.numpy.linalg.norm(x.ravel()))

    def bits(self, x):
        import numpy

        return numpy.asarray(x).tobytes()

    def cases(self):
        jax, r = self.jax, self.random
        jnp = jax.numpy

        def case(name, run, *operands, **more):
            compiled = jax.jit(run)

            def call():
                self.last = as_tuple(compiled(*operands))
                return self.last

            # XLA makes graphs of its own (command buffers) of what it runs, and tries cuBLAS's algorithms before, of
            # which some are for sizes that are cuBLAS's.
            more = dict(dict(seen=None, ours=SOME, captured=True), **more)
            return Case(name, call, lambda: as_tuple(run(*[x.astype("float64") for x in operands])), **more)

        a, b = r(4096, 4096), r(4096, 4096, seed=2)
        yield case("matmul", jnp.matmul, a, b, product=(a, b))
        x, w, bias = r(8192, 1024), r(1024, 4096), r(4096)
        yield case("matmul, bias, relu", lambda x, w, bias: jax.nn.relu(x @ w + bias), x, w, bias)
        yield case("matmul, irregular", jnp.matmul, r(4097, 3001), r(3001, 2053))

        def loss(w1, w2, x):
            return jnp.mean(jnp.square(jax.nn.gelu(x @ w1) @ w2))

        yield case("grad", jax.grad(loss, argnums=(0, 1)), w / 32, r(4096, 1024) / 64, x)
        yield case("vmap", jax.vmap(jnp.matmul), r(64, 512, 512), r(64, 512, 512, seed=2))
        yield case("command buffer", lambda x, w1, w2: jax.nn.gelu(x @ w1) @ w2, x, w / 32, r(4096, 1024) / 64)
        spd = r(2048, 2048)
        spd = spd @ spd.T / 2048 + jnp.eye(2048, dtype="float32")
        yield case("cuSOLVER, Cholesky", jnp.linalg.cholesky, spd, seen=ANY, ours=ANY)


FRAMEWORKS = {"pytorch": PyTorch, "cupy": CuPy, "jax": Jax}


# ---- a worker: one framework in one process, which takes orders as lines of JSON ----------------------------------------


class Worker:
    def __init__(self, framework, wanted):
        self.of = FRAMEWORKS[framework]()
        self.list = {case.name: case for case in self.of.cases() if not wanted or case.name in wanted}
        self.calls = {}
        self.of.wait()

    def describe(self):
        return dict(version=self.of.version, device=self.of.device,
                    cases=[dict(name=c.name, seen=c.seen, ours=c.ours, timed=c.timed, same_bits=c.same_bits)
                           for c in self.list.values()])

    def log_size(self):
        path = os.environ.get("FASTGEMM_LOG_FILE")
        return os.path.getsize(path) if path and os.path.exists(path) else 0

    def check(self, name):
        """Error against float64, the bits, and where the log stood when one run began."""
        case, of = self.list[name], self.of
        first = self.log_size()
        for _ in range(3):  # compiles, captures, loads
            case.run()
        of.wait()
        began = first if case.captured else self.log_size()
        results = as_tuple(case.run())
        of.wait()
        ended = self.log_size()
        import hashlib

        digest = hashlib.sha256(b"".join(of.bits(x) for x in results)).hexdigest()
        exact = as_tuple(case.exact())
        wrong = max(of.norm(of.float64(x) - e) / of.norm(e) for x, e in zip(results, exact))
        answer = dict(error=wrong, bits=digest, log=[began, ended])
        if case.product and case.ours != NONE:
            a, b = (of.float64(x) for x in case.product)
            limit = gamma(a.shape[-1] + 2) * (abs(a) @ abs(b))
            answer["bound"] = float((abs(of.float64(results[0]) - exact[0]) / limit).max())
        return answer

    def measure(self, name, seconds):
        case = self.list[name]
        if name not in self.calls:
            for _ in range(2):
                case.run()
            self.of.wait()
            start = time.perf_counter()
            for _ in range(3):
                case.run()
            self.of.wait()
            self.calls[name] = max(3, min(200, int(seconds / ((time.perf_counter() - start) / 3))))
        case.run()  # the GPU has been another process's
        self.of.wait()
        start = time.perf_counter()
        for _ in range(self.calls[name]):
            case.run()
        self.of.wait()
        return (time.perf_counter() - start) / self.calls[name] * 1e3


def worker(framework, wanted):
    # Lines of JSON go to the real standard output; whatever else prints, prints to standard error.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    it = None
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        try:
            it = it or Worker(framework, wanted)
            reply = dict(value=getattr(it, name)(*arguments))
        except ImportError as error:
            reply = dict(missing=str(error))
        except Exception as error:  # told to the parent, which fails the case
            reply = dict(error=f"{name} {arguments}: {type(error).__name__}: {str(error)[:400]}")
        print(json.dumps(reply), file=replies, flush=True)


# ---- the parent -------------------------------------------------------------------------------------------------------


class Failed(Exception):
    pass


class Missing(Exception):
    pass


class Remote:
    """A worker at the other end of a pipe."""

    def __init__(self, launch, arguments, environment):
        self.process = subprocess.Popen(launch + [sys.executable, os.path.abspath(__file__)] + arguments,
                                        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        bufsize=1)

    def send(self, *order):
        self.process.stdin.write(json.dumps(order) + "\n")

    def receive(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"a process ended early, with status {self.process.wait()}")
        reply = json.loads(line)
        if "missing" in reply:
            raise Missing(reply["missing"])
        if "error" in reply:
            raise Failed(reply["error"])
        return reply["value"]

    def ask(self, *order):
        self.send(*order)
        return self.receive()

    def end(self):
        self.process.stdin.close()
        return self.process.wait()


LINE = re.compile(r"fastgemm: (cublas\w+) .* \[\w+\] -> (.*)")


def calls_in(path, began, ended):
    """The products of a part of the log: how many on our kernels, and where the others went. A capture's are the same."""
    with open(path) as log:
        log.seek(began)
        found = [m.group(2) for m in map(LINE.match, log.read(ended - began).splitlines()) if m]
    theirs = [where for where in found if where.startswith("cuBLAS")]
    return dict(seen=len(found), ours=len(found) - len(theirs), theirs=sorted(set(theirs)), routes=sorted(set(found)))


def judge(case, plain, ours, logged, calls):
    wrong = []
    if case["seen"] is None:
        if not calls["seen"]:
            wrong.append("no product was seen")
    elif case["seen"] != ANY and calls["seen"] != case["seen"]:
        wrong.append(f"{calls['seen']} products were seen, not {case['seen']}")
    if case["ours"] == ALL and calls["ours"] != calls["seen"]:
        wrong.append(f"{calls['ours']} of {calls['seen']} ran on our kernels: {calls['theirs']}")
    if case["ours"] == SOME and not calls["ours"]:
        wrong.append(f"none of {calls['seen']} ran on our kernels: {calls['theirs']}")
    if case["ours"] == NONE and calls["ours"]:
        wrong.append(f"{calls['ours']} ran on our kernels, and none should")
    for r in (ours, logged):
        if not r["error"] <= max(2 * plain["error"], UNIT):
            wrong.append(f"error {r['error']:.3g}, plain {plain['error']:.3g}")
        if not r.get("bound", 0) <= 1:
            wrong.append(f"an element beyond the bound: {r['bound']:.3g}")
    if case["ours"] == ALL and ours["bits"] != logged["bits"]:
        wrong.append("two processes gave different bits")
    if case["same_bits"] and plain["bits"] != ours["bits"]:
        wrong.append("not the plain run's bits, though nothing should have touched it")
    return wrong


def apart(xs, ys):
    """By how much two lists of times that took turns differ, as a part."""
    return abs(statistics.median(x / y for x, y in zip(xs, ys)) - 1)


def uncertainty(ratios):
    """Of the median of rounds: twice its standard error, from the median deviation (for normal noise)."""
    middle = statistics.median(ratios)
    deviation = 1.4826 * statistics.median(abs(r - middle) for r in ratios)
    return 2 * 1.2533 * deviation / len(ratios) ** 0.5


def by_rounds(a, b, x, y):
    """The ratio of (a, b) to (x, y), two lists of times each, and what it may be off by: rounds as they were, which no
    drift of the clocks disturbs."""
    ratios = [(p + q) / (r + s) for p, q, r, s in zip(a, b, x, y)]
    return statistics.median(ratios), max(apart(a, b) + apart(x, y), uncertainty(ratios))


def by_minima(a, b, x, y):
    """The same from the shortest times, to which a host that is busy with others adds nothing."""
    low = [sorted(times)[:3] for times in (a, b, x, y)]
    between = abs(low[0][0] / low[1][0] - 1) + abs(low[2][0] / low[3][0] - 1)
    off = max([between] + [t[-1] / t[0] - 1 for t in low])
    return (low[0][0] + low[1][0]) / (low[2][0] + low[3][0]), off


def compare(*times):
    """Whichever of the two is off by less, which is known from processes that do the same."""
    return min(by_rounds(*times), by_minima(*times), key=lambda answer: answer[1])


def time_case(name, plain, ours):
    """Rounds of all four processes, the kinds in turn and none after itself, until the answer is clear."""
    orders = [plain[0], ours[0], plain[1], ours[1]], [ours[0], plain[0], ours[1], plain[1]]
    times = {remote: [] for remote in orders[0]}
    for attempt in range(4):
        for round in range(6):
            for remote in orders[round % 2]:
                times[remote].append(remote.ask("measure", name, 0.015))
        a, b, x, y = (times[remote] for remote in plain + ours)
        ratio, spread = compare(a, b, x, y)
        slower = ratio < 1 - max(SLOWER, spread)
        if not slower:
            break
    return dict(plain_ms=statistics.median(a + b), ours_ms=statistics.median(x + y), ratio=ratio, spread=spread,
                slower=slower)


def time_afresh(name, plain, ours):
    """In other processes: what one process has for its whole life, such as where its memory lies, is noise as well."""
    try:
        return time_case(name, plain, ours)
    finally:
        for remote in plain + ours:
            remote.end()


def run_framework(key, options, folder):
    log = os.path.join(folder, key + ".log")
    arguments = ["--worker", key] + [word for name in options.case for word in ("--case", name)]
    launch = [os.path.join(HERE, "fastgemm"), "run"]
    environment = dict(os.environ)
    if key == "jax":
        # Products by cuBLAS, not by generated kernels, and graphs of any size.
        flags = ("--xla_gpu_enable_command_buffer=FUSION,CUBLAS,CUBLASLT --xla_gpu_graph_min_graph_size=1 "
                 "--xla_gpu_enable_triton_gemm=false")
        environment["XLA_FLAGS"] = (environment.get("XLA_FLAGS", "") + " " + flags).strip()

    def start(of_a_kind, arguments=arguments):
        return [[Remote(how, arguments, environment) for _ in range(of_a_kind)] for how in ([], launch)]

    plain, ours = start(2 if options.time else 1)
    logging = dict(environment, FASTGEMM_LOG="calls", FASTGEMM_LOG_FILE=log)
    logged = Remote(launch, arguments, logging) if options.check else None
    remotes = plain + ours + [logged] * options.check
    result = RESULTS.setdefault(key, dict(failures=[], cases=[]))
    try:
        for remote in remotes:
            remote.send("describe")
        about = [remote.receive() for remote in remotes][0]
        result["version"] = about["version"]
        print(f"\n{about['version']} on {about['device']}", flush=True)
        for case in about["cases"]:
            one = run_case(case, plain, ours, logged, log, options,
                           lambda name: start(2, ["--worker", key, "--case", name]))
            result["cases"].append(one)
            result["failures"] += [f"{case['name']}: {w}" for w in one["wrong"]]
    except Missing as missing:
        result["missing"] = str(missing)
    except Failed as failed:
        result["failures"].append(str(failed))
    for remote in remotes:
        if remote.end() and "missing" not in result:
            result["failures"].append("a process did not end well")
    return result


def check_case(case, remotes, log, one):
    for remote in remotes:  # at once: most of it is loading and compiling
        remote.send("check", case["name"])
    answers = [remote.receive() for remote in remotes]
    began, ended = answers[2]["log"]
    calls = calls_in(log, began, ended) if ended else dict(seen=0, ours=0, theirs=[], routes=[])
    one.update(plain=answers[0], ours=answers[1], calls=calls)
    one["wrong"] += judge(case, *answers, calls)
    return (f"  seen {calls['seen']:3} ours {calls['ours']:3}  error {answers[1]['error']:.2e} "
            f"(plain {answers[0]['error']:.2e})")


def run_case(case, plain, ours, logged, log, options, start):
    name, one = case["name"], dict(name=case["name"], wrong=[])
    try:
        text = f"  {name:40}"
        if options.check:
            text += check_case(case, [plain[0], ours[0], logged], log, one)
        if case["timed"] and options.time:
            one.update(time_case(name, plain, ours))
            if one["slower"]:
                one.update(time_afresh(name, *start(name)))
            words = f"{one['ratio']:.3f} of the plain run's speed, +-{one['spread']:.3f}"
            text += f"  {one['plain_ms']:8.3f} -> {one['ours_ms']:8.3f} ms, {words}"
            if one["slower"]:
                one["wrong"].append(f"slower: {words}")
        print(text, flush=True)
    except Failed as failed:
        one["wrong"].append(str(failed))
    for w in one["wrong"]:
        print(f"      failed: {w}", flush=True)
    return one


def line_of(key, r):
    if "missing" in r:
        return f"{key}: not possible here: {r['missing']}"
    cases, timed = [c for c in r["cases"] if "calls" in c], [c for c in r["cases"] if "ratio" in c]
    line = f"{r.get('version', key)}: {len(r['cases'])} cases"
    if cases:
        seen, ours = (sum(c["calls"][what] for c in cases) for what in ("seen", "ours"))
        worst = max((c["ours"]["error"] / c["plain"]["error"] for c in cases if c["plain"]["error"]), default=0)
        line += f", {seen} products seen, {ours} on our kernels, error at most {worst:.2f} of the plain run's"
    if timed:
        low, high = (pick(timed, key=lambda c: c["ratio"]) for pick in (min, max))
        line += (f", speed {low['ratio']:.3f} +-{low['spread']:.3f} ({low['name']}) to {high['ratio']:.2f} of the plain "
                 f"run's, spread at most {max(c['spread'] for c in timed):.3f}")
    return f"{line}: {'FAIL' if r['failures'] else 'PASS'}"


# ---- data-parallel training ---------------------------------------------------------------------------------------------

DDP = dict(width=2048, hidden=8192, batch=2048, steps=12, turns=3, limit_s=38)


class Rank:
    """One rank: a model of Linear layers, its gradients averaged by NCCL; trained anew at each turn."""

    def __init__(self, dtype):
        import torch
        from torch.nn.parallel import DistributedDataParallel

        self.torch, g, nn = torch, DDP, torch.nn
        rank = int(os.environ["RANK"])
        torch.manual_seed(5)
        model = nn.Sequential(nn.Linear(g["width"], g["hidden"], bias=False), nn.GELU(),
                              nn.Linear(g["hidden"], g["width"], bias=False)).to(dtype).cuda()
        self.model = DistributedDataParallel(model, device_ids=[torch.cuda.current_device()])
        self.start = [p.detach().clone() for p in self.model.parameters()]
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.05)
        data = torch.Generator(device="cuda").manual_seed(100 + rank)
        self.x, self.y = (torch.randn(g["batch"], g["width"], generator=data, device="cuda").to(dtype) for _ in "xy")

    def step(self):
        loss = ((self.model(self.x) - self.y) ** 2).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss

    def turn(self):
        torch, losses, times = self.torch, [], []
        with torch.no_grad():
            for p, start in zip(self.model.parameters(), self.start):
                p.copy_(start)
        for _ in range(DDP["steps"]):
            torch.cuda.synchronize()
            start = time.perf_counter()
            loss = self.step()
            torch.cuda.synchronize()
            times.append((time.perf_counter() - start) * 1e3)
            losses.append(float(loss))
        weights = next(self.model.parameters()).detach()
        first = weights.clone()
        torch.distributed.broadcast(first, 0)
        assert torch.equal(first, weights), "the ranks' weights differ"
        return dict(losses=losses, ms=statistics.median(times[2:]))


def ddp_worker(folder):
    """Takes orders as files of the folder, so that the plain and the preloaded world can take turns: "NAME" holds what
    to do, and rank 0 answers in "NAME.json"."""
    import torch
    import torch.distributed as dist

    local, backend = int(os.environ["LOCAL_RANK"]), os.environ["DDP_BACKEND"]
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.cuda.set_device(local % torch.cuda.device_count())
    dist.init_process_group(backend)
    models, turn = {}, 0
    while True:
        order = os.path.join(folder, str(turn))
        while not os.path.exists(order):
            time.sleep(0.002)
        with open(order) as file:
            what = file.read()
        if what == "end":
            break
        dtype = getattr(torch, what)
        if what not in models:
            models[what] = Rank(dtype)
        answer = dict(models[what].turn(), ranks=dist.get_world_size())
        if dist.get_rank() == 0:
            write_whole(order + ".json", json.dumps(answer))
        turn += 1
    dist.destroy_process_group()


def write_whole(path, text):
    with open(path + ".part", "w") as file:
        file.write(text)
    os.rename(path + ".part", path)


class World:
    """A torchrun with its ranks."""

    def __init__(self, kind, launch, options, folder):
        self.folder, self.turns = os.path.join(folder, "ddp." + kind), 0
        os.mkdir(self.folder)
        self.errors = open(os.path.join(self.folder, "errors"), "w+")
        environment = dict(os.environ, DDP_BACKEND="gloo" if options.gloo else "nccl", OMP_NUM_THREADS="4",
                           FASTGEMM_LOG="summary", FASTGEMM_LOG_FILE=os.path.join(self.folder, "%p.log"))
        self.process = subprocess.Popen(
            launch + [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2",
                      os.path.abspath(__file__), "--ddp-worker", self.folder],
            env=environment, stdout=self.errors, stderr=self.errors, start_new_session=True)

    def failure(self):
        self.errors.seek(0)
        said = [line for line in self.errors.read().splitlines() if "Error" in line or "rror:" in line]
        return f"ended with status {self.process.poll()}: {' | '.join(said[-3:])[-600:]}"

    def order(self, what):
        write_whole(os.path.join(self.folder, str(self.turns)), what)
        self.turns += 1

    def answer(self, deadline):
        path = os.path.join(self.folder, f"{self.turns - 1}.json")
        while not os.path.exists(path):
            if self.process.poll() is not None:
                raise Failed(self.failure())
            if time.monotonic() > deadline:
                raise Failed(f"cut after {DDP['limit_s']} s")
            time.sleep(0.002)
        with open(path) as file:
            return json.load(file)

    def ask(self, what, deadline):
        self.order(what)
        return self.answer(deadline)

    def end(self, deadline):
        self.order("end")
        try:
            return self.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise Failed("the ranks did not end")

    def kill(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def counts(self):
        found = []
        for name in sorted(os.listdir(self.folder)):
            if name.endswith(".log"):
                with open(os.path.join(self.folder, name)) as log:
                    found += re.findall(r"total (\d+) calls: (\d+) routed", log.read())
        return [(int(seen), int(routed)) for seen, routed in found]


def count_gpus():
    """Of those that the ranks may see; PyTorch is not loaded for that."""
    if os.environ.get("CUDA_VISIBLE_DEVICES"):
        return len(os.environ["CUDA_VISIBLE_DEVICES"].split(","))
    try:
        return len(subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True).stdout.splitlines())
    except FileNotFoundError:
        return 0


def run_ddp(options, folder):
    result = RESULTS.setdefault("ddp", dict(failures=["cut"], cases=[], plain=[], ours=[], totals=[]))
    gpus = count_gpus()
    if not importlib.util.find_spec("torch"):
        return result.update(missing="no PyTorch", failures=[])
    if gpus < (1 if options.gloo else 2):
        return result.update(missing=f"{gpus} GPU", failures=[])
    started = time.monotonic()
    deadline, worlds = started + DDP["limit_s"], {}

    def say(text):
        print(f"  {time.monotonic() - started:5.1f} s  {text}", flush=True)

    print(f"\nPyTorch DDP, 2 ranks on {gpus} GPU{'s' * (gpus > 1)}, plain and preloaded in turn", flush=True)
    try:
        worlds["plain"] = World("plain", [], options, folder)
        worlds["ours"] = World("ours", [os.path.join(HERE, "fastgemm"), "run"], options, folder)
        for world in worlds.values():  # both at once; the first turn loads what later ones use
            world.order("float32")
        for kind, world in worlds.items():
            warm = world.answer(deadline)
            say(f"{kind}: {warm['ranks']} ranks are up")
            result[kind].append(dict(warm, ms=None))
        result["exact"] = worlds["plain"].ask("float64", deadline)["losses"]
        say("float64 done")
        for turn in range(DDP["turns"]):
            began = time.monotonic()
            for kind in ("plain", "ours", "ours", "plain"):
                result[kind].append(worlds[kind].ask("float32", deadline))
            say(f"turn {turn + 1}: step {result['plain'][-1]['ms']:.3f} -> {result['ours'][-1]['ms']:.3f} ms")
            if 2 * time.monotonic() - began > deadline - 4:  # on a busy machine fewer turns have to do
                break
        for kind, world in worlds.items():
            if world.end(deadline):
                raise Failed(f"{kind}: {world.failure()}")
        result["failures"].remove("cut")
    except Failed as failed:
        result["failures"] = [str(failed)]
    finally:
        for world in worlds.values():
            world.kill()
    if "ours" in worlds:
        result["totals"] = worlds["ours"].counts()
    judge_ddp(result)


def judge_ddp(result):
    wrong, exact = result["failures"], result.get("exact")
    if wrong or not exact:
        return
    error = {kind: max(abs(a - e) / abs(e) for r in result[kind] for a, e in zip(r["losses"], exact))
             for kind in ("plain", "ours")}
    result["error"] = error
    if not error["ours"] <= max(2 * error["plain"], 8 * UNIT):
        wrong.append(f"loss {error['ours']:.3g} from float64's, plain {error['plain']:.3g}")
    if any(r["losses"] != result["ours"][0]["losses"] for r in result["ours"]):
        wrong.append("two turns gave different losses")
    if len(result["totals"]) != 2:
        wrong.append(f"summaries of {len(result['totals'])} ranks, not 2")
    products = 5 * DDP["steps"] * len(result["ours"])  # the first layer's input has no gradient
    for seen, routed in result["totals"]:
        if seen != products or routed != products:
            wrong.append(f"a rank: {seen} products seen, {routed} on our kernels, {products} expected")
    plain, ours = ([r["ms"] for r in result[kind] if r["ms"]] for kind in ("plain", "ours"))
    ratio, spread = compare(plain[::2], plain[1::2], ours[::2], ours[1::2])
    result.update(plain_ms=statistics.median(plain), ours_ms=statistics.median(ours), ratio=ratio, spread=spread)
    if ratio < 1 - max(SLOWER, spread):
        wrong.append(f"slower: {ratio:.3f} of the plain run's speed, +-{spread:.3f}")


def ddp_line(r):
    line = f"PyTorch DDP, {r['ours'][0]['ranks'] if r['ours'] else 'no'} ranks"
    if r["totals"]:
        seen, routed = (sum(t[i] for t in r["totals"]) for i in (0, 1))
        line += f": {seen} products seen, {routed} on our kernels"
    if "error" in r:
        line += f", loss error {r['error']['ours']:.2e} (plain {r['error']['plain']:.2e})"
    if "ratio" in r:
        line += f", step {r['plain_ms']:.2f} -> {r['ours_ms']:.2f} ms, {r['ratio']:.3f} +-{r['spread']:.3f}"
    return f"{line}: {'FAIL' if r['failures'] else 'PASS'}"


# ---- all ----------------------------------------------------------------------------------------------------------------

RESULTS = {}  # by framework, filled as the run goes on, so that one that is cut still says what it saw


def tell(options):
    if options.out:
        with open(options.out, "w") as out:
            json.dump(RESULTS, out, indent=1)
    print()
    for key, r in RESULTS.items():
        for failure in r["failures"]:
            print(f"failed: {key}: {failure}")
    for key, r in RESULTS.items():
        print(ddp_line(r) if key == "ddp" and "missing" not in r else line_of(key, r))
    failed = any(r["failures"] for r in RESULTS.values())
    nothing = all("missing" in r for r in RESULTS.values())
    print("FAIL" if failed else "nothing was possible here" if nothing else "PASS", flush=True)
    return 1 if failed else 77 if nothing else 0


class Cut(Exception):
    pass


def cut(number, frame):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Cut


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", dest="preloaded", help="libfastgemm.so (default: as scripts/fastgemm finds it)")
    parser.add_argument("--only", default="pytorch,cupy,jax,ddp", help="which frameworks, separated by commas")
    parser.add_argument("--case", action="append", default=[], help="only the cases of these names")
    parser.add_argument("--no-time", dest="time", action="store_false", help="check results and counts only")
    parser.add_argument("--no-check", dest="check", action="store_false", help="times only, in four processes a framework")
    parser.add_argument("--out", help="write everything, as JSON")
    parser.add_argument("--gloo", action="store_true", help="ddp through Gloo, which does with one GPU for two ranks")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--ddp-worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return worker(options.worker, options.case)
    if options.ddp_worker:
        return ddp_worker(options.ddp_worker)
    if options.preloaded:
        os.environ["FASTGEMM_LIBRARY"] = os.path.abspath(options.preloaded)
    signal.signal(signal.SIGTERM, cut)
    folder = tempfile.mkdtemp(prefix="frameworks.")
    try:
        for key in options.only.split(","):
            if key == "ddp":
                run_ddp(options, folder)
            else:
                run_framework(key, options, folder)
    except Cut:
        for r in [RESULTS[key]] if key in RESULTS else []:
            r["failures"] = [f for f in r["failures"] if f != "cut"] + ["cut by a signal"]
    shutil.rmtree(folder, ignore_errors=True)
    return tell(options)


if __name__ == "__main__":
    sys.exit(main())
