#!/usr/bin/env python3
"""The rows of tests/bench/bench.c in PyTorch, one thread each, alternating in one run; medians and ratios.

    python3 tests/bench/vs_torch.py [--rounds 3] [--only TEXT] [--bench build/bench/bench]
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time

import torch

torch.set_num_threads(1)


def per_call(work, seconds=0.5):
    """Median seconds of a call, over at most `seconds`."""
    for _ in range(3):
        work()
    times, end = [], time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def step(inputs, hidden, dense, lanes=1):
    lstm = torch.nn.LSTM(inputs, hidden)
    head = torch.nn.Linear(hidden, 1) if dense else None
    x = torch.rand(1, lanes, inputs)
    state = [(torch.zeros(1, lanes, hidden), torch.zeros(1, lanes, hidden))]

    def work():
        y, state[0] = lstm(x, state[0])
        if head:
            head(y)

    with torch.inference_mode():
        return per_call(work)


class Characters(torch.nn.Module):
    def __init__(self, symbols, embed, hidden, depth):
        super().__init__()
        self.embed = torch.nn.Embedding(symbols, embed)
        self.rnn = torch.nn.LSTM(embed, hidden, depth)
        self.head = torch.nn.Linear(hidden, symbols)

    def forward(self, x, state=None):
        y, state = self.rnn(self.embed(x), state)
        return self.head(y), state


def characters(symbols, embed, hidden, depth, steps, batch):
    model = Characters(symbols, embed, hidden, depth)
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    ids = torch.randint(symbols, (steps, batch))
    carried = [None]

    def work():
        y, state = model(ids, carried[0])
        carried[0] = tuple(s.detach() for s in state)
        loss = torch.nn.functional.cross_entropy(y.view(-1, symbols), ids.view(-1))
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5)
        adam.step()

    return per_call(work, 2)


def forecast(hidden, steps, batch):
    rnn, head = torch.nn.LSTM(1, hidden), torch.nn.Linear(hidden, 1)
    parameters = list(rnn.parameters()) + list(head.parameters())
    adam = torch.optim.Adam(parameters, lr=1e-3)
    x, y = torch.rand(steps, batch, 1), torch.rand(batch, 1)

    def work():
        loss = torch.nn.functional.mse_loss(head(rnn(x)[0][-1]), y)
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 5)
        adam.step()

    return per_call(work, 1)


def rows():
    """Name in bench.c -> a function that returns the value in the row's unit; True where larger is better."""
    for hidden in (8, 16, 20, 32, 40, 64):
        yield f"step I=1 H={hidden} dense 1", lambda h=hidden: step(1, h, True) * 1e9, False
    for size in (16, 64, 128, 256):
        yield f"step I={size} H={size}", lambda n=size: step(n, n, False) * 1e9, False
    yield "1024 lanes I=1 H=32 dense 1, tick", lambda: step(1, 32, True, 1024) * 1e6, False
    for hidden in (128, 256, 512):
        yield (f"train V=96 E=64 1x{hidden} T=64 B=32",
               lambda h=hidden: 64 * 32 / characters(96, 64, h, 1, 64, 32), True)
    yield "train V=96 E=64 2x512 T=64 B=64", lambda: 64 * 64 / characters(96, 64, 512, 2, 64, 64), True
    for batch in (32, 1):
        yield f"train I=1 H=50 T=10 B={batch} mse", lambda b=batch: b / forecast(50, 10, b), True


def ours(bench, name):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "bench.json")
        subprocess.run([bench, "--quick", "--only", name, "--json", path], check=True, stdout=subprocess.DEVNULL)
        with open(path) as file:
            report = json.load(file)
    for row in report["rows"]:
        if row["name"] == name:
            return report, row
    raise SystemExit(f"{bench} has no row {name!r}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--bench", default="build/bench/bench")
    parser.add_argument("--json", default="build/vs_torch.json")
    options = parser.parse_args()
    results, head = [], False
    for name, theirs, larger_is_better in rows():
        if options.only not in name:
            continue
        a, b = [], []
        for _ in range(options.rounds):
            report, row = ours(options.bench, name)
            a.append(row["value"])
            b.append(theirs())
        if not head:
            head = True
            print(f"lstm.h {report['version']} {report['isa']}, PyTorch {torch.__version__}, one thread each, "
                  f"{report['machine']}, medians of {options.rounds} alternating runs")
            print(f"{'':36}{'lstm.h':>12}{'PyTorch':>12} {'unit':9}{'times as fast':>14}")
        mine, other = statistics.median(a), statistics.median(b)
        ratio = mine / other if larger_is_better else other / mine
        print(f"{name:36}{mine:12.1f}{other:12.1f} {row['unit']:9}{ratio:14.2f}", flush=True)
        results.append({"name": name, "unit": row["unit"], "lstm": mine, "torch": other, "ratio": ratio})
    with open(options.json, "w") as file:
        json.dump({"torch": torch.__version__, "machine": report["machine"], "isa": report["isa"], "rows": results}, file,
                  indent=2)


if __name__ == "__main__":
    main()
