"""The works of tests/bench/bench.c in PyTorch (and three steps in ONNX Runtime), in turns with lstm.h.

    python3 tests/bench/vs_torch.py [--quick] [--cpu] [--only TEXT] [--bench PROGRAM] [--json PATH]

--cpu: processor time instead of the wall clock's, for a machine with other work to do; rows of one thread only.

Each round times a slice of ours and then one of theirs; the times are medians of the rounds, a ratio is the median of
the rounds' ratios: above 1, lstm.h is faster. Each work has PyTorch in several forms, of which the fastest takes part;
its name is in the table. Steps run under inference_mode, with the state fed back. Training is what `lstm_train` does:
forward, loss, backward, clip to a global norm of 5, Adam. Times are of one call, in nanoseconds; the last row is bytes.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import warnings

try:
    import torch
except ImportError:
    sys.exit("PyTorch is not installed: pip install torch==2.13.0")

warnings.filterwarnings("ignore", category=DeprecationWarning)  # torch.jit says so of itself

STEPS = [(1, hidden, 1, True) for hidden in (8, 16, 20, 32, 40, 64)] + [(n, n, 1, False) for n in (64, 128, 256)]
STEPS.append((32, 128, 2, False))
ONNX_STEPS = ((1, 32, 1, True), (64, 64, 1, False), (32, 128, 2, False))
TEXTS = ((128, 1, 32), (256, 1, 32), (512, 1, 32), (512, 2, 64))  # hidden, layers, batch
MEMORY_OF = "train V=96 E=64 H=256 L=1 T=64 B=32"


def step_name(inputs, hidden, layers):
    return f"step I={inputs} H={hidden}" + (f" L={layers}" if layers > 1 else "")


def text_name(hidden, layers, batch):
    return f"train V=96 E=64 H={hidden} L={layers} T=64 B={batch}"


# --- steps ------------------------------------------------------------------------------------------------------------


class Step(torch.nn.Module):
    """nn.LSTM over one step of all lanes, and a linear layer."""

    def __init__(self, inputs, hidden, layers, dense):
        super().__init__()
        self.rnn = torch.nn.LSTM(inputs, hidden, layers)
        self.head = torch.nn.Linear(hidden, 1) if dense else torch.nn.Identity()

    def forward(self, x, h, c):
        y, (h, c) = self.rnn(x, (h, c))
        return self.head(y), h, c


class Cells(torch.nn.Module):
    """The same of nn.LSTMCell; states are [layers, lanes, hidden] here, too."""

    def __init__(self, inputs, hidden, layers, dense):
        super().__init__()
        self.cells = torch.nn.ModuleList([torch.nn.LSTMCell(hidden if i else inputs, hidden) for i in range(layers)])
        self.head = torch.nn.Linear(hidden, 1) if dense else torch.nn.Identity()

    def forward(self, x, h, c):
        if len(self.cells) == 1:
            h, c = self.cells[0](x, (h, c))
            return self.head(h), h, c
        hs, cs = [], []
        for i, cell in enumerate(self.cells):
            x, kept = cell(x, (h[i], c[i]))
            hs.append(x)
            cs.append(kept)
        return self.head(x), torch.stack(hs), torch.stack(cs)


def stepper(module, x, h, c):
    state = [h, c]

    def work():
        with torch.inference_mode():
            _, state[0], state[1] = module(x, state[0], state[1])

    return work


def step_forms(inputs, hidden, layers, dense, lanes=1):
    flat = layers == 1
    for name, kind, x, state in (
        ("LSTM", Step, torch.rand(1, lanes, inputs), torch.zeros(layers, lanes, hidden)),
        ("LSTMCell", Cells, torch.rand(lanes, inputs), torch.zeros(lanes, hidden) if flat else
         torch.zeros(layers, lanes, hidden)),
    ):
        module = kind(inputs, hidden, layers, dense).eval()
        yield name, stepper(module, x, state, state.clone())
        try:
            with torch.no_grad():
                frozen = torch.jit.freeze(torch.jit.trace(module, (x, state, state.clone())))
        except (AttributeError, RuntimeError) as reason:  # a version without torch.jit
            print(f"torch.jit: {reason}", file=sys.stderr)
            continue
        yield f"{name} (jit)", stepper(frozen, x, state, state.clone())


# --- training ---------------------------------------------------------------------------------------------------------


class Text(torch.nn.Module):
    def __init__(self, symbols, embed, hidden, layers):
        super().__init__()
        self.embed = torch.nn.Embedding(symbols, embed)
        self.rnn = torch.nn.LSTM(embed, hidden, layers)
        self.head = torch.nn.Linear(hidden, symbols)

    def forward(self, x, state=None):
        y, state = self.rnn(self.embed(x), state)
        return self.head(y), state


class Forecast(torch.nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.rnn = torch.nn.LSTM(1, hidden)
        self.head = torch.nn.Linear(hidden, 1)

    def forward(self, x):
        return self.head(self.rnn(x)[0][-1])


def trainer(model, loss_of, how):
    parameters = list(model.parameters())
    adam = torch.optim.Adam(parameters, lr=1e-3, **{how: True})

    def work():
        adam.zero_grad(set_to_none=True)
        loss_of().backward()
        torch.nn.utils.clip_grad_norm_(parameters, 5, foreach=True)
        adam.step()

    return work


def text_forms(hidden, layers, batch, symbols=96, embed=64, steps=64):
    ids = torch.randint(symbols, (steps, batch))
    for how in ("fused", "foreach"):
        model, carried = Text(symbols, embed, hidden, layers), [None]

        def loss_of(model=model, carried=carried):
            y, state = model(ids, carried[0])
            carried[0] = tuple(s.detach() for s in state)
            return torch.nn.functional.cross_entropy(y.view(-1, symbols), ids.view(-1))

        yield f"Adam {how}", trainer(model, loss_of, how)


def forecast_forms(batch, hidden=50, steps=10):
    x, y = torch.rand(steps, batch, 1), torch.rand(batch, 1)
    for how in ("fused", "foreach"):
        model = Forecast(hidden)
        yield f"Adam {how}", trainer(model, lambda model=model: torch.nn.functional.mse_loss(model(x), y), how)


# --- ONNX Runtime -----------------------------------------------------------------------------------------------------


def onnx_step(inputs, hidden, layers, dense):
    """A function that makes one step on one thread. Its inputs and outputs are bound once; the state is not fed back,
    which would only add to its time."""
    import numpy
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    random = numpy.random.default_rng(0)
    nodes, constants, feeds, last = [], [], {"x": numpy.ones((1, 1, inputs), numpy.float32)}, "x"

    def constant(name, *shape):
        constants.append(numpy_helper.from_array(random.normal(0, 0.1, shape).astype(numpy.float32), name))
        return name

    outputs = []
    for i in range(layers):
        width = hidden if i else inputs
        for state in (f"h{i}", f"c{i}"):
            feeds[state] = numpy.zeros((1, 1, hidden), numpy.float32)
        nodes.append(helper.make_node(
            "LSTM", [last, constant(f"w{i}", 1, 4 * hidden, width), constant(f"r{i}", 1, 4 * hidden, hidden),
                     constant(f"b{i}", 1, 8 * hidden), "", f"h{i}", f"c{i}"],
            ["", f"nh{i}", f"nc{i}"], hidden_size=hidden))
        outputs += [f"nh{i}", f"nc{i}"]
        last = f"nh{i}"
    if dense:
        nodes.append(helper.make_node("MatMul", [last, constant("head", 1, hidden, 1)], ["product"]))
        nodes.append(helper.make_node("Add", ["product", constant("bias", 1)], ["y"]))
        outputs.append("y")
    graph = helper.make_graph(
        nodes, "step", [helper.make_tensor_value_info(k, TensorProto.FLOAT, v.shape) for k, v in feeds.items()],
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, (1, 1, 1 if k == "y" else hidden)) for k in outputs],
        constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for name, value in feeds.items():
        binding.bind_cpu_input(name, value)
    session_outputs = session.run(outputs, feeds)
    for name, value in zip(outputs, session_outputs):
        value = onnxruntime.OrtValue.ortvalue_from_numpy(value)
        binding.bind_ortvalue_output(name, value)
    return lambda: session.run_with_iobinding(binding)


def onnx_forms(*shape):
    try:
        yield "ONNX Runtime", onnx_step(*shape)
    except ImportError as reason:
        print(f"skip: ONNX Runtime: {reason} (pip install onnxruntime onnx)")


# --- turns ------------------------------------------------------------------------------------------------------------


class Ours:
    """build/bench/bench, which times a slice when it is asked for one."""

    def __init__(self, options, work, threads):
        command = [options.bench, "--serve", "--only", work, "--threads", str(threads)] + ["--cpu"] * options.cpu
        self.process = subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.hello = self.process.stdout.readline().strip()

    def slice(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Theirs:
    """A function, timed in slices."""

    def __init__(self, work, clock, seconds=0.01):
        self.work, self.clock, self.count = work, clock, 1
        once, calls = self.slice(), 1
        while once * calls < 0.5 and calls < 6:  # torch.jit's executors need some calls
            once, calls = min(once, self.slice()), calls + 1
        self.count = max(1, int(seconds / once))

    def slice(self):
        start = self.clock()
        for _ in range(self.count):
            self.work()
        return (self.clock() - start) / self.count


def fastest(forms, clock):
    """Name and work of the form with the shortest slice."""
    best = None
    for name, work in forms:
        theirs = Theirs(work, clock)
        seconds = min(theirs.slice() for _ in range(3 if theirs.count > 1 else 1))
        if best is None or seconds < best[0]:
            best = seconds, name, theirs
    return best[1:] if best else (None, None)


def take_turns(ours, theirs, seconds):
    """Medians of both and of the ratio; at least two rounds."""
    a, b, end = [], [], time.perf_counter() + seconds
    ours.slice()
    while len(a) < 2 or (time.perf_counter() < end and len(a) < 100):
        a.append(ours.slice())
        b.append(theirs.slice())
    return (statistics.median(a), statistics.median(b), statistics.median(y / x for x, y in zip(a, b)))


def compare(options, work, forms, threads=1):
    torch.set_num_threads(threads)
    name, theirs = fastest(forms, time.process_time if options.cpu else time.perf_counter)
    if theirs is None:
        return None
    ours = Ours(options, work, threads)
    mine, other, ratio = take_turns(ours, theirs, 0.4 if options.quick else 3)
    ours.close()
    print(f"{work:37}{threads:3}{mine * 1e6:13.2f}{other * 1e6:13.2f}{ratio:10.2f}  {name}", flush=True)
    return {"work": work, "threads": threads, "unit": "ns", "ours": mine * 1e9, "torch": other * 1e9, "ratio": ratio,
            "form": name}


# --- memory -----------------------------------------------------------------------------------------------------------


def memory(process, what):
    with open(f"/proc/{process}/status") as file:
        for line in file:
            if line.startswith(what + ":"):
                return int(line.split()[1]) * 1024
    raise SystemExit(f"{what} is not in /proc/{process}/status")


def memory_of_torch():
    """In a process of its own: what training adds at its peak to the memory after import."""
    torch.set_num_threads(1)
    before = memory("self", "VmRSS")
    forms = text_forms(256, 1, 32)
    _, work = next(forms)
    for _ in range(5):
        work()
    print(memory("self", "VmHWM") - before)


def compare_memory(options):
    ours = Ours(options, MEMORY_OF, 1)
    before = memory(ours.process.pid, "VmRSS")
    for _ in range(5):
        ours.slice()
    mine = memory(ours.process.pid, "VmHWM") - before
    ours.close()
    other = int(subprocess.run([sys.executable, __file__, "--memory-of-torch"], check=True, text=True,
                               stdout=subprocess.PIPE).stdout)
    print(f"memory that it adds: lstm.h {mine / 2**20:.1f} MB, PyTorch {other / 2**20:.1f} MB ({MEMORY_OF})")
    return {"work": "memory " + MEMORY_OF, "threads": 1, "unit": "bytes", "ours": mine, "torch": other,
            "ratio": other / mine}


# --- all of it --------------------------------------------------------------------------------------------------------


def works():
    """Name, threads, and a function that gives PyTorch's forms."""
    for inputs, hidden, layers, dense in STEPS:
        yield step_name(inputs, hidden, layers), 1, lambda s=(inputs, hidden, layers, dense): step_forms(*s)
    yield "lanes N=1024 H=32", 1, lambda: step_forms(1, 32, 1, True, 1024)
    for threads in (1, 2):
        for shape in TEXTS:
            yield text_name(*shape), threads, lambda s=shape: text_forms(*s)
        for batch in (32, 1):
            yield f"train I=1 H=50 T=10 B={batch}", threads, lambda b=batch: forecast_forms(b)


def add_onnx(options, results):
    rows = {row["work"]: row for row in results if row["threads"] == 1}
    for shape in ONNX_STEPS:
        row = rows.get(step_name(*shape[:3]))
        found = row and compare(options, row["work"], onnx_forms(*shape))
        if found:
            row["onnxruntime"], row["onnxruntime_ratio"] = found["torch"], found["ratio"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--bench", default="build/bench/bench")
    parser.add_argument("--json", default="build/vs_torch.json")
    parser.add_argument("--memory-of-torch", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_of_torch:
        return memory_of_torch()
    hello = Ours(options, "step I=1 H=8", 1)
    hello.close()
    print(f"{hello.hello}; PyTorch {torch.__version__}; medians of turns, microseconds")
    print(f"{'':37}thr{'lstm.h':>13}{'PyTorch':>13}{'ratio':>10}  fastest form")
    results = [compare(options, work, forms(), threads) for work, threads, forms in works()
               if options.only in work and threads <= (1 if options.cpu else os.cpu_count())]
    add_onnx(options, results)
    if options.only in "memory " + MEMORY_OF:
        results.append(compare_memory(options))
    with open(options.json, "w") as file:
        json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
