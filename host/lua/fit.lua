-- fit.lua: training, as a loop in Lua over single steps in C. Callbacks, coroutines, Ctrl-C and debuggers work in it.
--
-- The run's position is the number of its next batch, and every batch follows from that number and the seed alone: so a
-- run that goes on from a checkpoint trains on the same batches, bit for bit.

local core = require "lstm.core"
local evaluate = require "lstm.evaluate"
local history = require "lstm.history"
local models = require "lstm.model"
local options = require "lstm.options"
local progress = require "lstm.progress"
local seeds = require "lstm.seeds"
local sets = require "lstm.sets"
local training = require "lstm.training"

local Run = {}
Run.__index = Run

-- --- batches --------------------------------------------------------------------------------------------------------

-- A text as `batch` streams that are read side by side, `seq` tokens at a time; states are carried from window to
-- window and begin at zero when the streams begin again.
local function token_source(tokens, opts)
  local n, lanes, seq = #tokens.ids, opts.batch, opts.seq
  local length = math.floor(n / lanes)
  local windows = math.floor((length - 1) / seq)
  if windows < 1 then
    core.raise(("fit: %d tokens are too few for batch = %d streams of seq = %d: at least %d are needed"):format(
      n, lanes, seq, lanes * (seq + 1)))
  end
  local x, y = core.zeros({seq, lanes}, "int32"), core.zeros({seq, lanes}, "int32")
  local first, again, on = {}, {reset = true, burn_in = opts.burn_in}, {burn_in = opts.burn_in}
  for lane = 1, lanes do first[lane] = (lane - 1) * length end
  return {
    per_epoch = windows, lanes = lanes, seq = seq, carry = true, data = tokens.ids,
    batch = function(_, k)
      local window, starts = k % windows, {}
      for lane = 1, lanes do starts[lane] = first[lane] + window * seq end
      core.gather_streams(tokens.ids, core.array(starts, "int32"), seq, x, y)
      return x, y, window == 0 and again or on
    end,
  }
end

-- The order of an epoch: counters far apart, so that epoch e is shuffled without the epochs before it.
local function epoch_order(count, seed, epoch, shuffle)
  local order = core.range(0, count)
  return shuffle and core.rng(seed, epoch * 4294967296):shuffle(order) or order
end

local BUCKET = 50                                    -- batches whose sequences are sorted by length together

-- The same order with sequences of similar length side by side: pieces of it are sorted by length, and the batches they
-- make come in a new order. The last, smaller batch stays the last.
local function bucketed(order, lengths, size, rng)
  local list, sorted = order:totable(), {}
  for from = 1, #list, BUCKET * size do
    local piece, place = {}, {}
    for i = from, math.min(#list, from + BUCKET * size - 1) do
      piece[#piece + 1] = list[i]
      place[list[i]] = i
    end
    table.sort(piece, function(a, b)
      local first, second = lengths[a + 1], lengths[b + 1]
      if first ~= second then return first < second end
      return place[a] < place[b]
    end)
    for _, i in ipairs(piece) do sorted[#sorted + 1] = i end
  end
  local batches, result = rng:shuffle(core.range(0, math.floor(#list / size))), {}
  for k = 1, #batches do
    for i = 1, size do result[#result + 1] = sorted[batches[k] * size + i] end
  end
  for i = #result + 1, #sorted do result[i] = sorted[i] end
  return core.array(result, "int32")
end

-- Sequences that do not depend on each other, in a new order each epoch; the last batch may be smaller.
local function set_source(set, opts)
  local lanes = math.min(opts.batch, set.count)
  local batches = math.ceil(set.count / opts.batch)
  local epoch, order = -1, nil
  return {
    per_epoch = batches, lanes = lanes, seq = set.seq, carry = false, data = set.source, targets = set.targets,
    lengths = set.lengths, given_seq = set.given_seq,
    batch = function(_, k)
      if math.floor(k / batches) ~= epoch then
        epoch = math.floor(k / batches)
        order = epoch_order(set.count, opts.seed, epoch, opts.shuffle)
        if opts.bucket then
          order = bucketed(order, set.lengths, opts.batch, core.rng(opts.seed, epoch * 4294967296 + 2147483648))
        end
      end
      local from = k % batches * opts.batch
      return set:batch(order:slice(from + 1, math.min(set.count, from + opts.batch)))
    end,
  }
end

-- A source of batches, or a set to make one of.
local function source_of(model, train, opts)
  if sets.is_tokens(model, train, "fit", true) then return token_source(train, opts) end
  local set = sets.of(model, train, opts.loss, "fit")
  if set.count == 0 then core.raise("fit: the training set is empty") end
  if opts.bucket and not set.lengths then
    core.raise("fit: bucket = true sorts sequences of different length, these are all of one")
  end
  set.burn_in = opts.burn_in
  if opts.seq and opts.seq ~= set.seq then
    core.raise(("fit: seq = %d, but the sequences have %d steps (seq is for texts)"):format(opts.seq, set.seq))
  end
  return set
end

-- --- options --------------------------------------------------------------------------------------------------------

local spec = training.with{
  validation = {type = {"table", "userdata"}}, seq = {type = "integer", min = 1},
  batch = {type = "integer", default = 32, min = 1}, steps = {type = "integer", min = 1},
  epochs = {type = {"integer", "number"}, above = 0}, clip = {type = "number", default = 5, min = 0},
  loss = {choices = models.LOSSES}, burn_in = {type = "integer", min = 0}, bucket = {type = "boolean"},
  checkpoint = {type = "string"}, resume = {type = {"string", "boolean"}},
  patience = {type = "integer", min = 1}, min_delta = {type = "number", default = 0, min = 0},
  monitor = {type = "string"}, metrics = {type = "table"}, verbose = {type = "integer", default = 1, min = 0, max = 2},
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
local function check_monitor(opts, asked)
  local name, metrics = opts.monitor, evaluate.names(opts.loss)
  local known = {"loss", "val_loss", "norm"}
  for _, one in ipairs(metrics) do known[#known + 1] = one end
  if (asked or name == "val_loss" or contains(metrics, name)) and not opts.validation then
    core.raise(("fit: %s validation data"):format(asked and "metrics are measured on" or
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
    asked = {name, (table.unpack or unpack)(asked or {})}      -- luacheck: ignore unpack
  end
  return opts.validation and evaluate.wanted(asked, opts.loss, "fit") or nil
end

local function check_options(model, train, given)
  local opts = options.check(given, spec, "fit", 4)
  if opts.steps and opts.epochs then core.raise("fit: give steps or epochs, not both") end
  if type(train) == "table" and train.kind == "tokens" then opts.seq = opts.seq or 64 end
  opts.loss = opts.loss or model.loss
  opts.seed = opts.seed or seeds.next()
  if opts.resume == true and not opts.checkpoint then core.raise("fit: resume = true needs checkpoint = path") end
  opts.metrics = check_monitor(opts, opts.metrics)
  return opts
end

-- A text is looked at ten times in a run or once an epoch, whichever is more often; a set once an epoch.
local function default_interval(source, total)
  if not source.carry then return source.per_epoch end
  return math.min(source.per_epoch, math.max(100, math.ceil(total / 10)))
end

-- What must be the same in a run that goes on: name = value, one a line. What is not given has no line.
local fixed = {"batch", "seq", "loss", "shuffle", "bucket", "burn_in", "monitor", "min_delta"}
for _, name in ipairs(training.names) do fixed[#fixed + 1] = name end

local function kept_text(value)
  if math.type and math.type(value) == "integer" then return ("%d"):format(value) end
  if type(value) == "number" then return ("%.17g"):format(value) end
  if type(value) == "userdata" then value = value:totable() end
  if type(value) ~= "table" then return tostring(value) end
  local words = {}
  for key, one in pairs(value) do
    words[#words + 1] = type(key) == "string" and key .. " " .. kept_text(one) or nil
  end
  table.sort(words)
  for i, one in ipairs(value) do words[i] = kept_text(one) end
  return (table.concat(words, ", "):gsub("[\n=]", "?"))
end

local function fixed_options(opts)
  local lines = {}
  for _, name in ipairs(fixed) do
    if opts[name] ~= nil then lines[#lines + 1] = name .. "=" .. kept_text(opts[name]) end
  end
  return table.concat(lines, "\n")
end

local function read_options(text)
  local values = {}
  for name, value in text:gmatch("([^\n=]+)=([^\n]*)") do
    if value ~= "nil" then values[name] = value end          -- older files have a line for everything
  end
  return values
end

-- A kept text as it is shown.
local function shown(text)
  local number = not text:find("^%-?%d+$") and tonumber(text)
  return number and ("%.7g"):format(number) or text
end

-- The first option that differs, as a sentence that says what to do, or nil.
local function changed_option(before, now)
  before, now = read_options(before), read_options(now)
  for _, name in ipairs(fixed) do
    local was, is = before[name], now[name]
    if was ~= is then
      local old, new = shown(was or "the default"), shown(is or "the default")
      if old == new then old, new = was, is end
      return ('option "%s" was %s in that run and is %s now: %s, or begin a new run without resume'):format(name, old,
        new, was and ("give %s = %s again"):format(name, old) or ("leave %s out"):format(name))
    end
  end
  return nil
end

-- A value of training.spec from its kept text; nil for tables and for what is none.
local function kept_value(name, text)
  local rule = training.spec[name]
  if text == "true" or text == "false" then return text == "true" end
  local value = options.value(tonumber(text), rule)
  if value == nil and rule.choices then value = options.value(text, rule) end
  return value
end

-- The options that say how weights move, and the seed: where they were not given, as they were in that run.
local function recall_options(opts, given, text)
  local before = read_options(text)
  for _, name in ipairs(training.names) do
    if given[name] == nil and before[name] and type(opts[name]) ~= "table" then
      local value = kept_value(name, before[name])
      if value ~= nil then opts[name] = value end
    end
  end
end

local function hash_of(source)
  local hash = core.hash(source.data) .. (source.targets and core.hash(source.targets) or "")
  return source.lengths and hash .. core.hash(source.lengths) or hash
end

-- --- what is trained -----------------------------------------------------------------------------------------------

-- How a model is trained, measured and brought back; seq2seq.lua has the same for a pair of models.
local one = {}

one.source = source_of

function one.trainer(model, source, opts)
  local trainer = training.prepare(model, opts, "fit")
  trainer.batch, trainer.seq, trainer.carry, trainer.keep_best = source.lanes, source.seq, source.carry, true
  return core.trainer(model.core, model, trainer)
end

-- The loss on data: by the trainer's own, which knows label_smoothing and its kin.
function one.evaluate(model, data, opts, trainer, stop)
  local meter = evaluate.run(model, data, {
    loss = opts.loss, trainer = trainer, burn_in = opts.burn_in, metrics = opts.metrics,
    plain = not opts.label_smoothing and not opts.class_weights,
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
  if sets.of(model, data, opts.loss, where).count == 0 then core.raise(where .. ": the set is empty") end
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

-- --- checkpoints ----------------------------------------------------------------------------------------------------

function Run:strings()
  local strings = self.model:strings()
  strings["fit.position"] = ("%.0f"):format(self.position)
  strings["fit.sum"] = ("%.17g %.0f"):format(self.sum, self.count)
  strings["fit.history"] = self.history:tometa()
  strings["fit.options"] = fixed_options(self.opts)
  strings["fit.data"] = self.hash
  strings["fit.interval"] = ("%.0f"):format(self.interval)
  strings["fit.seconds"] = ("%.3f"):format(self:seconds())
  strings["fit.lr"] = ("%.17g"):format(self.trainer:lr())
  if self.due then strings["fit.due"] = "1" end
  if self.halved then strings["fit.halved"] = ("%.0f"):format(self.halved) end
  return strings
end

-- Without a measured row the present weights count as the best.
function Run:save()
  if not self.opts.checkpoint then return end
  if not self.history.best then self.trainer:keep_best() end
  local ok, message = self.trainer:save(self.opts.checkpoint, self:strings())
  self.saved = ok or false
  if not ok then self.bar:say("the checkpoint was not written: " .. message) end
end

-- Whether a file can be written there, before hours of work depend on it.
local function check_writable(path)
  local probe = path .. ".probe"
  local ok, message, status = core.writefile(probe, "")
  if ok then return os.remove(probe) end
  return nil, (message:gsub("%.probe:", ":", 1)), status
end

-- Reads what Run:strings wrote. Returns true, or nil and what does not fit.
function Run:restore(strings)
  if not strings["fit.position"] then return nil, "this is a model, not a checkpoint of a run" end
  recall_options(self.opts, self.given, strings["fit.options"] or "")
  local changed = changed_option(strings["fit.options"] or "", fixed_options(self.opts))
  if changed then return nil, changed end
  if strings["fit.data"] ~= self.hash then return nil, "the training data are not those of that run" end
  local record, problem = history.frommeta(strings["fit.history"] or "")
  if not record then return nil, problem end
  if record.monitor ~= "loss" and record.monitor ~= "norm" and not self.opts.validation then
    return nil, "that run had validation data, which decide on its best weights: give validation again"
  end
  self.history, self.position = record, tonumber(strings["fit.position"])
  local sum, count = (strings["fit.sum"] or ""):match("^(%S+) (%S+)$")
  self.sum, self.count = tonumber(sum) or 0, tonumber(count) or 0
  self.before = tonumber(strings["fit.seconds"]) or 0
  self.halved, self.due = tonumber(strings["fit.halved"] or ""), strings["fit.due"] ~= nil
  self.lr = tonumber(strings["fit.lr"] or "")
  if not self.opts.validate_every then self.interval = tonumber(strings["fit.interval"]) or self.interval end
  return true
end

-- What is wrong where the run has nothing left to do, or nil.
function Run:nothing_left()
  if self.position < self.total or self.due then return nil end
  local asked = ("steps = %d"):format(self.total)
  if not self.opts.steps then asked = ("epochs = %g (%s)"):format(self.opts.epochs or 10, asked) end
  return ("%s asks for no more than the %d that are done already: give a larger number"):format(asked, self.position)
end

-- Goes on from a checkpoint. Returns true, or nil, message, status.
function Run:resume(path)
  local saved, message, status = self.how.open(path)
  if not saved then return nil, message, status end
  local ok, problem = self:restore(saved.strings)
  if ok then
    problem = self:nothing_left()
    ok = not problem
  end
  if not ok then return nil, ("cannot resume %s: %s"):format(path, problem), "mismatch" end
  self.trainer, problem, status = self.how.restore(self.model, saved, function() return self:new_trainer() end)
  if not self.trainer then return nil, ("cannot resume %s: %s"):format(path, problem), status end
  if self.lr then self.trainer:lr(self.lr) end
  return true
end

-- --- the run --------------------------------------------------------------------------------------------------------

function Run:new_trainer() return self.how.trainer(self.model, self.source, self.opts) end

function Run:seconds() return self.before + core.now() - self.began end

function Run:epoch() return math.floor(self.position / self.source.per_epoch) + 1 end

-- A line of the history: what the batches since the last one cost, and the validation. Nothing where Ctrl-C cuts the
-- validation short; a run that is resumed begins with it then.
function Run:measure()
  local row = {
    epoch = math.max(1, math.ceil(self.position / self.source.per_epoch)), step = self.position,
    loss = self.count > 0 and self.sum / self.count or 0 / 0, lr = self.trainer:rate(), norm = self.trainer:norm(),
  }
  if self.opts.validation then
    local result = self.how.evaluate(self.model, self.opts.validation, self.opts, self.trainer, core.interrupted)
    self.due = not result
    if not result then return nil end
    row.val_loss = result.loss
    for _, name in ipairs(self.opts.metrics) do row[name] = result[name] end
  end
  row.seconds = self:seconds()
  self.sum, self.count = 0, 0
  if self.history:add(row) then self.trainer:keep_best() end
  self.bar:report(self.position, {
    epoch = row.epoch, loss = row.loss, val_loss = row.val_loss,
    lr = (self.opts.schedule or self.opts.warmup) and row.lr or nil,
  })
  self:save()
  return row
end

-- Whether the callbacks, the patience or the user want to stop; the reason.
function Run:wants_to_stop(row)
  local opts = self.opts
  if row and opts.on_epoch and opts.on_epoch(row, self.history, self.trainer) == false then return "on_epoch" end
  if row and opts.patience and self.history.waited >= opts.patience then return "patience" end
  return opts.seconds and self:seconds() >= opts.seconds and "seconds" or nil
end

-- A batch whose loss or gradient is not finite has changed nothing. The first time: the last good weights, half the
-- rate. Returns nothing to go on, or a message.
function Run:diverged(x, y)
  local where = ("batch %d (epoch %d)"):format(self.position % self.source.per_epoch + 1, self:epoch())
  for name, part in pairs{inputs = x, targets = y} do
    local fine, at = part:finite()
    if not fine then
      return ("%s of the training data has NaN or infinity among its %s (element %d)"):format(where, name, at)
    end
  end
  if self.halved then
    return where .. " gave a loss or gradient that is not finite, again: try a smaller lr, or clip"
  end
  self.trainer:restore_best()
  self.trainer:reset()
  self.trainer:lr(self.trainer:lr() / 2)
  self.halved = self.position
  self.bar:say(("%s gave a loss or gradient that is not finite: back to the last good weights, lr halved to %g"):
    format(where, self.trainer:lr()))
end

-- Trains one batch. Returns a reason to stop and a message, or nothing.
function Run:step()
  local opts = self.opts
  local x, y, extra = self.source:batch(self.position)
  local loss, message, status = self.trainer:train(x, y, extra)
  if not loss then
    if status ~= "not_finite" then return status, message end
    message = self:diverged(x, y)
    if message then return "not_finite", message end
  else
    self.sum, self.count = self.sum + loss, self.count + 1
  end
  self.position = self.position + 1
  if opts.verbose > 0 then
    self.shown.loss, self.shown.epoch = self.count > 0 and self.sum / self.count or nil, self:epoch()
    self.bar:update(self.position, self.shown)
  end
  if opts.on_step and loss then
    local info = {step = self.position, epoch = self:epoch(), loss = loss, lr = self.trainer:rate()}
    if opts.on_step(info, self.trainer) == false then return "on_step" end
  end
end

-- Until the last batch, or a reason to stop; a message where the reason is a fault.
function Run:loop()
  while self.position < self.total or self.due do
    local due, reason, message = self.due, nil, nil
    if not due then
      reason, message = self:step()
      due = self.position % self.interval == 0 or self.position >= self.total
    end
    local row = due and not message and self:measure()
    if self.due then return "interrupted" end
    reason = reason or self:wants_to_stop(row)
    if reason then
      if not row and not message then self:measure() end        -- the last steps count too
      return reason, message
    end
    if core.interrupted() then return "interrupted" end
  end
  return "finished"
end

-- However the run ends: the best weights, and everything that was held is let go.
function Run:close()
  if self.closed then return end
  self.closed = true
  if self.history.best then self.trainer:restore_best() end
  self.trainer:close()
  self.bar:close()
  core.hold(self.held)
  core.threads(self.threads)
end

Run.__close = Run.close

function Run:interrupted()
  self.history.stopped = "interrupted"
  local message = ("interrupted after step %d of %d"):format(self.position, self.total)
  if self.saved then message = message .. (', resume with resume = "%s"'):format(self.opts.checkpoint) end
  return nil, message, "interrupted", self.history
end

-- Whose weights came back, where they are not the last ones.
function Run:tell_best()
  local record = self.history
  local row = record.best and record[record.best]
  if self.opts.verbose == 0 or not row or row.step == self.position then return end
  if record.monitor == "loss" and self.opts.on_epoch then return end      -- it may have kept others
  core.eprint(("the best weights are back, those of step %d (epoch %d, %s %.4g)\n"):format(row.step, row.epoch,
    record.monitor == "loss" and "training loss" or record.monitor, row[record.monitor]))
end

function Run:finish(reason, message)
  if reason ~= "not_finite" then self:save() end
  self.history.stopped = reason
  self:close()
  self:tell_best()
  if reason == "interrupted" then return self:interrupted() end
  if message then return nil, "fit: " .. message, reason, self.history end
  local advice = self.opts.verbose > 0 and self.history:advice()
  if advice then core.eprint(advice .. "\n") end
  return self.history
end

-- The run as the only turn of a loop that closes it, also when an error passes through (Lua 5.4): a pcall would hide
-- the traceback, and coroutines could not yield.
local function guarded(run)
  local function once(_, turn)
    if turn == nil then return run end
  end
  return once, nil, nil, run
end

-- What is wrong with the validation data is told as such.
local function check_validation(model, opts, how)
  local fine, problem = pcall(how.check, model, opts.validation, opts)
  if fine then return end
  if type(problem) ~= "string" then error(problem, 0) end
  problem = problem:gsub("^[^\n]-:%d+: ", "")
  core.raise(problem:find("^fit: validation") and problem or "fit: validation: " .. problem)
end

local function new_run(model, train, opts, how)
  local source = how.source(model, train, opts)
  if opts.validation then check_validation(model, opts, how) end
  if source.count then source = set_source(source, opts) end
  local total = opts.steps or math.ceil((opts.epochs or 10) * source.per_epoch)
  return setmetatable({
    model = model, how = how, opts = opts, source = source, total = total, position = 0, sum = 0, count = 0, before = 0,
    interval = opts.validate_every or default_interval(source, total), hash = hash_of(source), shown = {},
    history = history.new{monitor = opts.monitor, min_delta = opts.min_delta,
      mode = evaluate.mode(opts.monitor)},
  }, Run)
end

-- The trainer, new or from a checkpoint. Returns true, or nil, message, status.
function Run:prepare()
  local opts = self.opts
  if opts.checkpoint then
    local ok, message, status = check_writable(opts.checkpoint)
    if not ok then return nil, message, status end
  end
  local path = opts.resume == true and self.how.exists(opts.checkpoint) and opts.checkpoint or opts.resume
  if type(path) == "string" then return self:resume(path) end
  self.trainer = self:new_trainer()
  self.trainer:keep_best()
  return true
end

--- Trains the model and brings the best weights back, however the run ends.
-- train: a token sequence, windows, {x = [N][T][I], y =} (padded: with lengths [N], weights [N][T]), or sequences of
-- different length. Options:
--   validation (data of the same kind; it has a state of its own), validate_every (steps between looks at it)
--   seq 64 (texts: tokens a gradient reaches back), batch 32, steps or epochs (10)
--   optimizer "adam" ("adamw", "rmsprop", "sgd"), lr, momentum, nesterov, beta1, beta2, alpha, epsilon, weight_decay
--   schedule ("step", "exponential", "cosine": of lr), schedule_steps (updates), schedule_factor, warmup (updates)
--   clip 5 (global norm, 0: off), clip_value, loss (default the model's), shuffle true, seed, threads
--   huber_delta 1, label_smoothing, class_weights (a list, or {label = weight})
--   burn_in (first steps of each window that only warm up the state)
--   bucket (true: sequences of similar length together)
--   freeze (a list of the numbers of layers), layer_rates (what each layer's lr is multiplied by)
--   checkpoint (path, written at each look and at the end), resume (path, or true: the checkpoint if there is one; the
--   seed and the options that say how weights move are those of that run where they are not given)
--   seconds (a time budget), patience (looks without an improvement of min_delta in `monitor`: "val_loss", else "loss",
--   or "norm", or a metric), metrics (a list of "accuracy", "perplexity", "rmse", "mae", "f1" and "esr", of the
--   validation data)
--   verbose 1 (0 silent, 2 a line for each look), title, on_epoch(row, history, trainer) at each look and
--   on_step(info, trainer): false stops
-- Returns the history; or nil, message, status, history where the world stops it: "interrupted" (Ctrl-C), "not_finite",
-- "io", "mismatch" (resume). Raises for mistakes.
-- how: for what is no model, see `one` above.
return function(model, train, given, how)
  local opts = check_options(model, train, given)
  local run = new_run(model, train, opts, how or one)
  run.given = given or {}
  run.threads, run.began = core.threads(), core.now()
  if opts.threads then core.threads(opts.threads) end
  local ok, message, status = run:prepare()
  if not ok then
    core.threads(run.threads)
    return nil, message, status
  end
  run.bar = progress.new{
    title = opts.title or "training", total = run.total, start = run.position, verbose = opts.verbose,
  }
  run.held = core.hold(true)
  for active in guarded(run) do return active:finish(active:loop()) end      -- luacheck: ignore 512
end
