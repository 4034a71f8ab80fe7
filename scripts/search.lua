-- search.lua DATA [options]: tries options of a forecast or a classification by cross-validation, and keeps the best.
--
--   lstm scripts/search.lua series.csv --try lr=1e-3,3e-3 --try hidden=16,64 --file search.csv --out best.safetensors
--   lstm scripts/search.lua gestures.ts --try lr=1e-4..1e-2 --try hidden=16..128 --random 20 --folds 5
--
-- DATA is what `lstm forecast` (a .csv file) or `lstm classify` (a folder of classes, a .ts file) takes. Each trial is
-- trained once for each fold and measured on what that fold leaves out: for a series on the rows that follow, for
-- classes on an equal share of each. The last share of the rows (--test), or a share of each class, has no part in
-- this: the best options are learned once more from all the rest and tested on it. stdout gets the table of trials and,
-- last, the line of that test; --file keeps the trials, and the same command goes on with them. Everything else goes to
-- stderr.

local lstm = require "lstm"
local classes = require "lstm.classes"
local programs = require "lstm.program"
local series = require "lstm.series"

local opt, given = lstm.args(programs.with({
  about = "Try options of a forecast or a classification by cross-validation, and keep the best.",
  examples = {
    {"series.csv --try lr=1e-3,3e-3 --try hidden=16,64 --out best.safetensors",
      "all four; lstm forecast loads the best"},
    {"gestures.ts --try lr=1e-4..1e-2 --try hidden=16..128 --random 20", "twenty trials drawn from ranges"},
  },
  {"data", help = "a .csv file to forecast, or a folder of classes or a .ts file to classify"},
  {"--try", type = "string", many = true, value = "NAME=A,B",
    help = "an option below and its values, or a range A..B; once for each (default lr=1e-3,3e-3,1e-2 hidden=16,64)"},
  {"--random", type = "integer", min = 1, value = "N", help = "N trials drawn at random (default: all combinations)"},
  {"--folds", default = 3, min = 2, help = "how often each trial is trained and measured"},
  {"--monitor", default = "val_loss", choices = {"val_loss", "accuracy", "f1"}, help = "what decides; of classes"},
  {"--file", type = "string", value = "FILE",
    help = "a CSV file for the trials; a search that was ended goes on there"},
  {"--test", default = 0.2, above = 0, below = 1, help = "share of the data to test the best on, at the end"},
  {"--target", type = "string", value = "NAME", help = "series: the column to forecast"},
  {"--columns", type = "string", value = "A,B,C", help = "series: what to learn from (default: the target alone)"},
  {"--look-back", default = 10, min = 1, help = "series: rows that a forecast is made from"},
  {"--steps", default = 1, min = 1, help = "series: rows that the model forecasts at once"},
  {"--hidden", default = 32, min = 1, help = "cells per layer"},
  {"--layers", default = 1, min = 1, max = 16, help = "recurrent layers"},
  {"--cell", default = "lstm", choices = {"lstm", "gru"}, help = "what the layers are made of"},
  {"--bidirectional", flag = true, help = "a second layer reads from the end; --try bidirectional=true,false"},
  {"--dropout", type = "number", default = 0, min = 0, below = 1, help = "share of values dropped while training"},
  {"--epochs", default = 20, min = 1, help = "times the data are gone through"},
  {"--batch", default = 32, min = 1, help = "windows or sequences for each training step"},
  {"--lr", default = 3e-3, above = 0, help = "learning rate"},
  {"--optimizer", default = "adam", choices = {"adam", "adamw", "rmsprop", "sgd"}, help = "how weights are updated"},
  {"--weight-decay", type = "number", default = 0, min = 0, help = "pull of the weights towards 0"},
  {"--clip", type = "number", default = 5, min = 0, help = "largest gradient norm, 0 = any"},
  {"--plot", type = "string", value = "FILE", help = "draw the test of the best here, as in best.svg"},
}, "init", "seed", "out", "verbose"))

local stop = lstm.args.stop
local program = programs(opt, given, {}, {"data"})
local need = program.need

-- What may be tried, and what kind of values it has.
local tried = {
  look_back = "whole", hidden = "whole", layers = "whole", cell = {"lstm", "gru"}, bidirectional = "flag",
  dropout = "number", epochs = "whole", batch = "whole", lr = "number", clip = "number", weight_decay = "number",
  optimizer = {"adam", "adamw", "rmsprop", "sgd"},
}
local logarithmic = {lr = true, hidden = true, batch = true, weight_decay = true, look_back = true}

-- [The space]

local function bad_value(text, name, wanted) stop(("--try %s: %s must be %s"):format(text, name, wanted), 2) end

-- One value of an option, from its text.
local function value_of(text, name, word)
  local kind = tried[name]
  if type(kind) == "table" then
    for _, choice in ipairs(kind) do
      if choice == word then return word end
    end
    bad_value(text, name, "one of " .. table.concat(kind, ", "))
  elseif kind == "flag" then
    if word ~= "true" and word ~= "false" then bad_value(text, name, "true or false") end
    return word == "true"
  end
  local number = tonumber(word)
  if not number or number < 0 or kind == "whole" and (number < 1 or number ~= math.floor(number)) then
    bad_value(text, name, kind == "whole" and "a whole number of at least 1" or "a number of at least 0")
  end
  return kind == "whole" and math.floor(number) or number
end

-- "lr=1e-3,3e-3" -> "lr", {1e-3, 3e-3}; "lr=1e-4..1e-2" -> "lr", a range.
local function read_try(text)
  local name, values = text:match("^%s*%-*([%w_%-]+)%s*=%s*(.-)%s*$")
  if not name or values == "" then stop(("--try %s: NAME=A,B or NAME=A..B is needed"):format(text), 2) end
  name = name:gsub("%-", "_")
  if not tried[name] then
    local names = {}
    for known in pairs(tried) do names[#names + 1] = known end
    table.sort(names)
    stop(("--try %s: %s"):format(text, require "lstm.options".unknown("option", name, names)), 2)
  end
  local low, high = values:match("^([%d.eE+-]-)%.%.([%d.eE+-]+)$")
  if low then
    low, high = value_of(text, name, low), value_of(text, name, high)
    if type(low) ~= "number" or low >= high or logarithmic[name] and low <= 0 then
      stop(("--try %s: a range goes from a smaller to a larger number"):format(text), 2)
    end
    return name, lstm.range(low, high, {log = logarithmic[name], whole = tried[name] == "whole" or nil,
      steps = not opt.random and 3 or nil})
  end
  local list = {}
  for word in values:gmatch("[^,]+") do list[#list + 1] = value_of(text, name, word:match("^%s*(.-)%s*$")) end
  return name, list
end

local function read_space()
  local space = {}
  for _, text in ipairs(#opt["try"] > 0 and opt["try"] or {"lr=1e-3,3e-3,1e-2", "hidden=16,64"}) do
    local name, values = read_try(text)
    if space[name] then stop(("--try names %s twice"):format(name), 2) end
    if given[name] then stop(("--%s and --try %s: give one of them"):format(name:gsub("_", "-"), text), 2) end
    space[name] = values
  end
  return space
end

-- [What a trial is]

local space                                          -- name = values
-- The value of an option in a trial.
local function of(trial, name)
  if space[name] ~= nil then return trial[name] end
  return opt[name]
end

local function layers_of(trial, input, output, loss)
  local layers = {input = input, output = output, loss = loss, init = opt.init, seed = opt.seed}
  if type(input) == "table" then layers[1] = lstm.embedding(math.min(64, input:size())) end
  local cell, dropout = lstm[of(trial, "cell")], of(trial, "dropout")
  for _ = 1, of(trial, "layers") do
    layers[#layers + 1] = cell{of(trial, "hidden"), bidirectional = of(trial, "bidirectional") or nil}
    if dropout > 0 then layers[#layers + 1] = lstm.dropout(dropout) end
  end
  return lstm.model(layers)
end

-- Options of fit; trial nil: only those that every trial shares.
local function fit_options(trial)
  local result = {seed = opt.seed}
  for _, name in ipairs{"epochs", "batch", "lr", "clip", "optimizer", "weight_decay"} do
    if trial or space[name] == nil then result[name] = of(trial, name) end
  end
  if result.weight_decay == 0 then result.weight_decay = nil end
  return result
end

local function names_of(text)
  local names = text and {}
  for name in (text or ""):gmatch("[^,]+") do names[#names + 1] = name:match("^%s*(.-)%s*$") end
  return names
end

-- A series: {data =, folds =, prepare =, model =, finish =}.
local function series_task()
  if opt.monitor ~= "val_loss" then stop(("--monitor %s is for classes, not for a series"):format(opt.monitor), 2) end
  local targets, columns = names_of(opt.target), names_of(opt.columns)
  if targets and #targets > 1 then stop("--target: one column, please", 2) end
  local wanted = columns or targets
  if columns and targets then
    local found = false
    for _, name in ipairs(columns) do found = found or name == targets[1] end
    if not found then table.insert(columns, 1, targets[1]) end
  end
  local read = need(series.read(opt.data, {targets = targets, columns = wanted, missing = "auto"},
    function(...) program:say(...) end))
  local rows, target = read.rows, read.targets[1]
  local known = math.floor(#rows * (1 - opt.test) + 1e-6)
  if known < 50 or known == #rows then
    stop(("%s has %d rows, too few for a search: at least 50 are needed without the share --test %g"):format(opt.data,
      #rows, opt.test))
  elseif #rows - known < opt.steps then
    stop(("--steps %d needs as many rows in the share --test %g, which has %d"):format(opt.steps, opt.test,
      #rows - known))
  end
  local function shape(trial, before)
    return {look_back = of(trial, "look_back"), steps = opt.steps, target = target, before = before}
  end
  local function prepare(train, validation, trial)
    local scale = lstm.minmax(train)                 -- by what is learned from only
    local scaled = scale:apply(train)
    return scaled:windows(shape(trial)), validation and scale:apply(validation):windows(shape(trial, scaled)) or nil
  end
  local task = {data = rows:slice(1, known), folds = {opt.folds, by = "expanding"}, prepare = prepare}
  function task.model(trial) return layers_of(trial, #rows.columns, opt.steps, "mse") end
  function task.finish(model, trial)
    local look_back = of(trial, "look_back")
    model.meta.forecast = ("look_back=%d ahead=1 steps=%d test=%.17g"):format(look_back, opt.steps, opt.test)
    local part = rows:slice(known - look_back + 1, #rows)
    local windows = part:windows(shape(trial))
    local guess, truth, naive = model:predict(part), windows:targets(), windows:last()
    local function first(values) return opt.steps > 1 and values:column(1) or values end
    program:draw{forecast = {{truth = first(truth), guess = first(guess), naive = first(naive), y = target, last = 400,
      x = "row of the test part", title = target .. ": the best, 1 row ahead"}}}
    return ("test RMSE %.3f persistence %.3f"):format(lstm.rmse(guess, truth), lstm.rmse(naive, truth))
  end
  return task
end

-- Classes: likewise.
local function classes_task()
  if given.look_back or space.look_back then stop("look_back is for a series, not for classes", 2) end
  if given.steps then stop("--steps is for a series, not for classes", 2) end
  local read = need(classes.read(opt.data))
  local labels, counts = classes.count(read.y)
  for _, label in ipairs(labels) do
    if counts[label] < opt.folds + 1 then
      stop(('%s has %d sequences of "%s", too few for --folds %d and a test: at least %d are needed'):format(opt.data,
        counts[label], label, opt.folds, opt.folds + 1))
    end
  end
  if #labels < 2 then
    stop(("%s has one class only (%s): there is nothing to tell apart"):format(opt.data, labels[1]))
  end
  local known, test = lstm.sequences{x = read.x, y = read.y}:split(1 - opt.test, {by = "stratified", seed = opt.seed})
  local vocab = read.width == 0 and lstm.vocab(table.concat(known.x, "\n"), "utf8", {unknown = "skip"}) or nil
  local function prepare(train, validation)
    if vocab then return train, validation end
    local scale = lstm.zscore(train)
    return scale:apply(train), validation and scale:apply(validation) or nil
  end
  local task = {data = known, folds = {opt.folds, by = "stratified"}, prepare = prepare}
  function task.model(trial) return layers_of(trial, vocab or read.width, labels) end
  function task.finish(model)
    model.meta.classify = "scale=zscore"
    local confusion = model:confusion(test)
    program:draw{confusion = confusion, title = opt.data:gsub("/+$", ""):match("[^/]+$") .. ", test of the best"}
    return ("test accuracy %.1f %% F1 %.3f"):format(100 * confusion:accuracy(), confusion:f1())
  end
  return task
end

-- [The program]

-- The best options, learned once more from all that is not tested on.
local function learn_best(task, trial)
  program:say("learning once more with %s", trial.words)
  local model = task.model(trial.options)
  local train = task.prepare(task.data, nil, trial.options)
  local fit = fit_options(trial.options)
  fit.verbose = opt.verbose
  fit.on_epoch = function(_, _, trainer) trainer:keep_best() end       -- nothing to choose by: the last weights count
  need(model:fit(train, fit))
  local line = task.finish(model, trial.options)
  if opt.out then
    need(model:save(opt.out))
    program:say("model: %s", opt.out)
  end
  return line
end

program:check_writable{"out", "plot", "file"}
space = read_space()
local task = opt.data:lower():find("%.csv$") and series_task() or classes_task()
if not opt.out then program:say("the best will not be saved: --out FILE keeps it") end
local fit = fit_options(nil)                           -- without what is tried
fit.metrics = opt.monitor ~= "val_loss" and {opt.monitor} or nil
local trials, message, status = lstm.search{
  space = space, kind = opt.random and "random" or "grid", trials = opt.random, folds = task.folds, data = task.data,
  prepare = task.prepare, model = task.model, monitor = opt.monitor, file = opt.file, seed = opt.seed,
  verbose = math.min(opt.verbose, 1), fit = fit,
}
if not trials then stop((message:gsub("^search: ", "")), status == "interrupted" and 130 or 1) end
print(tostring(trials))
if not trials.best then stop("every trial failed: " .. (trials[1] and trials[1].message or "there was none")) end
print("best: " .. trials.best.words)
print(learn_best(task, trials.best))
