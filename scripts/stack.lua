-- stack.lua [FILE.csv] [options]: regression with a stack of layers, as the tutorials have it.
--
--   lstm scripts/stack.lua --plot stack.svg --loss-plot loss.svg
--   lstm scripts/stack.lua weather.csv --target Temp --look-back 30 --out weather.safetensors
--   lstm scripts/stack.lua weather.csv --load weather.safetensors
--
-- 10 features at each of 50 steps go into an LSTM of 50 cells with relu, dropout 0.2, a dense layer of 25 with relu,
-- dropout 0.2, and a linear dense layer, which gives one number; mean squared error, Adam, batches of 32, 100 epochs.
-- Without FILE the data are drawn: each feature from U(0, 1), and the target is a sum that fades, y = 0.9 y + a b with
-- features 1 and 2 of each step; the other features are noise that the network has to leave out. With FILE the target
-- is a column, some rows after those that are read. The last line on stdout is `test RMSE X mean Y`: the error of the
-- network, and that of always saying the mean of the learned targets.

local lstm = require "lstm"
local programs = require "lstm.program"

local opt, given = lstm.args(programs.with({
  about = "Learn a number from many features over many steps, with an LSTM under dropout and dense layers.",
  examples = {
    {"--plot stack.svg --loss-plot loss.svg", "learns a rule from drawn numbers and draws what came of it"},
    {"weather.csv --target Temp --out weather.safetensors", "learns a column of your own table from all its columns"},
    {"weather.csv --load weather.safetensors", "the next value, by a model that was saved"},
  },
  {"file", optional = true, help = "CSV file with one row for each time step, oldest first; without it data are drawn"},
  {"--target", type = "string", value = "NAME", help = "with FILE: the column to learn (default: the only one)"},
  {"--columns", type = "string", value = "A,B,...", help = "with FILE: the columns to read (default: all numbers)"},
  {"--ahead", default = 1, min = 1, help = "with FILE: how many rows after the last one read the target is"},
  {"--missing", default = "error", choices = {"error", "interpolate", "drop"}, help = "what to do with empty cells"},
  {"--look-back", default = 50, min = 1, alias = "--steps", help = "steps of each sample"},
  {"--features", default = 10, min = 2, help = "without FILE: numbers at each step"},
  {"--samples", default = 1000, min = 50, help = "without FILE: how many are drawn"},
  {"--hidden", default = 50, min = 1, help = "cells of the LSTM"},
  {"--activation", default = "relu", choices = {"relu", "tanh", "softsign"}, help = "what cells squash with"},
  {"--peephole", flag = true, help = "gates also see the cell, through a weight of each (Gers, 2002)"},
  {"--dense", default = 25, min = 0, help = "units of the layer after it, with relu; 0 = none"},
  {"--dropout", type = "number", default = 0.2, min = 0, below = 1, help = "share of values dropped while training"},
  {"--epochs", default = 100, min = 1, help = "times the samples are gone through; with --resume, the total"},
  {"--batch", default = 32, min = 1, help = "samples for each training step"},
  {"--lr", default = 1e-3, above = 0, help = "learning rate"},
  {"--clip", type = "number", default = 5, min = 0, help = "largest gradient norm, 0 = any"},
  {"--test", default = 0.2, above = 0, below = 1, help = "share of the samples or rows, at their end, to test on"},
  {"--val", type = "number", default = 0.1, min = 0, below = 1,
    help = "share of the others, at their end, to choose the best epoch by; 0 = the last epoch counts"},
  {"--plot", type = "string", value = "FILE", help = "draw the test's predictions against the truth, as in stack.svg"},
}, "init", "patience", "seed", "out", "load", "checkpoint", "resume", "loss_plot", "report", "verbose"))

-- What shapes the model and the run: kept in the model file, so that --load and --resume need none of it again.
local kept = {"ahead", "missing", "look_back", "features", "samples", "hidden", "activation", "peephole", "dense",
  "dropout", "epochs", "batch", "lr", "clip", "test", "val", "init", "patience", "seed"}

-- What a resumed run is to be told again.
local unkept = {"target", "columns", "out", "plot", "loss_plot", "report", "verbose"}

local stop = lstm.args.stop
local program = programs(opt, given, unkept)
local need = program.need

-- [Drawn data]

-- One sample: its numbers [steps * features] at the end of a list, and its target.
local function draw_sample(rng, list)
  local y = 0
  for _ = 1, opt.look_back do
    local first = #list + 1
    for k = 0, opt.features - 1 do list[first + k] = rng:uniform() end
    y = 0.9 * y + list[first] * list[first + 1]
  end
  return y
end

-- count samples: x [count][look_back][features], y [count][1].
local function draw_samples(rng, count)
  local blocks, y = lstm.zeros{count, opt.look_back * opt.features}, lstm.zeros{count, 1}
  for i = 1, count do
    local list = {}
    y[i][1] = draw_sample(rng, list)
    blocks[i] = lstm.array(list)
  end
  return {x = blocks:reshape{count, opt.look_back, opt.features}, y = y}
end

-- Samples from..to of a set.
local function part(set, from, to) return {x = set.x:slice(from, to), y = set.y:slice(from, to)} end

local function drawn_data()
  local all = draw_samples(lstm.rng(opt.seed, 2 ^ 40), opt.samples)
  local known = math.floor(opt.samples * (1 - opt.test))
  local learned = opt.val > 0 and math.floor(known * (1 - opt.val)) or known
  if learned < 1 or known >= opt.samples or opt.val > 0 and learned == known then
    stop(("--samples %d are too few for --test %g and --val %g"):format(opt.samples, opt.test, opt.val))
  end
  local test = part(all, known + 1, opt.samples)
  return {
    train = part(all, 1, learned), validation = opt.val > 0 and part(all, learned + 1, known) or nil, test = test,
    inputs = opt.features, count = learned, tested = opt.samples - known, name = "the rule",
    undo = function(array) return array end,
    truth = test.y, mean = all.y:slice(1, learned):mean(),
  }
end

-- [A table]

local function read_rows(target)
  local columns
  for name in (opt.columns or ""):gmatch("[^,]+") do
    columns = columns or {}
    columns[#columns + 1] = name
  end
  local rows, message = lstm.csv(opt.file, {columns = columns, missing = opt.missing})
  if not rows then
    stop((message:gsub("%(missing = .*%)", "(--missing interpolate or --missing drop accepts that)")))
  end
  if not target and rows.width > 1 then
    stop(("%s has %d columns of numbers (%s): say which one with --target"):format(opt.file, rows.width,
      table.concat(rows.columns, ", ")))
  end
  target = target or rows.columns[1]
  local fine, problem = pcall(rows.column, rows, target)
  if not fine then
    stop((given.target and "--target" or opt.file) .. ": " ..
      tostring(problem):gsub("^[^\n]-:%d+: ", ""):gsub("^column: ", ""))
  end
  return rows, target
end

-- The windows of a table in three parts, each scaled by what the first one measured.
local function table_data(rows, target, scale)
  local function too_few(what, count)
    stop(("%s has %d rows, too few: %d of them are left to %s, --look-back %d and --ahead %d need %d"):format(opt.file,
      #rows, count, what, opt.look_back, opt.ahead, opt.look_back + opt.ahead))
  end
  local known = math.floor(#rows * (1 - opt.test))
  local learned = opt.val > 0 and math.floor(known * (1 - opt.val)) or known
  if learned < opt.look_back + opt.ahead then too_few("learn from", learned) end
  if known >= #rows or opt.val > 0 and learned >= known then too_few("measure on", 0) end
  scale = scale or lstm.zscore(rows:slice(1, learned))
  local scaled = scale:apply(rows)
  local function windows(from, to)
    return scaled:slice(from, to):windows{look_back = opt.look_back, ahead = opt.ahead, target = target,
      before = from > 1 and scaled:slice(1, from - 1) or nil}
  end
  local data = {
    train = windows(1, learned), validation = opt.val > 0 and windows(learned + 1, known) or nil,
    test = windows(known + 1, #rows), inputs = rows.width, name = target, scale = scale, scaled = scaled,
    undo = function(array) return scale:undo(array, target) end,
  }
  data.count, data.tested = #data.train, #data.test
  data.truth, data.mean = data.undo(data.test:targets()), data.undo(data.train:targets()):mean()
  return data
end

-- [The model]

local function new_model(inputs)
  local layers = {lstm.lstm{opt.hidden, activation = opt.activation, peephole = opt.peephole or nil, read = "last"}}
  local function drop()
    if opt.dropout > 0 then layers[#layers + 1] = lstm.dropout(opt.dropout) end
  end
  drop()
  if opt.dense > 0 then
    layers[#layers + 1] = lstm.dense{opt.dense, activation = "relu"}
    drop()
  end
  layers.input, layers.output, layers.loss, layers.init, layers.seed = inputs, 1, "mse", opt.init, opt.seed
  return lstm.model(layers)
end

local function learn(model, data)
  local meta = model.meta
  meta.stack, meta.target, meta.scale = lstm.args.keep(opt, kept), data.scale and data.name, data.scale
  if opt.resume then program:check_epochs(model, data.count) end
  program:say("%d samples of %d steps with %d features to learn from, %d to test on; %d parameters", data.count,
    opt.look_back, data.inputs, data.tested, model:parameters())
  program:warn_unsaved()
  return program:fit(model, data.train, {
    validation = data.validation, epochs = opt.epochs, batch = opt.batch, lr = opt.lr, clip = opt.clip,
    seed = opt.seed, patience = opt.patience, checkpoint = opt.checkpoint or opt.resume, resume = opt.resume,
    verbose = opt.verbose, on_epoch = not data.validation and program.keep_last or nil,
  }, {y = "mean squared error" .. (data.scale and ", scaled" or ""), log = true})
end

-- [What it says]

-- Drawn samples have no order: each is a dot, and a perfect network would put all of them on the line.
local function draw_dots(guess, truth)
  local low, high = math.min(truth:min(), guess:min()), math.max(truth:max(), guess:max())
  return lstm.plot{
    file = opt.plot, title = "What the network says of samples that it has not seen", x = "truth", y = "prediction",
    {{low, high}, x = {low, high}, name = "equal", style = "muted"},
    {guess:reshape{#guess}, x = truth:reshape{#truth}, name = "test samples", style = "dots"},
  }
end

local function print_next(model, scale, scaled, target)
  local last = scaled:slice(-opt.look_back).data:reshape{1, opt.look_back, scaled.width}
  print(("%s of %s: %.6g"):format(opt.ahead == 1 and "next value" or opt.ahead .. "th next value", target,
    scale:undo(model:predict(last), target)[1][1]))
end

-- --plot and --report, of what was forecast or of single samples.
local function draw(model, history, data, guess)
  local what = {model = model, history = history, log = true}
  what.title = opt.file and opt.file:match("[^/\\]+$") or "A number from many features"
  if data.scale then
    what.forecast = {truth = data.truth, guess = guess, title = ("%s, %d row%s ahead"):format(data.name, opt.ahead,
      opt.ahead == 1 and "" or "s"), x = "row of the test part", y = data.name}
  elseif opt.plot then
    need(draw_dots(guess, data.truth))
    program:say("plot: %s", opt.plot)
    opt.plot = nil
  end
  program:draw(what)
end

local function print_test(model, history, data)
  local guess = data.undo(model:predict(data.scale and data.test or data.test.x))
  draw(model, history, data, guess)
  if data.scale then print_next(model, data.scale, data.scaled, data.name) end
  print(("test RMSE %.4g mean %.4g"):format(lstm.rmse(guess, data.truth), lstm.rmse(data.truth * 0 + data.mean,
    data.truth)))
end

-- [The program]

-- A model of drawn numbers is no model of a table, nor the other way round.
local function check_kind(path, model)
  if (model.meta.target ~= nil) == (opt.file ~= nil) then return end
  stop(("%s was learned from %s"):format(path, opt.file and "drawn data: leave FILE out" or "a table: give FILE"))
end

-- The columns of a table must be those that a model has learned.
local function check_columns(path, scale, rows)
  local fine, problem = pcall(scale.apply, scale, rows)
  if fine and #scale.columns == rows.width then return end
  stop(("%s has not the columns that %s has learned, %s%s"):format(opt.file, path, table.concat(scale.columns, ", "),
    fine and "" or ": " .. tostring(problem):gsub("^[^\n]-:%d+: ", "")))
end

-- --load with few rows: there is nothing to test on, but the last ones tell what is next.
local function next_and_exit(model, rows, target)
  if #rows < opt.look_back then
    stop(("%s has %d rows, too few: the model looks at the last %d"):format(opt.file, #rows, opt.look_back))
  end
  program:say("%s has %d rows, too few to test the model on", opt.file, #rows)
  print_next(model, model.meta.scale, model.meta.scale:apply(rows), target)
  os.exit(0, true)
end

if not opt.file then
  for _, name in ipairs{"target", "columns", "ahead", "missing"} do
    if given[name] then stop(("--%s belongs to a FILE"):format(name), 2) end
  end
end
program:check_writable{"out", "checkpoint", "plot", "loss_plot", "report"}
local model, history
if opt.load then
  program:check_load_options{"file", "load", "columns", "test", "missing", "plot", "report", "seed", "verbose"}
  model = program:open(opt.load, "stack")
  lstm.args.recall(opt, given, model.meta.stack)
elseif opt.resume then
  model = program:reopen("stack", {"epochs", "patience"})
end
if model then check_kind(opt.load or opt.resume, model) end
local data
if opt.file then
  if model and given.target and opt.target ~= model.meta.target then
    stop(("--target %s conflicts with --target %s, which %s was made with"):format(opt.target, model.meta.target,
      opt.resume))
  end
  local rows, target = read_rows(opt.target or model and model.meta.target)
  if model then check_columns(opt.load or opt.resume, model.meta.scale, rows) end
  if opt.load and math.floor(#rows * (1 - opt.test) * (1 - opt.val)) < opt.look_back + opt.ahead then
    next_and_exit(model, rows, target)
  end
  data = table_data(rows, target, model and model.meta.scale)
else
  data = drawn_data()
end
if not opt.load then
  model = model or new_model(data.inputs)
  history = learn(model, data)
end
print_test(model, history, data)
