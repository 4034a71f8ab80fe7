#!/usr/bin/env python3
"""Passes model files between PyTorch and the library, both ways, and compares the predictions.

    python3 tests/golden/exchange/exchange.py PROGRAM    PROGRAM is exchange.c, compiled; check_pytorch.sh does that

There: a file that the library saved opens with safetensors.torch.load_file and load_state_dict(strict=True).
Back: a state dict that PyTorch saved (with both biases, none of them zero) loads here; its layers are inferred.
Copied: modules of other names keep these names here, so that a copy saved here still fits the same module.
Also F16 and BF16 weights, an LSTM without biases, and refusals by name.
Equal: |difference| <= 1e-6 * max(1, |y|) against PyTorch in float64.
"""
import os
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, load_model, save_file
from torch import nn

T, B = 9, 3


def width(rnn):
    return (rnn.proj_size or rnn.hidden_size) * (2 if rnn.bidirectional else 1)


class Tokens(nn.Module):
    def __init__(self, vocabulary, columns, hidden, outputs, kind=nn.LSTM, layers=2, **options):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, columns)
        self.rnn = kind(columns, hidden, num_layers=layers, **options)
        self.head = nn.Linear(width(self.rnn), outputs)

    def forward(self, ids):
        return self.head(self.rnn(self.embed(ids))[0])

    def draw(self):
        return torch.randint(self.embed.num_embeddings, (T, B))


class Tied(Tokens):
    def __init__(self):
        super().__init__(10, 6, 6, 10)
        self.head.weight = self.embed.weight


class Renamed(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Embedding(7, 4))
        self.core = nn.LSTM(4, 4, num_layers=3)
        self.fc = nn.Linear(4, 7, bias=False)

    def forward(self, ids):
        return self.fc(self.core(self.encoder(ids))[0])

    def draw(self):
        return torch.randint(7, (T, B))


class Bare(nn.LSTM):
    def forward(self, x):
        return super().forward(x)[0]

    def draw(self):
        return torch.randn(T, B, self.input_size)


class BareGRU(nn.GRU):
    forward, draw = lambda self, x: nn.GRU.forward(self, x)[0], Bare.draw


class Features(nn.Module):
    def __init__(self, inputs, hidden, outputs, kind=nn.LSTM, layers=1, **options):
        super().__init__()
        self.rnn = kind(inputs, hidden, num_layers=layers, **options)
        self.head = nn.Linear(width(self.rnn), outputs)

    def forward(self, x):
        return self.head(self.rnn(x)[0])

    def draw(self):
        return torch.randn(T, B, self.rnn.input_size)


def predict_there(program, model_path, folder, x):
    """The library's outputs for x, flat."""
    path = os.path.join(folder, "input.txt")
    with open(path, "w") as f:
        f.write(f"{T} {B}\n" + "\n".join(repr(v) for v in x.flatten().tolist()))
    result = subprocess.run([program, "run", model_path, path], capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(result.stderr.strip())
    return torch.tensor([float(line) for line in result.stdout.split()], dtype=torch.float64)


def worst(net, program, path, folder):
    """The largest difference over its limit; at most 1 is equal."""
    x = net.draw()
    with torch.no_grad():
        want = net.double()(x if x.dtype == torch.int64 else x.double()).flatten()
    got = predict_there(program, path, folder, x)
    return ((got - want).abs() / (1e-6 * want.abs().clamp(min=1))).max().item()


def there(program, folder, kind, net):
    path = os.path.join(folder, kind + ".safetensors")
    subprocess.run([program, "save", kind, path], check=True)
    net.load_state_dict(load_file(path), strict=True)
    return worst(net, program, path, folder)


def there_shared(program, folder, kind, net):
    """A tied head has no weight in the file, as where safetensors.torch.save_model wrote it."""
    path = os.path.join(folder, kind + ".safetensors")
    subprocess.run([program, "save", kind, path], check=True)
    load_model(net, path)
    return worst(net, program, path, folder)


def back(program, folder, kind, net):
    path = os.path.join(folder, kind + "-pytorch.safetensors")
    save_file(net.state_dict(), path)
    return worst(net, program, path, folder)


def copied(program, folder, kind, net):
    path, copy = (os.path.join(folder, kind + end) for end in ("-1.safetensors", "-2.safetensors"))
    save_file(net.state_dict(), path)
    subprocess.run([program, "copy", path, copy], check=True)
    state = load_file(copy)
    assert not state.pop("fc.bias", torch.zeros(1)).any()  # the library's dense layers have one
    net.load_state_dict(state, strict=True)
    return worst(net, program, copy, folder)


def smaller(dtype):
    def direction(program, folder, kind, net):
        path = os.path.join(folder, kind + ".safetensors")
        state = {name: value.to(dtype) for name, value in net.state_dict().items()}
        save_file(state, path)
        net.load_state_dict({name: value.float() for name, value in state.items()})
        return worst(net, program, path, folder)

    return direction


def refused(word):
    def direction(program, folder, kind, net):
        path = os.path.join(folder, kind + ".safetensors")
        save_file(net.state_dict(), path)
        result = subprocess.run([program, "copy", path, path + ".copy"], capture_output=True, text=True)
        if result.returncode and word in result.stderr:
            return 0
        raise RuntimeError(result.stderr or "was loaded")

    return direction


def exchanges():
    for direction, what in ((there, "saved here, opened by PyTorch"), (back, "saved by PyTorch, opened here")):
        yield direction, what, "tokens", Tokens(11, 6, 9, 11)
        yield direction, what, "features", Features(2, 17, 3)
        yield direction, what, "projected", Features(3, 12, 2, layers=2, proj_size=5)
        yield direction, what, "both-ways", Tokens(7, 6, 8, 4, bidirectional=True)
        yield direction, what, "projected-both-ways", Features(3, 6, 2, layers=2, proj_size=4, bidirectional=True)
        yield direction, what, "gru", Tokens(9, 6, 7, 9, kind=nn.GRU, layers=3)
        yield direction, what, "gru-both-ways", Features(3, 5, 2, kind=nn.GRU, layers=2, bidirectional=True)
    yield there_shared, "saved here, opened by PyTorch", "tied", Tied()
    yield copied, "saved by PyTorch, saved here, opened by both", "renamed", Renamed()
    yield back, "saved by PyTorch, opened here", "bare nn.LSTM", Bare(3, 5, 2)
    yield back, "saved by PyTorch, opened here", "without biases", Bare(3, 5, 2, bias=False)
    yield smaller(torch.float16), "in F16, opened here", "tokens", Tokens(11, 6, 9, 11)
    yield smaller(torch.bfloat16), "in BF16, opened here", "tokens", Tokens(11, 6, 9, 11)
    yield back, "saved by PyTorch, opened here", "bare both-ways nn.LSTM", Bare(3, 5, 2, bidirectional=True)
    yield back, "saved by PyTorch, opened here", "bare nn.GRU", BareGRU(3, 5, 2)
    yield back, "saved by PyTorch, opened here", "bare nn.GRU without biases", BareGRU(3, 5, bias=False)
    yield refused("nn.RNN"), "refused by name", "plain", nn.RNN(3, 5)


def main():
    program, failures = os.path.abspath(sys.argv[1]), 0
    torch.manual_seed(3)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for direction, what, kind, net in exchanges():
            try:
                off = direction(program, folder, kind, net)
                why = "" if off <= 1 else f": differs by {off:.2g} of 1e-6 max(1, |y|)"
            except Exception as error:  # whatever it is, it is this direction's failure
                off, why = 2, f": {error}"
            failures += off > 1
            print(f"{'ok' if off <= 1 else 'not ok'} exchange: {kind} {what}{why or f' ({off:.2f} of the limit)'}")
    raise SystemExit(failures > 0)


if __name__ == "__main__":
    main()
