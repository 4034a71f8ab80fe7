-- search.lua: tries options of models and of training, measures each trial by cross-validation, and says what was best.
--
-- A search with a file goes on where it was ended: the trials follow from the space and the seed alone, so the file
-- keeps no more than their results.

local asked = require "lstm.asked"
local core = require "lstm.core"
local evaluate = require "lstm.evaluate"
local guarded = require "lstm.guarded"
local models = require "lstm.model"
local options = require "lstm.options"
local progress = require "lstm.progress"
local results = require "lstm.trials"
local seeds = require "lstm.seeds"
local space = require "lstm.space"

local search = {range = space.range}
local Search = {}
Search.__index = Search

-- --- options --------------------------------------------------------------------------------------------------------

local spec = {
  space = {type = "table", required = true}, kind = {choices = {"grid", "random"}, default = "grid"},
  trials = {type = "integer", min = 1}, data = {type = "table", required = true}, validation = {type = "table"},
  folds = {type = {"integer", "table"}}, model = {type = {"function", "table"}, required = true},
  fit = {type = {"table", "function"}}, prepare = {type = "function"},
  monitor = {type = "string", default = "val_loss"}, file = {type = "string"}, seed = {type = "integer"},
  verbose = {type = "integer", default = 1, min = 0, max = 2},
}

-- What fit gets from the search itself.
local OWN = {"validation", "checkpoint", "resume", "csv", "monitor", "verbose"}

local function is_own(name)
  for _, one in ipairs(OWN) do
    if one == name then return true end
  end
  return false
end

local function check_fit(given, opts)
  for name in pairs(given) do
    if is_own(name) then
      core.raise(("search: fit = {%s = ...}: the search itself decides on %s"):format(name, name))
    end
    if opts.space[name] then core.raise(("search: %s is both in space and in fit"):format(name)) end
  end
  return (options.check(given, asked.spec, "search: fit", 4))
end

-- folds = 5, or {5, by = "random", seed = 1}: how many, and the options of data:folds.
local function read_folds(opts)
  if opts.validation then
    if opts.folds then core.raise("search: give folds or validation, not both") end
    return nil
  end
  local given = opts.folds or 3
  if type(given) == "number" then given = {given} end
  local by = options.check(given, {
    by = {choices = {"random", "stratified", "expanding"}}, seed = {type = "integer"}, ["#"] = true,
  }, "search: folds", 3)
  if not options.value(by[1], {type = "integer", min = 2}) then
    core.raise("search: folds = 3 or {3, by = \"random\"}: a whole number of at least 2 is needed, got " ..
      options.show(by[1]))
  end
  local class = getmetatable(opts.data)
  if not (type(class) == "table" and rawget(class, "folds")) then
    core.raise("search: these data have no folds (windows, tables and sequences do): give validation = data instead")
  end
  return by[1], {by = by.by, seed = by.seed or opts.seed}
end

local function check(given)
  local opts = options.check(given, spec, "search", 3)
  opts.seed = opts.seed or seeds.next()
  local names = space.names(opts.space)
  if opts.kind == "random" then opts.trials = opts.trials or 20 end
  if opts.data.kind == "table" and not opts.prepare then
    core.raise("search: a table of rows must become windows: give prepare = function(train, validation, o) that " ..
      "returns both as windows")
  end
  if type(opts.fit or {}) == "table" then check_fit(opts.fit or {}, opts) end
  for _, name in ipairs(names) do
    if is_own(name) then core.raise(("search: space: the search itself decides on %s"):format(name)) end
    if type(opts.model) == "table" and opts.model[name] ~= nil then
      core.raise(("search: %s is both in space and in model"):format(name))
    end
  end
  return opts, names
end

-- --- one trial ------------------------------------------------------------------------------------------------------

-- The values as functions see them: what is not there raises, and what is read is noted.
local function watched(values, used)
  return setmetatable({}, {
    __index = function(_, name)
      used[name] = true
      if values[name] ~= nil then return values[name] end
      local names = {}
      for key in pairs(values) do names[#names + 1] = key end
      table.sort(names)
      return core.raise("search: " .. options.unknown("name in the space", name, names))
    end,
    __pairs = function()
      for name in pairs(values) do used[name] = true end
      return next, values, nil
    end,
  })
end

-- Whether a name is for the table of the model's options (which has loss and seed, too), and whether for fit.
function Search:is_for_model(name) return type(self.opts.model) == "table" and models.spec[name] ~= nil end

function Search:is_for_fit(name) return asked.spec[name] ~= nil and not self:is_for_model(name) end

function Search:new_model(values, seen)
  local make = self.opts.model
  if type(make) == "function" then
    local model = make(seen)
    if not models.is(model) and type(model) ~= "table" then
      core.raise("search: the function `model` must return a model, got " .. options.show(model))
    end
    return model
  end
  local given = {}
  for key, value in pairs(make) do given[key] = value end
  for name, value in pairs(values) do
    if self:is_for_model(name) then given[name], self.used[name] = value, true end
  end
  return models.new(given)
end

function Search:fit_options(values, seen, validation)
  local given = self.opts.fit or {}
  if type(given) == "function" then given = check_fit(given(seen), {space = {}}) end
  local result = {}
  for key, value in pairs(given) do result[key] = value end
  for name, value in pairs(values) do
    if self:is_for_fit(name) then result[name], self.used[name] = value, true end
  end
  result.validation, result.monitor = validation, self.opts.monitor
  result.verbose = self.opts.verbose == 2 and 1 or 0
  return result
end

-- What the folds are, one after the other: train, validation.
function Search:parts()
  if not self.folds then
    local once
    return function()
      if once then return nil end
      once = true
      return 1, self.opts.data, self.opts.validation
    end
  end
  return self.opts.data:folds(self.folds, self.by)
end

-- One fold. Returns the score; or nil, message, status.
function Search:fold(values, fold, train, validation)
  seeds.set(self.opts.seed + fold)
  local seen = watched(values, self.used)
  if self.opts.prepare then train, validation = self.opts.prepare(train, validation, seen) end
  local model = self:new_model(values, seen)
  local history, message, status = model:fit(train, self:fit_options(values, seen, validation))
  if not history then return nil, message, status end
  if not history.best then return nil, ("%s was never a number"):format(self.opts.monitor), "not_finite" end
  return history.best_value
end

-- A trial: its scores by fold. A fold that fails fails it.
function Search:measure(trial)
  local began = core.now()
  for fold, train, validation in self:parts() do
    local fine, score, message, status = pcall(self.fold, self, trial.options, fold, train, validation)
    if core.interrupted() or status == "interrupted" then return "interrupted" end
    if not fine then message, trial.raised, score = tostring(score), true, nil end
    if not score then
      trial.status, trial.message = "failed", (message:gsub("^fit: ", ""))
      break
    end
    trial.folds[#trial.folds + 1] = score
    self.done = self.done + 1
    self.bar:update(self.done, {best = self.results.best and self.results.best.score})
  end
  results.summarize(trial, core.now() - began)
end

-- Three trials in a row that raise the same error are the script's mistake, not that of the values.
function Search:check_mistake(trial)
  local plain = trial.raised and trial.message:gsub("^[^\n]-:%d+: ", "")
  self.same = plain and plain == self.last_message and self.same + 1 or 1
  self.last_message, self.message = plain, trial.message
  if plain and self.same >= math.min(3, #self.plan) and not self.results.best then
    self.results:forget(self.message)
    error(("%s\n(the same in each of the first %d trials of the search)"):format(trial.message, self.same), 0)
  end
end

-- After a trial that worked every name must have been of use.
function Search:check_used()
  if self.checked then return end
  self.checked = true
  for _, name in ipairs(self.names) do
    if not self.used[name] then
      core.raise(("search: nothing uses \"%s\" of the space: neither fit nor the model has such an option, and no " ..
        "function reads it"):format(name))
    end
  end
end

-- --- all trials -----------------------------------------------------------------------------------------------------

-- A line; where each fit has a line of its own, without one for the search.
function Search:say(text)
  if self.opts.verbose == 2 then core.eprint(text .. "\n") else self.bar:say(text) end
end

function Search:tell(trial)
  if trial.status == "failed" then
    self:say(("trial %d of %d failed (%s): %s"):format(trial.number, #self.plan, trial.words, trial.message))
  elseif trial == self.results.best then
    self:say(("trial %d of %d, the best so far: %s %s (%s)"):format(trial.number, #self.plan, self.opts.monitor,
      results.score_text(trial), trial.words))
  end
end

-- Runs what is not in the file yet. Returns true, or nil, message, status.
function Search:run()
  for number, values in ipairs(self.plan) do
    if not self.results:has(number) then
      local trial = results.trial(number, values, self.names)
      if self:measure(trial) then return nil, self:interruption(), "interrupted" end
      if trial.status == "ok" then self:check_used() end
      self:check_mistake(trial)
      local ok, message, status = self.results:add(trial)
      if not ok then return nil, message, status end
      self:tell(trial)
    end
    self.done = number * (self.folds or 1)
    self.bar:update(self.done, {best = self.results.best and self.results.best.score})
    if core.interrupted() then return nil, self:interruption(), "interrupted" end
  end
  return true
end

function Search:interruption()
  local message = ("search interrupted after trial %d of %d"):format(#self.results, #self.plan)
  if self.opts.file then return ("%s, the same call goes on with %s"):format(message, self.opts.file) end
  return message .. ", the trials are lost: file = path would keep them"
end

function Search:close()
  if self.closed then return end
  self.closed = true
  self.bar:close()
  core.hold(false)
  seeds.restore(self.seeds)
end

Search.__close = Search.close

-- What must be the same in a search that goes on, as text.
local function identity(opts, names, folds, by)
  local words = {
    space.describe(opts.space, names), opts.kind, opts.monitor, tostring(folds), tostring(by and by.by),
    tostring(by and by.seed), ("%.0f"):format(opts.seed),
    getmetatable(opts.data) and tostring(opts.data) or "a set", tostring(opts.validation ~= nil),
  }
  local fit = type(opts.fit) == "table" and opts.fit or {}
  local keys = {}
  for key, value in pairs(fit) do
    if type(value) ~= "function" then keys[#keys + 1] = key .. "=" .. space.text(value) end
  end
  table.sort(keys)
  words[#words + 1] = table.concat(keys, "\n")
  return core.hash(table.concat(words, "\n"))
end

--- Tries the options in `space` and returns the trials, the best first.
-- space: name = {values...} or lstm.range(low, high, {log, whole, steps}); options of fit go to fit, all go to `model`.
-- kind "grid" (all combinations) or "random" (trials = 20 of them).
-- model: function(o) that returns a model, or a table of lstm.model's options, to which those of the space are added.
-- data: windows, a table of rows, sequences; folds 3, or {3, by = "random", "stratified" or "expanding", seed =}: as
--   data:folds; or validation = data instead of folds. prepare: function(train, validation, o) that returns what is
--   trained on and measured (scaled windows of rows, say): it sees each fold apart, so that nothing leaks.
-- fit: options of model:fit (a table, or a function(o)); monitor "val_loss" or any that fit knows: its best value
--   counts, the mean over the folds. file: a CSV file that gets a line for each trial; where it is there, the search
--   goes on with it.
-- seed; verbose 1 (0 silent, 2 also each fit's own line).
-- Returns the trials (see trials.lua); or nil, message, status, trials: "interrupted" (Ctrl-C), "io", "mismatch" (the
-- file belongs to another search). A trial that fails is recorded with its message. Raises for mistakes.
function search.run(given)
  local opts, names = check(given)
  local folds, by = read_folds(opts)
  local plan = opts.kind == "grid" and space.grid(opts.space, names) or
    space.random(opts.space, names, opts.trials, opts.seed)
  if opts.kind == "grid" and opts.trials and opts.trials < #plan then
    core.raise(("search: the grid has %d trials, trials = %d are for kind = \"random\""):format(#plan, opts.trials))
  end
  local table_of, message, status = results.open(opts.file, identity(opts, names, folds, by), plan, names, {
    monitor = opts.monitor, mode = evaluate.mode(opts.monitor), folds = folds or 1,
  })
  if not table_of then return nil, message, status end
  local self = setmetatable({
    opts = opts, names = names, plan = plan, folds = folds, by = by, results = table_of, used = {}, same = 0,
    done = #table_of * (folds or 1), checked = #table_of > 0, seeds = seeds.state(),
  }, Search)
  self.bar = progress.new{title = "search", unit = folds and "fold" or "trial", total = #plan * (folds or 1),
    start = self.done, verbose = opts.verbose == 2 and 0 or opts.verbose}
  core.hold(true)
  return guarded(self, function()
    local ok, why, kind = self:run()
    self:close()
    table_of:sort()
    if not ok then return nil, why, kind, table_of end
    return table_of
  end)
end

return search
