-- subject.lua: how fit trains, measures and brings back a model; seq2seq.lua has the same for a pair of models.

local batches = require "lstm.batches"
local core = require "lstm.core"
local evaluate = require "lstm.evaluate"
local flaws = require "lstm.flaws"
local models = require "lstm.model"
local options = require "lstm.options"
local pipeline = require "lstm.pipeline"
local sets = require "lstm.sets"
local training = require "lstm.training"

local one = {}

-- Raises where all classes are missing: the loss would be that of nothing.
local function check_targets(set, where)
  local y = set.targets
  if y and y:kind() == "int32" and y:max() < 0 then
    core.raise(where .. ": there is no target: all of them are false")
  end
end

-- A set of sequences; raises where the options do not fit it. Returns nil, message, status for data with NaN.
local function set_of(model, train, opts)
  local set = sets.of(model, train, opts.loss, "fit")
  if set.count == 0 then core.raise("fit: the training set is empty") end
  check_targets(set, "fit")
  if opts.bucket and not set.lengths then
    core.raise("fit: bucket = true sorts sequences of different length, these are all of one")
  end
  sets.check_burn_in(model, opts.burn_in, set.seq, "fit")
  set.burn_in = opts.burn_in
  if opts.seq and opts.seq ~= set.seq then
    core.raise(("fit: seq = %d, but the sequences have %d steps (seq is for texts)"):format(opts.seq, set.seq))
  end
  local place = flaws.find(train, set)
  if not place then return set end
  return nil, ("fit: NaN or infinity in the training data: %s"):format(place), "not_finite"
end

--- A source of batches; or nil, message, status where the data cannot be trained on.
function one.source(model, train, opts)
  if sets.is_tokens(model, train, "fit", true) then
    if opts.bucket then core.raise("fit: bucket = true is for sequences of different length, this is one text") end
    sets.check_burn_in(model, opts.burn_in, opts.seq, "fit")
    return batches.tokens(train, opts)
  end
  local set, message, status = set_of(model, train, opts)
  if not set then return nil, message, status end
  return batches.set(set, opts)
end

function one.trainer(model, source, opts)
  local trainer = training.prepare(model, opts, "fit")
  trainer.batch, trainer.seq, trainer.carry, trainer.keep_best = source.lanes, source.seq, source.carry, true
  return core.trainer(model.core, model, trainer)
end

-- The loss on data: by the trainer's own, which knows label_smoothing and its kin. work: see evaluate.run.
function one.evaluate(model, data, opts, trainer, stop, work)
  local meter = evaluate.run(model, data, {
    loss = opts.loss, trainer = trainer, burn_in = opts.burn_in, metrics = opts.metrics,
    plain = not opts.label_smoothing and not opts.class_weights, work = work,
  }, stop)
  return meter and meter:result()
end

-- Raises where data cannot be evaluated, before weights change.
function one.check(model, data, opts)
  local where = "fit: validation"
  if sets.is_tokens(model, data, where, true) then
    if #data.ids < 2 then core.raise(where .. ": at least two tokens are needed") end
    return
  end
  local set = sets.of(model, data, opts.loss, where)
  if set.count == 0 then core.raise(where .. ": the set is empty") end
  check_targets(set, where)
  sets.check_burn_in(model, opts.burn_in, set.seq, where)
  set.burn_in = opts.burn_in
  local place = flaws.find(data, set)
  if place then core.raise(where .. ": NaN or infinity in the data: " .. place) end
end

one.exists = core.exists

-- A checkpoint: {strings =, model =, bytes =}; or nil, message, status.
function one.open(path)
  local bytes, message, status = core.readfile(path)
  if not bytes then return nil, message, status end
  local saved
  saved, message, status = core.load(path, {data = bytes})
  if not saved then return nil, message, status end
  return {strings = saved:meta(), model = saved, bytes = bytes}
end

-- Puts the best weights into the model, then the trainer's own state on top of them. Returns the trainer; or nil,
-- message, status, and the model is as before.
function one.restore(model, saved, make)
  local before = model:clone()
  if not pcall(model.core.copy_weights, model.core, saved.model) then
    return nil, "the checkpoint's model has other layers than this one", "mismatch"
  end
  local trainer = make()
  trainer:keep_best()
  local ok, message, status = trainer:resume(saved.bytes)
  saved.model:close()
  if ok then return trainer end
  model.core:copy_weights(before.core)
  trainer:close()
  return nil, message, status
end

--- Copies the weights of a model, or of a file. Returns true, or nil, message, status.
function one.init(model, from)
  if models.is(from) then
    if pcall(model.core.copy_weights, model.core, from.core) then return true end
    core.raise("fit: init: that model has other layers than this one")
  end
  if type(from) ~= "string" then
    core.raise("fit: init must be a model or the path of one, got " .. options.show(from))
  end
  local saved, message, status = core.load(from)
  if not saved then return nil, message, status end
  local fits = pcall(model.core.copy_weights, model.core, saved)
  saved:close()
  if fits then return true end
  return nil, ("fit: init: the model of %s has other layers than this one"):format(from), "mismatch"
end

--- Lets the model take over from its data what it needs for raw ones. Returns a function that takes that back.
function one.learn(model, train, opts)
  local before = rawget(model, "pipeline")
  local function back() model.pipeline = before end
  pipeline.learn(model, train)
  if not opts.validation then return back end
  local fine, problem = pcall(pipeline.check, model, opts.validation, "fit: validation")
  if fine then return back end
  back()
  return core.raise((tostring(problem):gsub("^[^\n]-:%d+: ", "")))
end

return one
