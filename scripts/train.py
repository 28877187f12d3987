#!/usr/bin/env python3
"""Trains an fp32 GPT (12 layers, 8 x 1024 tokens, width 768, vocabulary 50257) in plain PyTorch, once as it is and once
under the preload: the same weights, the same text (the bytes of Python's own library). Prints the steps per second of
both, how far the losses are apart, and where the products went; draws both loss curves.

    scripts/train.py [--library PATH] [--steps N] [--together] [--out FILE.json] [--svg FILE.svg]
"""

import argparse
import glob
import json
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
LAYERS, HEADS, WIDTH, CONTEXT, BATCH, VOCABULARY = 12, 12, 768, 1024, 8, 50257
WARM = 5  # steps before the clock runs


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
            return f.cross_entropy(logits.view(-1, VOCABULARY), targets.reshape(-1))

    torch.manual_seed(1)
    return Gpt().cuda()


def worker(steps):
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    data = torch.frombuffer(bytearray(text()), dtype=torch.uint8).cuda()
    model = build(torch)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, fused=True)
    g = torch.Generator().manual_seed(2)
    losses, start = [], None
    for step in range(steps):
        if step == WARM:
            torch.cuda.synchronize()
            start = time.monotonic()
        at = torch.randint(0, len(data) - CONTEXT - 1, (BATCH,), generator=g).tolist()
        rows = torch.stack([data[i : i + CONTEXT + 1] for i in at]).long()
        loss = model(rows[:, :-1], rows[:, 1:])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    torch.cuda.synchronize()
    seconds = time.monotonic() - start
    json.dump(dict(losses=torch.stack(losses).tolist(), rate=(steps - WARM) / seconds,
                   device=torch.cuda.get_device_name()), sys.stdout)


def start(steps, **environment):
    command = [sys.executable, os.path.abspath(__file__), "--worker", "--steps", str(steps)]
    return subprocess.Popen(command, env=dict(os.environ, **environment), stdout=subprocess.PIPE, text=True)


def answer(process):
    out = process.communicate()[0]
    if process.returncode:
        sys.exit(f"train: a worker ended with {process.returncode}")
    return json.loads(out)


def svg(path, plain, ours):
    width, height, left, bottom = 720, 360, 56, 40
    most, least = max(plain["losses"]), min(plain["losses"] + ours["losses"])

    def line(losses, color, stroke):
        points = " ".join(
            f"{left + i * (width - left - 16) / (len(losses) - 1):.1f},"
            f"{16 + (most - y) / (most - least) * (height - bottom - 16):.1f}" for i, y in enumerate(losses))
        return f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="{stroke}"/>'

    def label(x, y, words, color="#333", anchor="start"):
        return f'<text x="{x}" y="{y}" fill="{color}" text-anchor="{anchor}">{words}</text>'

    steps = len(plain["losses"])
    apart = max(abs(x - y) for x, y in zip(plain["losses"], ours["losses"]))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        line(plain["losses"], "#bbb", 5), line(ours["losses"], "#1f5fbf", 1.5),
        label(left - 8, 24, f"{most:.2f}", anchor="end"), label(left - 8, height - bottom, f"{least:.2f}", anchor="end"),
        label(left, height - 12, "step 1"), label(width - 16, height - 12, f"step {steps}", anchor="end"),
        label(width - 24, 32, "cuBLAS fp32", "#888", "end"), label(width - 24, 52, "fastgemm", "#1f5fbf", "end"),
        label(width - 24, 72, f"never further apart than {apart:.2g}", anchor="end"),
        "</svg>"]
    with open(path, "w") as file:
        file.write("\n".join(parts) + "\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--library", default=os.path.join(HERE, "..", "build", "release", "libfastgemm.so"))
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--together", action="store_true", help="both at once: for the curves, not for the speed")
    parser.add_argument("--out")
    parser.add_argument("--svg")
    parser.add_argument("--worker", action="store_true")
    given = parser.parse_args()
    if given.steps <= WARM + 1:
        parser.error(f"--steps: more than {WARM + 1}")
    if given.worker:
        return worker(given.steps)
    with tempfile.NamedTemporaryFile("r") as log:
        first = start(given.steps)
        plain = None if given.together else answer(first)
        second = start(given.steps, LD_PRELOAD=os.path.abspath(given.library), FASTGEMM_LOG="summary",
                       FASTGEMM_LOG_FILE=log.name)
        plain, ours = plain or answer(first), answer(second)
        total = [line for line in log if " total " in line]
    apart = max(abs(x - y) / x for x, y in zip(plain["losses"], ours["losses"]))
    print("".join(total).strip() or "train: the library says nothing: was it preloaded?")
    print(f"{ours['device']}, {given.steps} steps: loss {plain['losses'][0]:.4f} to {plain['losses'][-1]:.4f} plain, "
          f"{ours['losses'][-1]:.4f} preloaded; relative distance at most {apart:.2e}")
    if not given.together:
        print(f"{plain['rate']:.2f} steps/s plain, {ours['rate']:.2f} preloaded: {ours['rate'] / plain['rate']:.2f} times")
    if given.svg:
        svg(given.svg, plain, ours)
    if given.out:
        with open(given.out, "w") as file:
            json.dump(dict(plain=plain, preloaded=ours), file)
    sys.exit(0 if total and " 0 routed" not in total[-1] else 1)


if __name__ == "__main__":
    main()
