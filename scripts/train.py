#!/usr/bin/env python3
"""Trains an fp32 GPT (12 layers, 8 x 1024 tokens, width 768, vocabulary 50257) in plain PyTorch, as it is and under the
preload: the same weights, the same text (the bytes of Python's own library). Both processes take turns on the GPU, so
that each has it alone and neither always has it warm. Prints the steps per second of both, how far the losses are
apart, and where the products went; draws the losses. Fails unless the library saw every product of the training.

On request a third process shows what rounding alone does: cuBLAS again, but with the rows of each batch in reverse, so
that sums over the batch have another order. A fourth trains in TF32, to show that the picture would tell.

    scripts/train.py [--library PATH] [--steps N] [--rounds N] [--out FILE.json]
    scripts/train.py --together --seconds N [--also noise,tf32] [--out FILE.json]    curves, not speed
    scripts/train.py --draw CURVES.json [--speed FILE.json] --svg FILE.svg
"""

import argparse
import glob
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
LAYERS, HEADS, WIDTH, CONTEXT, BATCH, VOCABULARY = 12, 12, 768, 1024, 8, 50257
WARM = 3  # steps before the clock runs
PRODUCTS = 3 * (4 * LAYERS + 1)  # of a step: forward and both gradients, of each Linear and of the vocabulary


def text():
    names = sorted(glob.glob(os.path.join(os.path.dirname(os.__file__), "*.py")))
    return b"".join(open(name, "rb").read() for name in names)[: 1 << 22]


def build(torch):
    nn, f = torch.nn, torch.nn.functional

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
            self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
            self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

        def forward(self, x):
            b, t, _ = x.shape
            q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
            y = f.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.proj(y.transpose(1, 2).reshape(b, t, WIDTH))
            return x + self.down(f.gelu(self.up(self.norm2(x)), approximate="tanh"))

    class Gpt(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.places = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(CONTEXT, WIDTH)
            self.blocks, self.norm = nn.Sequential(*[Block() for _ in range(LAYERS)]), nn.LayerNorm(WIDTH)
            for p in self.parameters():
                if p.dim() > 1:
                    nn.init.normal_(p, std=0.02)

        def forward(self, tokens, targets):
            x = self.tokens(tokens) + self.places.weight
            logits = self.norm(self.blocks(x)) @ self.tokens.weight.t()
            return f.cross_entropy(logits.view(-1, VOCABULARY), targets.reshape(-1), reduction="none")

    torch.manual_seed(1)
    return Gpt().cuda()


# ---- a process that trains -------------------------------------------------------------------------------------------


def worker():
    """Steps as told: a line of standard input says how many, one of standard output what became of them."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = os.environ.get("TRAIN_TF32") == "1"
    order = -1 if os.environ.get("TRAIN_REVERSED") == "1" else 1
    data = torch.frombuffer(bytearray(text()), dtype=torch.uint8).cuda()
    model = build(torch)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, fused=True)
    g = torch.Generator().manual_seed(2)

    def step():
        at = torch.randint(0, len(data) - CONTEXT - 1, (BATCH,), generator=g).tolist()[::order]
        rows = torch.stack([data[i : i + CONTEXT + 1] for i in at]).long()
        losses = model(rows[:, :-1], rows[:, 1:])  # of each token
        optimizer.zero_grad(set_to_none=True)
        losses.mean().backward()
        optimizer.step()
        return losses.detach().double().mean()  # what fp32 would round away, the picture is about

    print(json.dumps(dict(device=torch.cuda.get_device_name(), torch=torch.__version__.split("+")[0])), flush=True)
    for line in sys.stdin:
        torch.cuda.synchronize()
        start = time.monotonic()
        losses = [step() for _ in range(int(line))]
        torch.cuda.synchronize()
        seconds = time.monotonic() - start
        print(json.dumps(dict(seconds=seconds, losses=[float(x) for x in losses])), flush=True)


class Trainer:
    def __init__(self, **environment):
        command = [sys.executable, os.path.abspath(__file__), "--worker"]
        self.process = subprocess.Popen(command, env=dict(os.environ, **environment), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.losses, self.turns, self.machine = [], [], None

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"train: a process ended with {self.process.wait()}")
        return json.loads(line)

    def train(self, steps, timed=True):
        self.machine = self.machine or self.answer()
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        turn = self.answer()
        self.losses += turn["losses"]
        if timed:
            self.turns.append(steps / turn["seconds"])

    def end(self):
        self.process.stdin.close()
        if self.process.wait():
            sys.exit(f"train: a process ended with {self.process.returncode}")
        return dict(losses=self.losses, turns=self.turns)


def at_once(calls):
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def trainers_of(given, log):
    preload = {"LD_PRELOAD": os.path.abspath(given.preloaded), "FASTGEMM_LOG": "summary", "FASTGEMM_LOG_FILE": log}
    kinds = {"plain": {}, "preloaded": preload, "noise": {"TRAIN_REVERSED": "1"}, "tf32": {"TRAIN_TF32": "1"}}
    return {name: Trainer(**kinds[name]) for name in ["plain", "preloaded"] + [x for x in given.also.split(",") if x]}


def train(given):
    """What each process did, and the library's own count of products."""
    with tempfile.NamedTemporaryFile("r") as log:
        trainers = trainers_of(given, log.name)
        began, turns = time.monotonic(), 0
        at_once([lambda t=t: t.train(WARM, timed=False) for t in trainers.values()])
        while turns < given.rounds and time.monotonic() - began < given.seconds:
            if given.together:
                at_once([lambda t=t: t.train(given.steps, timed=False) for t in trainers.values()])
            else:
                for t in trainers.values():
                    t.train(given.steps)
            turns += 1
        runs = {name: t.end() for name, t in trainers.items()}
        total = [line for line in log if " total " in line]
    if not total:
        sys.exit("train: the library said nothing: it was not preloaded")
    words = total[-1].split()  # fastgemm: total N calls: N routed, N forwarded
    return dict(trainers["plain"].machine, runs=runs, seen=int(words[2]), routed=int(words[4]))


# ---- what came of it -------------------------------------------------------------------------------------------------


def distances(runs, name):
    return [abs(x - y) / x for x, y in zip(runs["plain"]["losses"], runs[name]["losses"])]


def rate(run):
    return statistics.median(run["turns"])


def report(result):
    runs, steps = result["runs"], len(result["runs"]["plain"]["losses"])
    print(f"{result['seen']} products seen in {steps} steps, {result['routed']} of them routed")
    print(f"loss {runs['plain']['losses'][0]:.4f} to {runs['plain']['losses'][-1]:.4f} plain, "
          f"{runs['preloaded']['losses'][-1]:.4f} preloaded")
    for name in list(runs)[1:]:
        far = distances(runs, name)
        print(f"  {name}: relative distance from plain at most {max(far):.2e}, median {statistics.median(far):.2e}")
    if runs["plain"]["turns"]:
        plain, ours = rate(runs["plain"]), rate(runs["preloaded"])
        print(f"{plain:.3f} steps/s plain, {ours:.3f} preloaded: {ours / plain:.3f} times (medians of turns "
              f"{' '.join(f'{x:.3f}' for x in runs['plain']['turns'])}; "
              f"{' '.join(f'{x:.3f}' for x in runs['preloaded']['turns'])})")


# ---- the picture: losses above, how far they are apart below ----------------------------------------------------------

COLORS = {"plain": "#9a9a9a", "preloaded": "#1f5fa8", "noise": "#7a7a7a", "tf32": "#c2410c"}
FAR_NAMES = {"preloaded": "fastgemm", "noise": "cuBLAS fp32, each batch in reverse", "tf32": "cuBLAS TF32"}
LEFT, RIGHT, FLOOR = 64, 744, 1e-10  # the panels' sides; what no distance is drawn below


def panel(top, bottom, low, high, ticks, count, curves):
    """A frame with ticks and curves of (values, color, width); values between low and high."""
    def y(value):
        return bottom - (value - low) / (high - low) * (bottom - top)

    out = []
    for value, words in ticks:
        out.append(f'<line x1="{LEFT}" x2="{RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#e5e5e5"/>')
        out.append(label(LEFT - 8, y(value) + 4, words, anchor="end"))
    for values, color, width in curves:
        points = " ".join(f"{LEFT + i * (RIGHT - LEFT) / (count - 1):.1f},{y(min(max(v, low), high)):.1f}"
                          for i, v in enumerate(values))
        out.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="{width}" '
                   'stroke-linejoin="round"/>')
    return out + [f'<path d="M{LEFT} {top}V{bottom}H{RIGHT}" fill="none" stroke="#444"/>']


def label(x, y, words, color="#333", anchor="start", more=""):
    return f'<text x="{x}" y="{y:.1f}" fill="{color}" text-anchor="{anchor}"{more}>{words}</text>'


def key(y, entries):
    """In a line: what color is which."""
    out, x = [], LEFT
    for words, color, width in entries:
        out.append(f'<line x1="{x}" x2="{x + 26}" y1="{y}" y2="{y}" stroke="{color}" stroke-width="{width}"/>')
        out.append(label(x + 34, y + 4, words))
        x += 64 + 7 * len(words)
    return out


def draw(path, result, speed):
    runs, count = result["runs"], len(result["runs"]["plain"]["losses"])
    least, most = 0, math.ceil(max(runs["plain"]["losses"]))
    fars = {name: [math.log10(max(x, FLOOR)) for x in distances(runs, name)] for name in runs if name != "plain"}
    low = math.floor(min(math.log10(x) for name in fars for x in distances(runs, name) if x > 0))
    high = math.ceil(max(max(values) for values in fars.values()))
    subtitle = f"{result['device']}, PyTorch {result['torch']}"
    if speed:
        plain, ours = rate(speed["runs"]["plain"]), rate(speed["runs"]["preloaded"])
        subtitle += f": {plain:.2f} steps/s on cuBLAS, {ours:.2f} with fastgemm ({ours / plain:.2f} times)"
    entries = [("cuBLAS fp32", COLORS["plain"], 6), ("fastgemm, preloaded", COLORS["preloaded"], 1.5)]
    powers = [(e, f'10<tspan dy="-5" font-size="9">{e}</tspan>') for e in range(low, high + 1, 2 if high - low > 5 else 1)]
    tick = 10 if count < 60 else 20
    losses = [(runs["plain"]["losses"], *entries[0][1:]), (runs["preloaded"]["losses"], *entries[1][1:])]
    lines = [(fars[name], COLORS[name], 2 if name == "preloaded" else 1.2) for name in reversed(list(fars))]
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 560" font-family="sans-serif" font-size="12">',
             '<rect width="760" height="560" fill="#fff"/>',
             label(LEFT, 24, "Training a GPT of 124 million parameters in fp32, 8 x 1024 tokens a step",
                   more=' font-size="15" font-weight="bold"'),
             label(LEFT, 44, subtitle),
             label(LEFT, 76, "loss", more=' font-weight="bold"'), *key(92, entries),
             *panel(106, 300, least, most, [(v, str(v)) for v in range(0, most + 1, 2)], count, losses),
             label(LEFT, 334, "how far the loss is from that of cuBLAS fp32, relative", more=' font-weight="bold"'),
             *key(350, [(FAR_NAMES[name], COLORS[name], 2) for name in fars]),
             *panel(364, 514, low, high, powers, count, lines)]
    parts += [label(LEFT + (step - 1) * (RIGHT - LEFT) / (count - 1), 531, f"{step}", anchor="middle")
              for step in [1] + list(range(tick, count + 1, tick))]
    parts += [label((LEFT + RIGHT) / 2, 550, "step", anchor="middle"), "</svg>"]
    with open(path, "w") as file:
        file.write("\n".join(parts) + "\n")


def read(path):
    with open(path) as file:
        return json.load(file)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", dest="preloaded", default=os.path.join(HERE, "..", "build", "release", "libfastgemm.so"))
    parser.add_argument("--steps", type=int, default=10, help="of a turn")
    parser.add_argument("--rounds", type=int, default=10, help="turns of each process, at most")
    parser.add_argument("--seconds", type=float, default=math.inf, help="no round begins later")
    parser.add_argument("--together", action="store_true", help="all at once: for the curves, not for the speed")
    parser.add_argument("--also", default="", help="noise: the batch in another order; tf32: cuBLAS's")
    parser.add_argument("--out", help="keeps what was measured")
    parser.add_argument("--draw", help="draws what --out kept, trains nothing")
    parser.add_argument("--speed", help="what --out kept of a run in turns, for the picture's words")
    parser.add_argument("--svg")
    parser.add_argument("--worker", action="store_true")
    given = parser.parse_args()
    if given.worker:
        return worker()
    if not given.draw and not os.path.exists(given.preloaded):
        parser.error(f"--library: {given.preloaded} is not there")
    result = read(given.draw) if given.draw else train(given)
    report(result)
    if given.svg:
        speed = read(given.speed) if given.speed else result
        draw(given.svg, result, speed if speed["runs"]["plain"]["turns"] else None)
    if given.out:
        with open(given.out, "w") as file:
            json.dump(result, file)
    wanted = PRODUCTS * len(result["runs"]["preloaded"]["losses"])
    if result["seen"] < wanted or result["routed"] < wanted / 2:
        sys.exit(f"train: of {wanted} products the library saw {result['seen']} and ran {result['routed']}: not all, "
                 "or less than half")


if __name__ == "__main__":
    main()
