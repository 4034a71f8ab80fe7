-- cell.lua [FILE.csv] [options]: one LSTM cell by hand, step by step, beside the library's own.
--
--   lstm scripts/cell.lua --steps 3
--   lstm scripts/cell.lua series.csv --plot gates.svg
--
-- Weights and inputs are drawn from the normal distribution N(0, 1); with FILE each of its rows is an input, each of
-- its columns brought to mean 0 and deviation 1. At each step, with z = W x + U h + b for every gate:
--
--   i = sigmoid(z_i)   f = sigmoid(z_f)   o = sigmoid(z_o)   g = tanh(z_g)
--   c = f * c + i * g                     h = o * tanh(c)
--
-- stdout gets all of them at each step and, last, the largest difference from the library's own step. The program ends
-- with 1 where that is more than --tolerance.

local lstm = require "lstm"
local programs = require "lstm.program"

local opt, given = lstm.args(programs.with({
  about = "Compute one LSTM cell by hand, print its gates at each step, and check them against the library.",
  {"file", optional = true, help = "CSV file: each row is the input of a step"},
  {"--inputs", default = 3, min = 1, max = 1000, help = "inputs at each step; with FILE its columns"},
  {"--hidden", default = 4, min = 1, max = 1000, help = "how many cells there are side by side"},
  {"--steps", default = 5, min = 1, max = 100000, help = "steps; with FILE at most its rows"},
  {"--tolerance", default = 1e-5, above = 0, help = "largest difference from the library that is fine"},
  {"--cell", default = 1, min = 1, help = "the cell that --plot draws"},
  {"--plot", type = "string", value = "FILE", help = "draw the gates of a cell over the steps here, as in gates.svg"},
}, "seed", "out", "load"))
opt.verbose = 1

local stop = lstm.args.stop
local program = programs(opt, given, {})
local need = program.need

local GATES = {"i", "f", "g", "o"}                   -- in the order of the rows of the weights, as in PyTorch
local NAMES = {i = "input gate", f = "forget gate", g = "candidate", o = "output gate", c = "cell", h = "output"}

-- [Numbers]

-- Numbers from N(0, 1) in rows: two uniform ones make two normal ones (Box and Muller).
local function normal(rng, rows, columns)
  local list = {}
  for r = 1, rows do
    list[r] = {}
    for k = 1, columns do
      local radius, angle = math.sqrt(-2 * math.log(1 - rng:uniform())), 2 * math.pi * rng:uniform()
      list[r][k] = radius * math.cos(angle)
    end
  end
  return list
end

local function sigmoid(z) return 1 / (1 + math.exp(-z)) end
local function tanh(z)
  local e = math.exp(-2 * math.abs(z))               -- never too large
  return (z < 0 and -1 or 1) * (1 - e) / (1 + e)
end

-- Row r of a matrix times a vector.
local function dot(row, vector)
  local sum = 0
  for k = 1, #vector do sum = sum + row[k] * vector[k] end
  return sum
end

-- [The cell by hand]

-- One step. w: weights as lists, input [4H][I], recurrent [4H][H], bias [4H]; x: [I]; h, c: [H] of the step before.
-- Returns all that happens, by name.
local function step(w, x, h, c)
  local cells = #h
  local now = {i = {}, f = {}, g = {}, o = {}, c = {}, h = {}}
  for k = 1, cells do
    for n, gate in ipairs(GATES) do
      local row = (n - 1) * cells + k
      local z = dot(w.input[row], x) + dot(w.recurrent[row], h) + w.bias[row]
      now[gate][k] = (gate == "g" and tanh or sigmoid)(z)
    end
    now.c[k] = now.f[k] * c[k] + now.i[k] * now.g[k]
    now.h[k] = now.o[k] * tanh(now.c[k])
  end
  return now
end

-- [The library's cell]

-- A layer of cells and nothing else, with weights from N(0, 1).
local function new_model(rng, inputs, cells)
  local model = lstm.model{input = inputs, lstm.lstm{cells, read = "all"}, init = "zero"}
  model:tensor("rnn.weight_ih_l0", lstm.array(normal(rng, 4 * cells, inputs)))
  model:tensor("rnn.weight_hh_l0", lstm.array(normal(rng, 4 * cells, cells)))
  model:tensor("rnn.bias_ih_l0", lstm.array(normal(rng, 1, 4 * cells)[1]))
  return model
end

-- A model whose first layer is such cells, with nothing that this program does not compute.
local function load_model(path)
  local model = need(lstm.load(path))
  local core = rawget(model, "core")                 -- a pair of models has none
  local layer = core and core:describe().layers[1] or {}
  local plain = layer.type == "lstm"
  for _, name in ipairs{"peephole", "coupled", "layer_norm", "projection", "cell_clip", "bidirectional"} do
    plain = plain and not layer[name]
  end
  plain = plain and (layer.forget or "learned") == "learned" and (layer.activation or "tanh") == "tanh"
    and (layer.gate_activation or "sigmoid") == "sigmoid"
  if not plain then stop(path .. ": the first layer is no plain LSTM, which is all that this program computes") end
  return model
end

-- The weights of the first layer as lists.
local function weights_of(model)
  local found = {}
  for _, name in ipairs(model:tensors()) do
    local kind = name:match("weight_ih_l0$") and "input" or name:match("weight_hh_l0$") and "recurrent"
      or name:match("bias_ih_l0$") and "bias"
    if kind and not found[kind] then found[kind] = model:tensor(name):totable() end
  end
  return found
end

-- [What is printed]

local function print_row(name, values)
  local words = {}
  for k, value in ipairs(values) do words[k] = (" %9.5f"):format(value) end
  print(("  %-2s%s   %s"):format(name, table.concat(words), NAMES[name] or "input"))
end

-- The largest difference between what was computed here and there at step t, and where.
local function compare(now, traced, t, worst)
  for name, values in pairs(now) do
    for k, value in ipairs(values) do
      local difference = math.abs(value - traced[name][t][k])
      if difference > worst.difference or difference ~= difference then
        worst.difference, worst.where = difference, ("%s of cell %d, step %d"):format(NAMES[name], k, t)
      end
    end
  end
end

local function draw(steps)
  if not opt.plot then return end
  local lines = {file = opt.plot, title = ("Cell %d, step by step"):format(opt.cell), x = "step"}
  for n, name in ipairs{"i", "f", "o", "c", "h"} do
    local values = {}
    for t, now in ipairs(steps) do values[t] = now[name][opt.cell] end
    lines[n] = {values, name = NAMES[name]}
  end
  need(lstm.plot(lines))
  program:say("plot: %s", opt.plot)
end

-- [The program]

program:check_writable{"out", "plot"}
if opt.load and given.hidden then stop("--hidden has no effect with --load, the model has its cells") end
if (opt.file or opt.load) and given.inputs then
  stop(("--inputs has no effect with %s, which has its own"):format(opt.file and "FILE" or "--load"))
end
local rng = lstm.rng(opt.seed)
local rows = opt.file and need(lstm.csv(opt.file))
local model = opt.load and load_model(opt.load)
local inputs = rows and rows.width or opt.inputs
if model then
  local wanted = model.core:sizes()
  if rows and wanted ~= inputs then
    stop(("%s has %d column%s, %s wants %d inputs"):format(opt.file, inputs, inputs == 1 and "" or "s", opt.load,
      wanted))
  end
  inputs, opt.hidden = wanted, model.core:describe().layers[1].size
end
model = model or new_model(rng, inputs, opt.hidden)
if opt.cell > opt.hidden then stop(("--cell %d: there are only %d cells"):format(opt.cell, opt.hidden)) end
local count = rows and math.min(#rows, given.steps and opt.steps or 5) or opt.steps
local x = rows and lstm.zscore(rows):apply(rows).data:slice(1, count):totable() or normal(rng, count, inputs)

local state = model:state():trace{layer = 1, steps = count}
local w, h, c = weights_of(model), {}, {}
for k = 1, opt.hidden do h[k], c[k] = 0, 0 end
local steps = {}
for t = 1, count do
  state:step(lstm.array(x[t]))
  steps[t] = step(w, x[t], h, c)
  h, c = steps[t].h, steps[t].c
  print(("step %d"):format(t))
  print_row("x", x[t])
  for _, name in ipairs{"i", "f", "g", "o", "c", "h"} do print_row(name, steps[t][name]) end
end
local worst, traced = {difference = 0, where = "nowhere"}, state:traced()
for t, now in ipairs(steps) do compare(now, traced, t, worst) end
draw(steps)
if opt.out then
  need(model:save(opt.out))
  program:say("model: %s", opt.out)
end
print(("largest difference from the library: %.2g (%s)"):format(worst.difference, worst.where))
if worst.difference > opt.tolerance or worst.difference ~= worst.difference then
  stop(("that is more than --tolerance %g"):format(opt.tolerance))
end
