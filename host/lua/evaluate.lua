-- evaluate.lua: what a model costs on data, and other figures by name, in one pass over the data.
--
-- A meter takes batches one after the other and adds up sums, so that nothing grows with the data.

local confusion = require "lstm.confusion"
local core = require "lstm.core"
local options = require "lstm.options"
local sets = require "lstm.sets"
local training = require "lstm.training"

local evaluate = {}

-- What may be asked for, in the order of the history's columns; which direction is better; for which losses.
local NAMES = {"accuracy", "perplexity", "rmse", "mae", "f1", "esr"}
evaluate.NAMES = NAMES
local LARGER = {accuracy = true, f1 = true}
local CLASSES = {accuracy = true, f1 = true}

local function fits(name, loss)
  if CLASSES[name] then return loss:find("cross_entropy", 1, true) ~= nil end
  if name == "perplexity" then return loss == "cross_entropy" end
  return loss ~= "cross_entropy"
end

--- The metrics that a loss allows, in their order.
function evaluate.names(loss)
  local names = {}
  for _, name in ipairs(NAMES) do
    if fits(name, loss) then names[#names + 1] = name end
  end
  return names
end

--- "max" where a larger value of this column is the better one, else "min".
function evaluate.mode(name) return LARGER[name] and "max" or "min" end

--- The metrics to measure, from the names that were asked for (a list, or nil), in their order. Classes have their
-- accuracy always. Raises for unknown names and for those that the loss has no use for.
function evaluate.wanted(given, loss, where)
  local asked = {accuracy = fits("accuracy", loss) or nil}
  if given ~= nil and (type(given) ~= "table" or #given == 0 and next(given) ~= nil) then
    core.raise(('%s: metrics must be a list of names, as in {"rmse"}; got %s'):format(where, options.show(given)))
  end
  for _, name in ipairs(given or {}) do
    local known = false
    for _, one in ipairs(NAMES) do known = known or one == name end
    if not known then core.raise(where .. ": " .. options.unknown("metric", name, NAMES)) end
    if not fits(name, loss) then
      core.raise(('%s: metric "%s" does not fit the loss "%s" (those that do: %s)'):format(where, name, loss,
        options.list(evaluate.names(loss))))
    end
    asked[name] = true
  end
  local names = {}
  for _, name in ipairs(NAMES) do
    if asked[name] then names[#names + 1] = name end
  end
  return names
end

-- --- the meter ------------------------------------------------------------------------------------------------------

local Meter = {}
Meter.__index = Meter

local function has(names, wanted)
  for _, name in ipairs(names) do
    if wanted[name] then return true end
  end
  return false
end

--- A meter. model: whose outputs they are; lanes: the most sequences at once.
-- opts: loss; trainer (its loss is measured, which knows label_smoothing and its kin), plain (false where that differs
--   from the loss by name), metrics (from evaluate.wanted), confusion (a matrix to fill), carry (a batch goes on where
--   the last one ended).
function evaluate.meter(model, lanes, opts)
  local make = opts.work and model.state or model.batch_state        -- small pieces: the caller's thread alone
  local names = opts.metrics or {}
  local _, outputs = model.core:sizes()
  local meter = setmetatable({
    loss = opts.loss, trainer = opts.trainer, carry = opts.carry, names = names, confusion = opts.confusion,
    state = make(model, lanes), sums = {0, 0, 0, 0}, errors = {0, 0, 0, 0},
    wants_errors = has(names, {rmse = true, mae = true, esr = true}),
  }, Meter)
  if has(names, {f1 = true}) then
    local classes = opts.loss == "binary_cross_entropy" and outputs == 1 and 2 or outputs
    meter.counts = core.zeros({3, classes}, "int32")
    meter.sided = opts.loss == "binary_cross_entropy" and classes == 2 and outputs == 1
  end
  if meter.wants_errors or meter.counts or meter.confusion then meter.reader = make(model, lanes) end
  if opts.trainer and not opts.plain and has(names, {perplexity = true}) then
    meter.plain, meter.plain_state = {0, 0, 0, 0}, make(model, lanes)
  end
  return meter
end

local function add(sums, ...)
  for i = 1, 4 do sums[i] = sums[i] + (select(i, ...)) end
end

-- What the outputs themselves are needed for.
function Meter:read(x, y, extra)
  if not self.carry then self.reader:reset() end
  local outputs = self.reader:forward_batch(x, extra)
  if self.wants_errors then add(self.errors, core.sum_errors(outputs, y, extra)) end
  if self.counts then core.count_classes(self.counts, outputs, y, false, extra) end
  if self.confusion then core.count_classes(self.confusion.counts, outputs, y, true, extra) end
end

--- Adds a batch. extra: its options (lengths, weights, initial, burn_in).
function Meter:add(x, y, extra)
  if not self.carry then self.state:reset() end
  if self.trainer then
    add(self.sums, self.trainer:evaluate(self.state, x, y, extra))
  else
    add(self.sums, self.state:evaluate(x, y, self.loss, extra))
  end
  if self.plain then
    if not self.carry then self.plain_state:reset() end
    add(self.plain, self.plain_state:evaluate(x, y, "cross_entropy", extra))
  end
  if self.reader then self:read(x, y, extra) end
end

-- F1 of the positive side, or the mean over the classes that occur.
local function f1_of(counts, sided)
  local function of(i) return counts[1][i], counts[2][i], counts[3][i] end
  return confusion.macro(sided and 2 or 1, select(2, counts:shape()), of)
end

local figures = {
  accuracy = function(meter) return meter.sums[4] / meter.sums[3] end,
  perplexity = function(meter)
    local sums = meter.plain or meter.sums
    return math.exp(sums[1] / sums[2])
  end,
  rmse = function(meter) return math.sqrt(meter.errors[1] / meter.errors[4]) end,
  mae = function(meter) return meter.errors[2] / meter.errors[4] end,
  esr = function(meter) return meter.errors[1] / meter.errors[3] end,
  f1 = function(meter) return f1_of(meter.counts, meter.sided) end,
}

--- {loss =, count =, and each metric by its name}.
function Meter:result()
  local result = {loss = self.sums[1] / self.sums[2], count = self.sums[3]}
  for _, name in ipairs(self.names) do result[name] = figures[name](self) end
  return result
end

-- --- a model on data ------------------------------------------------------------------------------------------------

-- How many sequences of so many steps make one piece of about opts.work products, 1 to most.
local function fitting(model, opts, steps, most)
  if not opts.work then return most end
  return math.max(1, math.min(most, math.floor(opts.work / (model:parameters() * math.max(1, steps)))))
end

-- One stream over the whole text, from rest, in pieces that are small enough to be interrupted.
local function read_tokens(model, tokens, opts, stop)
  local n, piece, at = #tokens.ids, fitting(model, opts, 1, 256), 0
  if n < 2 then core.raise(opts.where .. ": at least two tokens are needed") end
  opts.carry = true
  local meter = evaluate.meter(model, 1, opts)
  local x, y
  while at < n - 1 do
    local steps = math.min(piece, n - 1 - at)
    if not x or #x ~= steps then x, y = core.zeros({steps, 1}, "int32"), core.zeros({steps, 1}, "int32") end
    core.gather_streams(tokens.ids, core.array({at}, "int32"), steps, x, y)
    meter:add(x, y)
    at = at + steps
    if stop and stop() then return nil end
  end
  return meter
end

local function read_set(model, set, opts, stop)
  local size = opts.batch or fitting(model, opts, set.seq, 256)
  if set.count == 0 then core.raise(opts.where .. ": the set is empty") end
  local meter = evaluate.meter(model, math.min(size, set.count), opts)
  set.burn_in = opts.burn_in
  for first = 0, set.count - 1, size do
    meter:add(set:batch(core.range(first, math.min(size, set.count - first))))
    if stop and stop() then return nil end
  end
  return meter
end

--- The meter after the data; nil where stop() is true between two pieces.
-- opts: those of evaluate.meter; batch (default 256), burn_in (steps of each sequence that do not count), work (pieces
--   of about so many products, for a stop that waits), where (the method's name for messages). The table is the
--   callee's.
function evaluate.run(model, data, opts, stop)
  opts.where = opts.where or "evaluate"
  if sets.is_tokens(model, data, opts.where, true) then return read_tokens(model, data, opts, stop) end
  return read_set(model, sets.of(model, data, opts.loss, opts.where), opts, stop)
end

local spec = {batch = {type = "integer", default = 256, min = 1}}

--- Model:evaluate, see there.
function evaluate.model(model, data, given, losses)
  local opts = options.check(given, {
    batch = spec.batch, loss = {choices = losses, default = model.loss}, metrics = {type = "table"},
  }, "evaluate", 3)
  training.check_loss(model, opts.loss, "evaluate")
  opts.metrics = evaluate.wanted(opts.metrics, opts.loss, "evaluate")
  return (evaluate.run(model, data, opts):result())  -- no tail call: errors count the levels
end

--- Model:confusion, see there.
function evaluate.confusion(model, data, given)
  local opts = options.check(given, spec, "confusion", 3)
  opts.loss, opts.where = model.loss, "confusion"
  opts.confusion = confusion.of(model, model.loss, "confusion")
  return evaluate.run(model, data, opts).confusion
end

return evaluate
