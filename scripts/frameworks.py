#!/usr/bin/env python3
"""fastgemm under the frameworks as they are: PyTorch, CuPy, JAX, and data-parallel training on several GPUs.

Each runs a list of cases three times, in a plain process, in a preloaded one, and in a preloaded one that logs every
call. Results are compared with float64: single products per element, and every case against the plain run's own error.
The log says how many products were seen and how many ran on our kernels, which has to be what the case expects. The
two timed processes take turns, and a case must not be slower than 0.98 of the plain run. One line a framework at the
end, and one PASS or FAIL.

    scripts/frameworks.py [--library PATH] [--only pytorch,cupy,jax,ddp] [--case NAME]... [--no-time | --no-check]
                          [--out FILE.json]
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
UNIT = 2.0**-24  # half a unit in the last place of fp32
SLOWEST = 0.98
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
        torch.backends.cuda.matmul.allow_tf32 = False
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


def time_case(name, plain, ours):
    """ABBA in warm processes until the answer is clear, at most four times: medians."""
    times = {plain: [], ours: []}
    for attempt in range(4):
        for remote in (plain, ours, ours, plain) * 2:
            times[remote].append(remote.ask("measure", name, 0.02))
        ratio = statistics.median(times[plain]) / statistics.median(times[ours])
        if ratio >= SLOWEST:
            break
    return statistics.median(times[plain]), statistics.median(times[ours])


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
    plain = Remote([], arguments, environment)
    ours = Remote(launch, arguments, environment)
    remotes = [plain, ours]
    if options.check:
        remotes.append(Remote(launch, arguments, dict(environment, FASTGEMM_LOG="calls", FASTGEMM_LOG_FILE=log)))
    result = dict(failures=[], cases=[])
    try:
        for remote in remotes:
            remote.send("describe")
        about = [remote.receive() for remote in remotes][0]
        result["version"] = about["version"]
        print(f"\n{about['version']} on {about['device']}", flush=True)
        for case in about["cases"]:
            one = run_case(case, remotes, log, options)
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
    answers = [remote.ask("check", case["name"]) for remote in remotes]
    began, ended = answers[2]["log"]
    calls = calls_in(log, began, ended) if ended else dict(seen=0, ours=0, theirs=[], routes=[])
    one.update(plain=answers[0], ours=answers[1], calls=calls)
    one["wrong"] += judge(case, *answers, calls)
    return (f"  seen {calls['seen']:3} ours {calls['ours']:3}  error {answers[1]['error']:.2e} "
            f"(plain {answers[0]['error']:.2e})")


def run_case(case, remotes, log, options):
    name, one = case["name"], dict(name=case["name"], wrong=[])
    try:
        text = f"  {name:40}"
        if options.check:
            text += check_case(case, remotes, log, one)
        if case["timed"] and options.time:
            one["plain_ms"], one["ours_ms"] = time_case(name, *remotes[:2])
            one["ratio"] = one["plain_ms"] / one["ours_ms"]
            text += f"  {one['plain_ms']:8.3f} -> {one['ours_ms']:8.3f} ms, {one['ratio']:5.2f}"
            if one["ratio"] < SLOWEST:
                one["wrong"].append(f"slower: {one['ratio']:.3f} of the plain run's speed")
        print(text, flush=True)
    except Failed as failed:
        one["wrong"].append(str(failed))
    for w in one["wrong"]:
        print(f"      failed: {w}", flush=True)
    return one


def line_of(key, r):
    if "missing" in r:
        return f"{key}: not possible here: {r['missing']}"
    cases = [c for c in r["cases"] if "calls" in c]
    ratios = [c["ratio"] for c in cases if "ratio" in c]
    line = f"{r.get('version', key)}: {len(r['cases'])} cases"
    if cases:
        seen, ours = (sum(c["calls"][what] for c in cases) for what in ("seen", "ours"))
        worst = max((c["ours"]["error"] / c["plain"]["error"] for c in cases if c["plain"]["error"]), default=0)
        line += f", {seen} products seen, {ours} on our kernels, error at most {worst:.2f} of the plain run's"
    if ratios:
        line += f", speed {min(ratios):.2f} to {max(ratios):.2f} of the plain run's"
    return f"{line}: {'FAIL' if r['failures'] else 'PASS'}"


# ---- data-parallel training ---------------------------------------------------------------------------------------------

DDP = dict(width=2048, hidden=8192, batch=2048, steps=12)


def ddp_worker(path):
    """One rank: a model of Linear layers, its gradients averaged by NCCL."""
    import torch
    import torch.distributed as dist
    from torch.nn.parallel import DistributedDataParallel

    rank = int(os.environ["LOCAL_RANK"])
    torch.cuda.set_device(rank)
    dist.init_process_group("nccl", device_id=torch.device("cuda", rank))
    answer = dict(ranks=dist.get_world_size())
    for dtype in (torch.float64, torch.float32):
        torch.manual_seed(5)
        g, nn = DDP, torch.nn
        model = nn.Sequential(nn.Linear(g["width"], g["hidden"], bias=False), nn.GELU(),
                              nn.Linear(g["hidden"], g["width"], bias=False)).double().to(dtype).cuda()
        model = DistributedDataParallel(model, device_ids=[rank])
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        data = torch.Generator().manual_seed(100 + rank)
        x = torch.randn(g["batch"], g["width"], generator=data, dtype=torch.float64).to(dtype).cuda()
        y = torch.randn(g["batch"], g["width"], generator=data, dtype=torch.float64).to(dtype).cuda()
        losses, times = [], []
        for step in range(g["steps"]):
            torch.cuda.synchronize()
            start = time.perf_counter()
            loss = ((model(x) - y) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            torch.cuda.synchronize()
            times.append(time.perf_counter() - start)
            losses.append(float(loss))
        name = "float64" if dtype == torch.float64 else "fp32"
        answer[name] = losses
        answer[name + "_ms"] = statistics.median(times[2:]) * 1e3
        first = next(model.parameters()).detach().clone()
        other = first.clone()
        dist.broadcast(other, 0)
        assert torch.equal(first, other), "the ranks' weights differ"
    if rank == 0:
        with open(path, "w") as out:
            json.dump(answer, out)
    dist.barrier()
    dist.destroy_process_group()


def run_ddp(options, folder):
    result = dict(failures=[], cases=[])
    try:
        import torch
    except ImportError as missing:
        return dict(result, missing=str(missing))
    if torch.cuda.device_count() < 2:
        return dict(result, missing=f"{torch.cuda.device_count()} GPU")
    runs = {}
    for kind, launch in (("plain", []), ("ours", [os.path.join(HERE, "fastgemm"), "run"])):
        runs[kind] = []
        for turn in range(2):
            out = os.path.join(folder, f"ddp.{kind}.{turn}.json")
            environment = dict(os.environ, FASTGEMM_LOG="summary" if turn == 0 else "off",
                               FASTGEMM_LOG_FILE=os.path.join(folder, f"ddp.{kind}.%p.log"))
            done = subprocess.run(launch + [sys.executable, "-m", "torch.distributed.run", "--standalone",
                                            "--nproc_per_node", "2", os.path.abspath(__file__), "--ddp-worker", out],
                                  env=environment, capture_output=True, text=True)
            if done.returncode or not os.path.exists(out):
                result["failures"].append(f"{kind}: status {done.returncode}: {done.stderr.strip()[-600:]}")
                return result
            with open(out) as file:
                runs[kind].append(json.load(file))
    return judge_ddp(result, runs, folder)


def judge_ddp(result, runs, folder):
    wrong, totals = result["failures"], []
    exact = runs["plain"][0]["float64"]
    error = {kind: max(abs(a - e) / abs(e) for r in run for a, e in zip(r["fp32"], exact)) for kind, run in runs.items()}
    if not error["ours"] <= max(2 * error["plain"], 8 * UNIT):
        wrong.append(f"loss {error['ours']:.3g} from float64's, plain {error['plain']:.3g}")
    if runs["ours"][0]["fp32"] != runs["ours"][1]["fp32"]:
        wrong.append("two runs gave different losses")
    for name in sorted(os.listdir(folder)):
        found = name.startswith("ddp.ours.") and name.endswith(".log") and re.findall(
            r"total (\d+) calls: (\d+) routed", open(os.path.join(folder, name)).read())
        totals += [(int(seen), int(routed)) for seen, routed in found or []]
    if len(totals) != 2:
        wrong.append(f"summaries of {len(totals)} ranks, not 2")
    products = 5 * DDP["steps"]  # the first layer's input has no gradient
    for seen, routed in totals:
        if seen < products or routed < products:
            wrong.append(f"a rank: {seen} products seen, {routed} on our kernels, {products} expected")
    ms = {kind: min(r["fp32_ms"] for r in run) for kind, run in runs.items()}
    if ms["plain"] / ms["ours"] < SLOWEST:
        wrong.append(f"slower: {ms['plain'] / ms['ours']:.3f} of the plain run's speed")
    result["line"] = (f"PyTorch DDP, {runs['ours'][0]['ranks']} GPUs: {sum(t[0] for t in totals)} products seen, "
                      f"{sum(t[1] for t in totals)} on our kernels, loss error {error['ours']:.2e} (plain "
                      f"{error['plain']:.2e}), step {ms['plain']:.2f} -> {ms['ours']:.2f} ms: {'FAIL' if wrong else 'PASS'}")
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", dest="preloaded", help="libfastgemm.so (default: as scripts/fastgemm finds it)")
    parser.add_argument("--only", default="pytorch,cupy,jax,ddp", help="which frameworks, separated by commas")
    parser.add_argument("--case", action="append", default=[], help="only the cases of these names")
    parser.add_argument("--no-time", dest="time", action="store_false", help="check results and counts only")
    parser.add_argument("--no-check", dest="check", action="store_false", help="times only, in two processes a framework")
    parser.add_argument("--out", help="write everything, as JSON")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--ddp-worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return worker(options.worker, options.case)
    if options.ddp_worker:
        return ddp_worker(options.ddp_worker)
    if options.preloaded:
        os.environ["FASTGEMM_LIBRARY"] = os.path.abspath(options.preloaded)
    folder, results = tempfile.mkdtemp(prefix="frameworks."), {}
    for key in options.only.split(","):
        results[key] = run_ddp(options, folder) if key == "ddp" else run_framework(key, options, folder)
    shutil.rmtree(folder)
    if options.out:
        with open(options.out, "w") as out:
            json.dump(results, out, indent=1)
    print()
    for key, r in results.items():
        for failure in r["failures"]:
            print(f"failed: {key}: {failure}")
    for key, r in results.items():
        print(r.get("line") or line_of(key, r))
    failed = any(r["failures"] for r in results.values())
    print("FAIL" if failed else "PASS")
    return failed


if __name__ == "__main__":
    sys.exit(main())
