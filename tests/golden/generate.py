#!/usr/bin/env python3
"""Writes tests/golden/data/*.golden: what PyTorch computes for a few networks. golden.c reads them, without Python.

    python3 tests/golden/generate.py            rewrites the data files beside this script
    python3 tests/golden/generate.py --into DIR writes them elsewhere
    python3 tests/golden/generate.py --check    computes them again and compares with the files (needs no writing)

How the numbers are made:
- Weights and inputs are float32 values. PyTorch computes in float64 from them, optimiser steps too, and the results are
  rounded to float32 once, in the file. So the files hold the right numbers, not another program's rounding, and all of
  the tolerance in golden.c is for the library.
- nn.LSTM has two biases and lstm.h one: bias_hh is frozen at zero (it would get the same gradient and so move twice).
  nn.GRU's is frozen but for the part that the reset gate scales, which is called bias_hn here.
- Adam and RMSProp divide a gradient by its own size, so the sign of a gradient that is nearly zero decides a whole
  step. A case where PyTorch's own float32 run leaves its float64 run by more than a quarter of golden.c's tolerance
  would test luck: it is drawn again with the next seed.

File format: text lines up to one that says "data", then little-endian float32 or int32 numbers in the same order.
    golden 1 | input I | layer embedding|lstm|gru|dense|dropout SIZE ACTIVATION READ option=value ...
    loss NAME option=value ... | batch B | steps T | windows N | run NAME option=value ...
    tensor f32|i32 NAME COUNT
A run is ten training steps on windows 0 ... N-1, 0 ..., with states carried if N > 1. Tensors: weight/...; for each
window W what is given (W/x, W/ids, W/targets, ...) and what follows (W/y, W/final, W/loss, W/d_input, W/grad/...); for
each run NAME/losses, NAME/rates (where a schedule moves them) and, after the last step, NAME/weight/...
"""
import argparse
import array
import os
import sys

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

STEPS = 10
MARGIN = 2.5e-6  # a quarter of what golden.c allows

ADAM = dict(optimizer="adam", rate=0.005)
RUNS = {
    "adam": ADAM,
    "adam_l2": dict(ADAM, weight_decay=0.02, beta1=0.8, beta2=0.95),
    "adamw": dict(optimizer="adamw", rate=0.005, weight_decay=0.05),
    "sgd": dict(optimizer="sgd", rate=0.1, momentum=0.9),
    "sgd_l2": dict(optimizer="sgd", rate=0.1, weight_decay=0.01),
    "rmsprop": dict(optimizer="rmsprop", rate=0.002),
    "rmsprop_momentum": dict(optimizer="rmsprop", rate=0.002, alpha=0.9, momentum=0.5),
    "adam_clip": dict(ADAM, clip_norm=0.05),
    "sgd_clip": dict(optimizer="sgd", rate=0.5, momentum=0.9, clip_norm=0.05),
    "sgd_clip_value": dict(optimizer="sgd", rate=0.5, clip_value=0.01),
    "nesterov": dict(optimizer="sgd", rate=0.1, momentum=0.9, nesterov=1, weight_decay=0.01),
    "step": dict(optimizer="sgd", rate=0.2, schedule="step", schedule_steps=3, schedule_factor=0.5),
    "exponential": dict(ADAM, schedule="exponential", schedule_factor=0.8),
    "cosine": dict(optimizer="adamw", rate=0.005, weight_decay=0.05, schedule="cosine", schedule_steps=9,
                   schedule_factor=0.1),
    "warmup": dict(optimizer="sgd", rate=0.2, momentum=0.9, schedule="cosine", schedule_steps=6, warmup=4),
}

BOTH, PROJECTED, BOTH_PROJECTED = dict(bidirectional=1), dict(projection=4), dict(bidirectional=1, projection=3)
# Layers: (type, size[, activation or options]). One nn.LSTM or nn.GRU for each run of layers that are alike.
CASES = {
    "tokens": dict(input=11, layers=[("embedding", 6), ("lstm", 9), ("dense", 11)], read="all", loss="cross_entropy",
                   batch=4, steps=7, missing=True, weights=True,
                   runs=["adam", "adamw", "sgd", "rmsprop", "adam_clip"]),
    "features": dict(input=3, layers=[("lstm", 16), ("dropout", 0), ("lstm", 16), ("dense", 2)], read="last",
                     loss="mse", batch=5, steps=6, initial=True, flow=True,
                     runs=["adam", "adam_l2", "sgd_l2", "rmsprop_momentum", "sgd_clip", "sgd_clip_value"]),
    "dense": dict(input=5, layers=[("lstm", 10), ("dropout", 0), ("dense", 8, "tanh"), ("dense", 3)], read="all",
                  loss="binary_cross_entropy", batch=3, steps=5, runs=["adam", "adamw"]),
    "ragged_last": dict(input=4, layers=[("lstm", 17), ("lstm", 17), ("dense", 5)], read="last", loss="cross_entropy",
                        batch=6, steps=7, lengths=[7, 1, 4, 7, 2, 5], initial=True, runs=["adam"]),
    "ragged_all": dict(input=9, layers=[("embedding", 20), ("lstm", 7), ("dense", 4, "relu"), ("lstm", 5),
                                        ("dense", 6, "sigmoid"), ("dense", 2)], read="all", loss="mse",
                       batch=5, steps=6, lengths=[3, 6, 1, 5, 2], weights=True, flow=True, runs=["adam"]),
    "carried": dict(input=2, layers=[("lstm", 12), ("lstm", 3), ("dense", 1)], read="all", loss="mse",
                    batch=2, steps=4, windows=2, runs=["adam", "sgd_clip"]),
    "single": dict(input=1, layers=[("lstm", 1), ("dense", 1)], read="all", loss="binary_cross_entropy",
                   batch=1, steps=1, runs=["adam", "rmsprop"]),
    "projected": dict(input=3, layers=[("lstm", 10, PROJECTED), ("lstm", 10, PROJECTED), ("dense", 2)],
                      read="all", loss="huber", huber_delta=0.25, batch=3, steps=5, initial=True, flow=True,
                      runs=["adam", "sgd_clip"]),
    "both_ways": dict(input=7, layers=[("embedding", 5), ("lstm", 6, BOTH), ("dense", 4)], read="last",
                      loss="cross_entropy", batch=5, steps=6, lengths=[6, 1, 4, 6, 2], initial=True, runs=["adam"]),
    "both_ways_2": dict(input=3, layers=[("lstm", 5, BOTH), ("dropout", 0), ("lstm", 5, BOTH), ("dense", 2)],
                        read="all", loss="mse", batch=4, steps=6, lengths=[3, 6, 1, 5], weights=True, initial=True,
                        flow=True, runs=["adam", "nesterov"]),
    "both_projected": dict(input=2, layers=[("lstm", 6, BOTH_PROJECTED), ("lstm", 6, BOTH_PROJECTED), ("dense", 3)],
                           read="last", loss="cross_entropy", label_smoothing=0.1, batch=4, steps=5,
                           lengths=[5, 2, 1, 4], flow=True, runs=["adam"]),
    "gru": dict(input=3, layers=[("gru", 7), ("gru", 7), ("gru", 4), ("dense", 2)], read="all", loss="mae", batch=4,
                steps=6, lengths=[6, 2, 5, 1], initial=True, flow=True, runs=["sgd", "sgd_clip"]),
    "gru_both": dict(input=6, layers=[("embedding", 4), ("gru", 5, BOTH), ("gru", 5, BOTH), ("dense", 3)], read="last",
                     loss="cross_entropy", class_weights=True, batch=5, steps=5, lengths=[2, 5, 1, 4, 5],
                     runs=["adam"]),
    "gru_carried": dict(input=2, layers=[("gru", 6), ("lstm", 6), ("dense", 1)], read="all", loss="mse", batch=2,
                        steps=4, windows=2, runs=["adam_l2"]),
    "tied": dict(input=8, layers=[("embedding", 5, dict(tied=1)), ("lstm", 5), ("dense", 8)], read="all",
                 loss="cross_entropy", label_smoothing=0.2, batch=3, steps=5, lengths=[5, 3, 4], missing=True,
                 runs=["adam", "sgd_clip"]),
    "schedules": dict(input=2, layers=[("lstm", 3), ("dense", 2)], read="last", loss="mse", batch=3, steps=4,
                      runs=["nesterov", "step", "exponential", "cosine", "warmup"]),
}
RECURRENT = {"lstm": nn.LSTM, "gru": nn.GRU}


def options_of(layer):
    return layer[2] if len(layer) > 2 and isinstance(layer[2], dict) else {}


def make_recurrent(kind, inputs, size, depth, options):
    """An nn.LSTM or nn.GRU. Of bias_hh only a GRU's part for n may move."""
    more = {"proj_size": options["projection"]} if "projection" in options else {}
    module = RECURRENT[kind](inputs, size, depth, bidirectional=bool(options.get("bidirectional")), **more)
    for name, p in module.named_parameters():
        if "bias_hh" in name and kind == "gru":
            mask = torch.cat([torch.zeros(2 * size), torch.ones(size)])
            p.register_hook(lambda g, mask=mask: g * mask.to(g.dtype))
        elif "bias_hh" in name:
            p.requires_grad_(False)
    return module


def outputs_of(m):
    return (getattr(m, "proj_size", 0) or m.hidden_size) * (2 if m.bidirectional else 1)


def state_shapes(m):
    """The widths of h and, in an LSTM, c."""
    return [getattr(m, "proj_size", 0) or m.hidden_size] + ([m.hidden_size] if isinstance(m, nn.LSTM) else [])


def cells(m):
    return m.num_layers * (2 if m.bidirectional else 1)


def state_size(net):
    return sum(cells(m) * sum(state_shapes(m)) for m in net.recurrent())


class Net(nn.Module):
    """The layers of a case under PyTorch's module names: embed, rnn, rnn1, dense0, head."""

    def __init__(self, case):
        super().__init__()
        self.plan, self.read = [], case["read"]  # (kind, module), kind: recurrent, embedding or an activation
        width, before, last_dense = case["input"], None, [l[0] for l in case["layers"]][::-1].index("dense")
        last_dense = len(case["layers"]) - 1 - last_dense
        runs = denses = 0
        for at, layer in enumerate(case["layers"]):
            kind, size, options = layer[0], layer[1], options_of(layer)
            if kind == "dropout":  # dropout of rate 0 is nothing
                continue
            if kind in RECURRENT and layer == before:
                old = self.plan[-1][1]
                deeper = make_recurrent(kind, old.input_size, size, old.num_layers + 1, options)
                self.plan[-1] = ("recurrent", self.put(f"rnn{runs - 1 or ''}", deeper))
            elif kind in RECURRENT:
                module = self.put(f"rnn{runs or ''}", make_recurrent(kind, width, size, 1, options))
                self.plan.append(("recurrent", module))
                runs += 1
            elif kind == "embedding":
                self.plan.append(("embedding", self.put("embed", nn.Embedding(width, size))))
            elif kind == "dense":
                name = "head" if at == last_dense else f"dense{denses}"
                self.plan.append((layer[2] if len(layer) > 2 else "linear", self.put(name, nn.Linear(width, size))))
                denses += 1
            width, before = outputs_of(self.plan[-1][1]) if kind in RECURRENT else size, layer
        if options_of(case["layers"][0]).get("tied"):
            self.head.weight = self.embed.weight

    def put(self, name, module):
        setattr(self, name, module)
        return module

    def forward(self, x, lengths, states):
        """x [T][B][I] or ids [T][B]; states: [h, c] or [h] of each module -> y [T'][B][O], final states likewise."""
        steps, final = x.shape[0], []
        last = max(i for i, (kind, _) in enumerate(self.plan) if kind == "recurrent")
        for i, (kind, module) in enumerate(self.plan):
            if kind == "recurrent":
                packed, before = pack_padded_sequence(x, lengths, enforce_sorted=False), states[len(final)]
                packed, after = module(packed, tuple(before) if len(before) > 1 else before[0])
                final.append(list(after) if len(before) > 1 else [after])
                x = pad_packed_sequence(packed, total_length=steps)[0]
                if i == last and self.read == "last":
                    h = final[-1][0]
                    x = torch.cat([h[-2], h[-1]], dim=1)[None] if module.bidirectional else h[-1:]
            else:
                x = module(x)
                if kind in ("tanh", "sigmoid", "relu"):
                    x = getattr(torch, kind)(x)
        return x, final

    def weights(self):
        """The parameters that move."""
        return [p for p in self.parameters() if p.requires_grad]

    def named(self, value):
        """name -> value(parameter) under the library's names: without bias_hh, but with a GRU's bias_hn."""
        out = {}
        for name, p in self.named_parameters():
            if "bias_hh" not in name:
                out[name] = value(p)
            elif p.requires_grad:
                out[name.replace("bias_hh", "bias_hn")] = value(p)[2 * p.numel() // 3:]
        return out

    def recurrent(self):
        return [m for kind, m in self.plan if kind == "recurrent"]


def state_list(net, states):
    """[B][S] (for each layer and direction h, c) -> [h, c] or [h] of each module."""
    out, at = [], 0
    for m in net.recurrent():
        parts = [[] for _ in state_shapes(m)]
        for _ in range(cells(m)):
            for part, width in zip(parts, state_shapes(m)):
                part.append(states[:, at:at + width])
                at += width
        out.append([torch.stack(part) for part in parts])
    return out


def state_rows(states):
    """The reverse of state_list."""
    return torch.cat([part[i] for parts in states for i in range(parts[0].shape[0]) for part in parts], dim=1)


def valid_places(case, lengths):
    """[T'][B]: 1 where there is an output."""
    if case["read"] == "last":
        return torch.ones(1, case["batch"])
    return (torch.arange(case["steps"])[:, None] < lengths[None, :]).float()


def mean_loss(case, y, window):
    """sum(w loss) / sum(w) over the valid targets; mean over outputs for the element-wise losses."""
    weights = window["valid"].to(y.dtype)
    if "weights" in window:
        weights = weights * window["weights"].to(y.dtype)
    if case["loss"] == "cross_entropy":
        ids = window["target_ids"].long()
        weights = weights * (ids >= 0)
        factors = window["class_weights"].to(y.dtype) if "class_weights" in window else None
        each = F.cross_entropy(y.flatten(0, 1), ids.flatten(), weight=factors, reduction="none", ignore_index=-1,
                               label_smoothing=case.get("label_smoothing", 0)).view_as(ids)
        below = weights if factors is None else weights * factors[ids.clamp(min=0)]
        return (weights * each).sum() / below.sum()
    if case["loss"] == "mse":
        each = F.mse_loss(y, window["targets"].to(y.dtype), reduction="none").mean(-1)
    elif case["loss"] == "mae":
        each = F.l1_loss(y, window["targets"].to(y.dtype), reduction="none").mean(-1)
    elif case["loss"] == "huber":
        each = F.huber_loss(y, window["targets"].to(y.dtype), reduction="none", delta=case["huber_delta"]).mean(-1)
    else:
        each = F.binary_cross_entropy_with_logits(y, window["targets"].to(y.dtype), reduction="none").mean(-1)
    return (weights * each).sum() / weights.sum()


def draw_window(case, net, generator):
    """Inputs and targets as float32 and int32; padding holds -7, which nothing may read."""
    T, B, I = case["steps"], case["batch"], case["input"]
    O = case["layers"][-1][1]
    places = (1 if case["read"] == "last" else T, B)
    real = lambda *shape: torch.rand(*shape, generator=generator) * 2 - 1
    window = dict(lengths=torch.tensor(case.get("lengths", [T] * B)))
    window["valid"] = valid_places(case, window["lengths"])
    padding = torch.arange(T)[:, None] >= window["lengths"][None, :]
    if case["layers"][0][0] == "embedding":
        window["ids"] = torch.randint(I, (T, B), generator=generator).masked_fill(padding, -7)
    else:
        window["x"] = real(T, B, I).masked_fill(padding[:, :, None], -7)
    if case["loss"] == "cross_entropy":
        window["target_ids"] = torch.randint(O, places, generator=generator)
        if case.get("missing"):
            window["target_ids"][torch.rand(*places, generator=generator) < 0.25] = -1
    else:
        window["targets"] = torch.rand(*places, O, generator=generator)
    if case.get("weights"):
        window["weights"] = torch.rand(*places, generator=generator) * 2
    if case.get("class_weights"):
        window["class_weights"] = torch.rand(O, generator=generator) + 0.2
    S = state_size(net)
    if case.get("initial"):
        window["initial"] = real(B, S)
    if case.get("flow"):
        window["d_output"], window["d_final"] = real(*places, O), real(B, S)
    return window


def run_window(case, net, window, states, dtype):
    """-> y with zeros in padding, final states, loss, x, states: everything that a gradient may be wanted of."""
    if "ids" in window:
        x = window["ids"].clamp(min=0).long()
    else:
        x = window["x"].to(dtype).requires_grad_()
    if states is None:
        states = torch.zeros(case["batch"], state_size(net), dtype=dtype)
    if "initial" in window:
        states = window["initial"].to(dtype)
    states = states.detach().requires_grad_()
    y, final = net(x, window["lengths"], state_list(net, states))
    y = y * window["valid"][:, :, None].to(dtype)
    final = state_rows(final)
    return y, final, mean_loss(case, y, window), x, states


def gradients(case, net, window, states, dtype):
    """One window's results by their names in the file, and the states that go on."""
    net.zero_grad()
    y, final, loss, x, states = run_window(case, net, window, states, dtype)
    total = loss
    if "d_output" in window:
        total = total + (y * window["d_output"].to(dtype)).sum() + (final * window["d_final"].to(dtype)).sum()
    total.backward()
    out = {"y": y, "final": final, "loss": loss, "d_initial": states.grad}
    if "x" in window:
        out["d_input"] = x.grad
    out.update({"grad/" + n: g for n, g in net.named(lambda p: p.grad).items()})
    return {n: t.detach().clone() for n, t in out.items()}, final.detach()


def make_optimizer(how, parameters):
    rate, decay, momentum = how["rate"], how.get("weight_decay", 0), how.get("momentum", 0)
    betas = (how.get("beta1", 0.9), how.get("beta2", 0.999))
    if how["optimizer"] == "adam":
        return torch.optim.Adam(parameters, lr=rate, betas=betas, weight_decay=decay)
    if how["optimizer"] == "adamw":
        return torch.optim.AdamW(parameters, lr=rate, betas=betas, weight_decay=decay)
    if how["optimizer"] == "sgd":
        nesterov = bool(how.get("nesterov"))
        return torch.optim.SGD(parameters, lr=rate, momentum=momentum, weight_decay=decay, nesterov=nesterov)
    return torch.optim.RMSprop(parameters, lr=rate, alpha=how.get("alpha", 0.99), momentum=momentum, weight_decay=decay)


def make_schedule(how, optimizer):
    kind, steps, factor = how.get("schedule"), how.get("schedule_steps"), how.get("schedule_factor", 0)
    schedules = torch.optim.lr_scheduler
    if kind == "step":
        return schedules.StepLR(optimizer, steps, factor)
    if kind == "exponential":
        return schedules.ExponentialLR(optimizer, factor)
    if kind is None:
        return None
    cosine = schedules.CosineAnnealingLR(optimizer, steps, factor * how["rate"])
    if "warmup" not in how:
        return cosine
    n = how["warmup"]
    rising = schedules.LinearLR(optimizer, 1 / n, 1.0, n - 1)
    return schedules.SequentialLR(optimizer, [rising, cosine], [n])


def train(case, net, windows, how, dtype):
    """Ten steps -> losses before each, and the weights after the last."""
    optimizer, states, losses, rates = make_optimizer(how, net.weights()), None, [], []
    schedule = make_schedule(how, optimizer)
    for step in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.zero_grad(set_to_none=False)
        _, final, loss, _, _ = run_window(case, net, windows[step % len(windows)], states, dtype)
        states = final.detach() if len(windows) > 1 else None
        loss.backward()
        if "clip_value" in how:
            nn.utils.clip_grad_value_(net.weights(), how["clip_value"])
        if "clip_norm" in how:
            norm = nn.utils.clip_grad_norm_(net.weights(), how["clip_norm"])
            assert step or norm > how["clip_norm"], "a run that is to clip does not"
        optimizer.step()
        if schedule:
            schedule.step()
        losses.append(loss.detach())
    out = {"losses": torch.stack(losses)}
    if schedule:
        out["rates"] = torch.tensor(rates, dtype=torch.float64)
    out.update({"weight/" + n: w for n, w in net.named(lambda p: p.detach().clone()).items()})
    return out


def draw_net(case, generator):
    net = Net(case)
    for name, p in net.named_parameters():
        with torch.no_grad():
            values = torch.zeros_like(p)
            if "bias_hh" not in name:
                values = torch.rand(p.shape, generator=generator) - 0.5
            elif p.requires_grad:
                values[2 * p.numel() // 3:] = torch.rand(p.numel() // 3, generator=generator) - 0.5
            p.copy_(values)
    return net


def compute(case, weights, windows, dtype):
    """Everything the file says, in this precision: name -> tensor."""
    def fresh():
        net = Net(case).to(dtype)
        net.load_state_dict(weights)
        return net

    out, net, states = {}, fresh(), None
    for w, window in enumerate(windows):
        found, states = gradients(case, net, window, states, dtype)
        out.update({f"{w}/{n}": t for n, t in found.items()})
    for run in case["runs"]:
        out.update({f"{run}/{n}": t for n, t in train(case, fresh(), windows, RUNS[run], dtype).items()})
    return out


def distance(a, b):
    """max|a - b| / max|b|, and 0 for two tensors of zeros."""
    a, b = a.double(), b.double()
    largest = b.abs().max().item()
    return (a - b).abs().max().item() / largest if largest else a.abs().max().item()


def make_case(name, case):
    """-> settings lines, tensors by name (float32, int32), the margin that PyTorch's float32 leaves."""
    for seed in range(1, 100):
        generator = torch.Generator().manual_seed(seed)
        net = draw_net(case, generator)
        weights = {n: t.clone() for n, t in net.state_dict().items()}
        windows = [draw_window(case, net, generator) for _ in range(case.get("windows", 1))]
        right = compute(case, weights, windows, torch.float64)
        rough = compute(case, weights, windows, torch.float32)
        worst = max(distance(rough[n], right[n]) for n in right)
        if worst <= MARGIN:
            break
    else:
        raise SystemExit(f"{name}: no seed gives a case that float32 can follow")
    tensors = {"weight/" + n: t for n, t in net.named(lambda p: p.detach()).items()}
    for w, window in enumerate(windows):
        given = {n: t for n, t in window.items() if n != "valid" and not (n == "lengths" and "lengths" not in case)}
        tensors.update({f"{w}/{n}": t for n, t in given.items()})
    tensors.update(right)
    return seed, worst, tensors


def header(case, tensors):
    lines = ["golden 1", f"input {case['input']}"]
    last = max(i for i, l in enumerate(case["layers"]) if l[0] in RECURRENT)
    for i, layer in enumerate(case["layers"]):
        options, read = options_of(layer), case["read"] if i == last else "all"
        activation = layer[2] if len(layer) > 2 and not options else "linear"
        line = [f"layer {layer[0]} {layer[1]} {activation} {read}"] + [f"{k}={v}" for k, v in options.items()]
        lines.append(" ".join(line))
    loss = [f"{k}={case[k]}" for k in ("huber_delta", "label_smoothing") if k in case]
    lines += [" ".join([f"loss {case['loss']}"] + loss), f"batch {case['batch']}", f"steps {case['steps']}",
              f"windows {case.get('windows', 1)}"]
    for run in case["runs"]:
        lines.append(" ".join([f"run {run}"] + [f"{k}={v}" for k, v in RUNS[run].items()]))
    for n, t in tensors.items():
        lines.append(f"tensor {'f32' if t.is_floating_point() else 'i32'} {n} {t.numel()}")
    return "\n".join(lines + ["data"]) + "\n"


def payload(tensor):
    values = array.array("f" if tensor.is_floating_point() else "i", tensor.flatten().tolist())
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


def read_file(path):
    """-> header text, name -> tensor."""
    data = open(path, "rb").read()
    at = data.index(b"\ndata\n") + 6
    tensors = {}
    for line in data[:at].decode().splitlines():
        if line.startswith("tensor "):
            _, kind, name, count = line.split()
            values = array.array("f" if kind == "f32" else "i", data[at:at + 4 * int(count)])
            if sys.byteorder == "big":
                values.byteswap()
            tensors[name] = torch.tensor(values.tolist(), dtype=torch.float64)
            at += 4 * int(count)
    return data[:data.index(b"\ndata\n") + 6].decode(), tensors


def check_case(path, text, tensors):
    """1 if the file says the same as what was just computed (another PyTorch may differ in the last digit)."""
    if not os.path.exists(path):
        return 0
    old_text, old = read_file(path)
    return old_text == text and all(distance(t.flatten(), old[n]) < 1e-6 for n, t in tensors.items())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "data"))
    parser.add_argument("--check", action="store_true", help="compare with the files instead of writing them")
    options = parser.parse_args()
    torch.set_num_threads(1)
    failures = 0
    os.makedirs(options.into, exist_ok=True)
    for name, case in CASES.items():
        seed, worst, tensors = make_case(name, case)
        path, text = os.path.join(options.into, name + ".golden"), header(case, tensors)
        if options.check:
            same = check_case(path, text, tensors)
            failures += not same
            print(f"{name}: {'the same' if same else 'DIFFERENT'}")
            continue
        data = text.encode() + b"".join(payload(t) for t in tensors.values())
        with open(path, "wb") as f:
            f.write(data)
        print(f"{name}: seed {seed}, float32 is within {worst:.1e} of float64, {len(data)} bytes")
    if failures:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
