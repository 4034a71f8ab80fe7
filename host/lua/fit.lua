-- fit.lua: training, as a loop in Lua over single steps in C. Callbacks, coroutines, Ctrl-C and debuggers work in it.
--
-- The run's position is the number of its next step, and every batch follows from that number and the seed alone: so a
-- run that goes on from a checkpoint trains on the same batches, bit for bit.
--
-- Parts with a life of their own: batches.lua (where they come from), subject.lua (how a model is trained and brought
-- back), asked.lua (the options), kept.lua (which of them a checkpoint binds), plateau.lua, log.lua (the CSV file),
-- flaws.lua (NaN in data).

local asked = require "lstm.asked"
local batches = require "lstm.batches"
local core = require "lstm.core"
local evaluate = require "lstm.evaluate"
local guarded = require "lstm.guarded"
local flaws = require "lstm.flaws"
local history = require "lstm.history"
local kept = require "lstm.kept"
local new_log = require "lstm.log"
local plateaus = require "lstm.plateau"
local progress = require "lstm.progress"
local seeds = require "lstm.seeds"

local Run = {}
Run.__index = Run

-- A text is looked at ten times in a run or once an epoch, whichever is more often; a set once an epoch.
local function default_interval(source, per_epoch, total)
  if not source.carry then return per_epoch end
  return math.min(per_epoch, math.max(100, math.ceil(total / 10)))
end

-- --- checkpoints ----------------------------------------------------------------------------------------------------

function Run:strings()
  local strings = self.model:strings()
  strings["fit.position"] = ("%.0f"):format(self.position)
  strings["fit.sum"] = ("%.17g %.17g"):format(self.sum, self.count)
  strings["fit.history"] = self.history:tometa()
  strings["fit.options"] = kept.text(self.opts)
  strings["fit.data"] = self.hash
  strings["fit.interval"] = ("%.0f"):format(self.interval)
  strings["fit.seconds"] = ("%.3f"):format(self:seconds())
  strings["fit.lr"] = ("%.17g"):format(self.trainer:lr())
  strings["fit.seeds"] = seeds.state()
  if self.kept then strings["fit.kept"] = ("%.0f"):format(self.kept) end
  if self.due then strings["fit.due"] = "1" end
  if self.halved then strings["fit.halved"] = ("%.0f"):format(self.halved) end
  return strings
end

-- Without a measured row the present weights count as the best.
function Run:save()
  if not self.opts.checkpoint then return end
  if not self.history.best then
    self.trainer:keep_best()
    self.kept = self.position
  end
  local ok, message = self.trainer:save(self.opts.checkpoint, self:strings())
  self.saved, self.unsaved, self.saved_at = ok or false, false, self.position
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
  kept.recall(self.opts, self.given, strings["fit.options"] or "")
  local changed = kept.changed(strings["fit.options"] or "", kept.text(self.opts))
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
  self.lr, self.kept = tonumber(strings["fit.lr"] or ""), tonumber(strings["fit.kept"] or "")
  if self.plateau then self.plateau:replay(record) end
  if not self.opts.validate_every then self.interval = tonumber(strings["fit.interval"]) or self.interval end
  return true
end

-- What is wrong where the run has gone further than is asked for, or nil. As far as is asked for is fine: a script that
-- is run once more gets the same model.
function Run:too_far()
  if self.position <= self.total or self.due then return nil end
  local wanted = ("steps = %d"):format(self.total)
  if not self.opts.steps then wanted = ("epochs = %g (%s)"):format(self.opts.epochs or 10, wanted) end
  return ("%s asks for less than the %d that are done already: give a larger number"):format(wanted, self.position)
end

-- Goes on from a checkpoint. Returns true, or nil, message, status.
function Run:resume(path)
  local saved, message, status = self.how.open(path)
  if not saved then return nil, message, status end
  local ok, problem = self:restore(saved.strings)
  if ok then
    problem = self:too_far()
    ok = not problem
  end
  if not ok then return nil, ("cannot resume %s: %s"):format(path, problem), "mismatch" end
  self.trainer, problem, status = self.how.restore(self.model, saved, function() return self:new_trainer() end)
  if not self.trainer then return nil, ("cannot resume %s: %s"):format(path, problem), status end
  self.saved_at = self.position
  if self.lr then self.trainer:lr(self.lr) end
  if saved.strings["fit.seeds"] then seeds.restore(saved.strings["fit.seeds"]) end
  return true
end

-- --- the run --------------------------------------------------------------------------------------------------------

function Run:new_trainer() return self.how.trainer(self.model, self.source, self.opts) end

function Run:seconds() return self.before + core.now() - self.began end

function Run:epoch() return math.floor(self.position / self.per_epoch) + 1 end

-- What a look measures; nil where Ctrl-C cuts the validation short.
function Run:look()
  local row = {
    epoch = math.max(1, math.ceil(self.position / self.per_epoch)), step = self.position,
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
  return row
end

-- Reduces the rate where it is time to.
function Run:slow_down(improved)
  if not self.plateau or not self.plateau:see(improved) then return end
  local lr = self.plateau:reduced(self.trainer:lr())
  if not lr then return end
  self.trainer:lr(lr)
  self.bar:say(("%s did not improve in %d look%s: lr reduced to %.4g"):format(self.history.monitor,
    self.plateau.patience, self.plateau.patience == 1 and "" or "s", lr))
end

-- The values of a row that the progress line shows.
function Run:shown_of(row)
  local opts = self.opts
  local values = {epoch = row.epoch, loss = row.loss, val_loss = row.val_loss}
  for _, name in ipairs(opts.metrics or {}) do values[name] = row[name] end
  if opts.schedule or opts.warmup or opts.plateau or self.halved then values.lr = row.lr end
  return values
end

-- A line of the history: what the batches since the last one cost, and the validation. Nothing where Ctrl-C cuts the
-- validation short; a run that is resumed begins with it then.
function Run:measure()
  local row = self:look()
  if not row then return nil end
  self.sum, self.count, self.unsaved = 0, 0, true
  local improved = self.history:add(row)
  if improved then
    self.trainer:keep_best()
    self.kept, self.kept_steps = self.position, self.trainer:kept()
  end
  self.bar:report(self.position, self:shown_of(row))
  self:slow_down(improved)
  if self.log then
    local ok, message = self.log:add(self.history, row)
    if not ok then self.bar:say("the history was not written: " .. message) end
  end
  return row
end

-- Whether a callback wants to stop. It may have kept the weights as the best ones.
function Run:call(callback, ...)
  local stops = callback(...) == false
  local steps = self.trainer:kept()
  if steps ~= self.kept_steps then self.kept, self.kept_steps = self.position, steps end
  return stops
end

function Run:out_of_patience()
  return self.opts.patience ~= nil and self.history.waited >= self.opts.patience
end

-- Whether the callbacks, the patience or the user want to stop; the reason. The checkpoint is written after on_epoch,
-- so that it knows of the random numbers that were drawn there.
function Run:wants_to_stop(row)
  local opts, reason = self.opts, nil
  if row and opts.on_epoch and self:call(opts.on_epoch, row, self.history, self.trainer) then reason = "on_epoch" end
  if row then self:save() end
  if reason then return reason end
  if row and self:out_of_patience() then return "patience" end
  return opts.seconds and self:seconds() >= opts.seconds and "seconds" or nil
end

-- A batch whose loss or gradient is not finite has changed nothing. The first time: the last good weights, half the
-- rate. Returns nothing to go on, or a message.
function Run:diverged(x, y)
  local where = ("batch %d (epoch %d)"):format(self.position % self.per_epoch + 1, self:epoch())
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

-- The batches of the next step, all of one epoch, as one update. Returns their mean loss and the weight of their
-- targets; or nil, message, status and the batch.
function Run:train()
  local source, n = self.source, self.opts.accumulate
  local epoch, step = math.floor(self.position / self.per_epoch), self.position % self.per_epoch
  local last, sum, total = math.min(source.per_epoch, (step + 1) * n) - 1, 0, 0
  for k = step * n, last do
    local x, y, extra = source:batch(epoch * source.per_epoch + k)
    local loss, weight, status = self.trainer:train(x, y, extra, k < last)
    if not loss then return nil, weight, status, x, y end
    if n == 1 then return loss, weight end
    sum, total = sum + loss * weight, total + weight
  end
  return total > 0 and sum / total or 0, total
end

-- One step. Returns a reason to stop and a message, or nothing.
function Run:step()
  local opts, epoch = self.opts, self:epoch()
  local loss, weight, status, x, y = self:train()
  if not loss then
    if status ~= "not_finite" then return status, weight end                    -- the message
    local message = self:diverged(x, y)
    if message then return "not_finite", message end
  else
    self.sum, self.count = self.sum + loss * weight, self.count + weight        -- a mean over targets, as val_loss is
  end
  self.position = self.position + 1
  if opts.verbose > 0 then
    self.shown.loss, self.shown.epoch = self.count > 0 and self.sum / self.count or nil, epoch
    self.bar:update(self.position, self.shown)
  end
  if opts.on_step and loss then
    local info = {step = self.position, epoch = epoch, loss = loss, lr = self.trainer:rate()}
    if self:call(opts.on_step, info, self.trainer) then return "on_step" end
  end
end

-- Until the last batch, or a reason to stop; a message where the reason is a fault.
function Run:loop()
  if self:out_of_patience() and not self.due then return "patience" end      -- as it was when that run ended
  while self.position < self.total or self.due do
    local due, reason, message = self.due, nil, nil
    if not due then
      reason, message = self:step()
      due = self.position % self.interval == 0 or self.position >= self.total
    end
    local row = due and not message and self:measure()
    if self.due then return "interrupted" end
    reason = self:wants_to_stop(row) or reason
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
  if self.unsaved then self:save() end                          -- an error in on_epoch
  if self.history.best and self.opts.restore_best then self.trainer:restore_best() end
  self.trainer:close()
  self.bar:close()
  core.hold(false)
  core.threads(self.threads)
end

Run.__close = Run.close

function Run:interrupted()
  self.history.stopped = "interrupted"
  local message = ("interrupted after step %d of %d"):format(self.position, self.total)
  if self.saved then
    message = message .. (', resume with resume = "%s"'):format(self.opts.checkpoint)
  else
    message = message .. ", the run cannot go on: that needs checkpoint = path"
  end
  return nil, message, "interrupted", self.history
end

-- Whose weights came back, where they are not the last ones.
function Run:tell_best()
  local record = self.history
  local row = record.best and record[record.best]
  if self.opts.verbose == 0 or not self.opts.restore_best or not row or row.step == self.position then return end
  if self.kept ~= row.step then return end                                -- on_epoch has kept others
  core.eprint(("the best weights are back, those of step %d (epoch %d, %s %.4g)\n"):format(row.step, row.epoch,
    record.monitor == "loss" and "training loss" or record.monitor, row[record.monitor]))
end

function Run:finish(reason, message)
  if reason ~= "not_finite" and (self.unsaved or self.saved_at ~= self.position) then self:save() end
  self.history.stopped = reason
  self:close()
  self:tell_best()
  if reason == "interrupted" then return self:interrupted() end
  if message then return nil, "fit: " .. message, reason, self.history end
  local advice = self.opts.verbose > 0 and self.history:advice()
  if advice then core.eprint(advice .. "\n") end
  return self.history
end

-- What is wrong with the validation data is told as such.
local function check_validation(model, opts, how)
  local fine, problem = pcall(how.check, model, opts.validation, opts)
  if fine then return end
  if type(problem) ~= "string" then error(problem, 0) end
  problem = problem:gsub("^[^\n]-:%d+: ", "")
  core.raise(problem:find("^fit: validation") and problem or "fit: validation: " .. problem)
end

-- A run that has not begun; or nil, message, status.
local function new_run(model, train, opts, how)
  local source, message, status = how.source(model, train, opts)
  if not source then return nil, message, status end
  if opts.validation then check_validation(model, opts, how) end
  local per_epoch = math.ceil(source.per_epoch / opts.accumulate)
  local total = opts.steps or math.ceil((opts.epochs or 10) * per_epoch)
  return setmetatable({
    model = model, how = how, opts = opts, source = source, per_epoch = per_epoch, total = total, position = 0,
    sum = 0, count = 0, before = 0, shown = {}, hash = batches.hash(source),
    interval = opts.validate_every or default_interval(source, per_epoch, total),
    plateau = opts.plateau and plateaus.new(opts.plateau),
    history = history.new{monitor = opts.monitor, min_delta = opts.min_delta, mode = evaluate.mode(opts.monitor)},
  }, Run)
end

-- The columns of the CSV file.
function Run:columns()
  local names = {"epoch", "step", "loss"}
  if self.opts.validation then names[4] = "val_loss" end
  for _, name in ipairs(self.opts.metrics or {}) do names[#names + 1] = name end
  for _, name in ipairs{"lr", "norm", "seconds"} do names[#names + 1] = name end
  return names
end

-- The trainer, new or from a checkpoint. Returns true, or nil, message, status.
function Run:begin()
  local opts = self.opts
  local path = opts.resume == true and self.how.exists(opts.checkpoint) and opts.checkpoint or opts.resume
  if type(path) == "string" then return self:resume(path) end
  if opts.init then
    local ok, message, status = self.how.init(self.model, opts.init)
    if not ok then return nil, message, status end
  end
  self.trainer = self:new_trainer()
  self.trainer:keep_best()
  return true
end

-- Everything that the world may refuse. Returns true, or nil, message, status.
function Run:prepare()
  local opts = self.opts
  local ok, message, status = true, nil, nil
  if opts.checkpoint then ok, message, status = check_writable(opts.checkpoint) end
  if ok then ok, message, status = self:begin() end
  if ok and opts.csv then
    self.log, message, status = new_log(opts.csv, self:columns(), self.history)
    ok = self.log and true
    if not ok then self.trainer:close() end
  end
  return ok, message, status
end

--- Trains the model and brings the best weights back, however the run ends.
-- train: a token sequence, windows, {x = [N][T][I], y =} (padded: with lengths [N], weights [N][T]), or sequences of
-- different length. Options:
--   validation (data of the same kind; it has a state of its own), validate_every (steps between looks at it)
--   seq 64 (texts: tokens a gradient reaches back), batch 32, steps or epochs (10)
--   optimizer "adam" ("adamw", "rmsprop", "sgd"), lr, momentum, nesterov, beta1, beta2, alpha, epsilon, weight_decay
--   schedule ("step", "exponential", "cosine": of lr), schedule_steps (updates), schedule_factor, warmup (updates)
--   clip 5 (global norm, 0: off), clip_value, loss (default the model's), shuffle true, seed, threads
--   huber_delta 1, label_smoothing, class_weights (a list, or {label = weight}), pre_emphasis 0.95 (of the loss "esr",
--   where 0 is off: then it is the metric "esr")
--   burn_in (first steps of each window that only warm up the state)
--   bucket (true: sequences of similar length together)
--   freeze (a list of the numbers of layers), layer_rates (what each layer's lr is multiplied by)
--   accumulate 1 (batches whose gradients make one step; epochs, steps and schedules count steps)
--   init (a model or a path: its weights to begin with)
--   checkpoint (path, written at each look and at the end), resume (path, or true: the checkpoint if there is one; the
--   seed and the options that say how weights move are those of that run where they are not given)
--   csv (path: the history, a line more at each look)
--   seconds (a time budget), patience (looks without an improvement of min_delta in `monitor`: "val_loss", else "loss",
--   or "norm", or a metric; mode says the direction, which is known), metrics (a list of "accuracy", "perplexity",
--   "rmse", "mae", "f1" and "esr", of the validation data), restore_best true
--   plateau (true, or {factor 0.5, patience 2, min_lr 0}: the rate is reduced where the monitor does not improve)
--   verbose 1 (0 silent, 2 a line for each look), title, on_epoch(row, history, trainer) at each look and
--   on_step(info, trainer): false stops
-- Returns the history; or nil, message, status, history where the world stops it: "interrupted" (Ctrl-C), "not_finite",
-- "io", "format", "mismatch" (resume, init). Raises for mistakes.
-- how: for what is no model, see subject.lua.
return function(model, train, given, how)
  how = how or require "lstm.subject"
  local opts = asked.check(model, train, given)
  local run, message, status = new_run(model, train, opts, how)
  if not run then return nil, message, status end
  run.given = given or {}
  if how.watch then how.watch(run) end
  run.threads, run.began = core.threads(), core.now()
  if opts.threads then core.threads(opts.threads) end
  local forget = how.learn and how.learn(model, train, opts)
  local fine, ok
  fine, ok, message, status = pcall(run.prepare, run)
  if not (fine and ok) then
    if forget then forget() end
    core.threads(run.threads)
    if not fine then error(ok, 0) end
    return nil, message, status
  end
  local hint = opts.verbose > 0 and flaws.unscaled(model, train)
  if hint then core.eprint("fit: " .. hint .. "\n") end
  run.bar = progress.new{
    title = opts.title or "training", total = run.total, start = run.position, verbose = opts.verbose,
  }
  run.kept_steps = run.trainer:kept()
  core.hold(true)
  return guarded(run, function() return run:finish(run:loop()) end)
end
