-- asked.lua: the options of fit: their rules, and what is checked of them before weights change.

local core = require "lstm.core"
local evaluate = require "lstm.evaluate"
local models = require "lstm.model"
local options = require "lstm.options"
local plateaus = require "lstm.plateau"
local seeds = require "lstm.seeds"
local training = require "lstm.training"

local asked = {}

--- The options that fit takes, as rules.
asked.spec = training.with{
  validation = {type = {"table", "userdata"}}, seq = {type = "integer", min = 1},
  batch = {type = "integer", default = 32, min = 1}, steps = {type = "integer", min = 1},
  epochs = {type = {"integer", "number"}, above = 0}, clip = {type = "number", default = 5, min = 0},
  loss = {choices = models.LOSSES}, burn_in = {type = "integer", min = 0}, bucket = {type = "boolean"},
  checkpoint = {type = "string"}, resume = {type = {"string", "boolean"}},
  patience = {type = "integer", min = 1}, min_delta = {type = "number", default = 0, min = 0},
  monitor = {type = "string"}, mode = {choices = {"auto", "min", "max"}}, metrics = {type = "table"},
  restore_best = {type = "boolean", default = true}, plateau = {type = {"boolean", "table"}},
  accumulate = {type = "integer", default = 1, min = 1}, csv = {type = "string"},
  init = {type = {"table", "string"}}, verbose = {type = "integer", default = 1, min = 0, max = 2},
  on_epoch = {type = "function"}, on_step = {type = "function"}, validate_every = {type = "integer", min = 1},
  shuffle = {type = "boolean", default = true}, seconds = {type = "number", above = 0},
  threads = {type = "integer", min = 1}, title = {type = "string"},
}

local function contains(list, value)
  for _, one in ipairs(list) do
    if one == value then return true end
  end
  return false
end

-- What decides which look was the best must be in the history, and be known to be before weights change. Returns the
-- metrics to measure.
local function check_monitor(opts, given)
  local name, metrics = opts.monitor, evaluate.names(opts.loss)
  local known = {"loss", "val_loss", "norm"}
  for _, one in ipairs(metrics) do known[#known + 1] = one end
  if (given or name == "val_loss" or contains(metrics, name)) and not opts.validation then
    core.raise(("fit: %s validation data"):format(given and "metrics are measured on" or
      ('monitor = "%s" needs'):format(name)))
  end
  if name and not contains(known, name) then
    if contains(evaluate.NAMES, name) then
      core.raise(('fit: monitor = "%s" does not fit the loss "%s" (there are %s)'):format(name, opts.loss,
        options.list(known)))
    end
    core.raise("fit: " .. options.unknown("monitor", name, known))
  end
  if contains(metrics, name) then
    given = {name, (table.unpack or unpack)(given or {})}      -- luacheck: ignore unpack
  end
  return opts.validation and evaluate.wanted(given, opts.loss, "fit") or nil
end

-- The direction is known; a wrong one would keep the worst weights.
local function check_mode(opts)
  local name = opts.monitor or opts.validation and "val_loss" or "loss"
  local mode = evaluate.mode(name)
  if opts.mode and opts.mode ~= "auto" and opts.mode ~= mode then
    core.raise(('fit: mode = "%s", but the %s "%s" is, the better: leave mode out'):format(opts.mode,
      mode == "min" and "smaller" or "larger", name))
  end
  opts.mode = nil
end

--- The options of a run, checked, with their defaults. Called by fit itself: errors count the levels.
function asked.check(model, train, given)
  local opts = options.check(given, asked.spec, "fit", 4)
  if opts.steps and opts.epochs then core.raise("fit: give steps or epochs, not both") end
  if type(train) == "table" and train.kind == "tokens" then opts.seq = opts.seq or 64 end
  opts.loss = opts.loss or model.loss
  opts.seed = opts.seed or seeds.next()
  if opts.resume == true and not opts.checkpoint then core.raise("fit: resume = true needs checkpoint = path") end
  opts.metrics = check_monitor(opts, opts.metrics)
  check_mode(opts)
  opts.plateau = opts.plateau and plateaus.check(opts.plateau, 4) or nil
  return opts
end

return asked
