-- trials.lua: the results of a search, in memory and in its CSV file.

local core = require "lstm.core"
local methods = require "lstm.methods"
local options = require "lstm.options"
local space = require "lstm.space"

local trials = {}
local Trials = methods.guard({}, "trials", {"best", "path", "foreign"})
Trials.__index = Trials
Trials.__name = "lstm.trials"

--- A trial that has not begun.
function trials.trial(number, values, names)
  return {number = number, options = values, words = space.words(names, values), folds = {}, status = "ok"}
end

--- Fills in score (the mean over the folds; NaN where it failed), spread (their standard deviation) and seconds.
function trials.summarize(trial, seconds)
  local sum, squares, n = 0, 0, #trial.folds
  for _, score in ipairs(trial.folds) do sum = sum + score end
  local mean = sum / n
  for _, score in ipairs(trial.folds) do squares = squares + (score - mean) ^ 2 end
  trial.score = trial.status == "ok" and mean or 0 / 0
  trial.spread = trial.status == "ok" and (n > 1 and math.sqrt(squares / (n - 1)) or 0) or 0 / 0
  trial.seconds = seconds
end

--- "0.0123 +- 0.002"
function trials.score_text(trial)
  if trial.status ~= "ok" then return "failed" end
  return #trial.folds < 2 and ("%.4g"):format(trial.score) or ("%.4g +- %.2g"):format(trial.score, trial.spread)
end

-- --- the file -------------------------------------------------------------------------------------------------------

local FIXED = {"search", "trial", "status", "score", "spread", "seconds"}

local function quoted(text)
  text = tostring(text):gsub("[\r\n]+", " ")
  return text:find('[",]') and '"' .. text:gsub('"', '""') .. '"' or text
end

-- The cells of a line, quotes undone.
local function cells_of(line)
  local cells, at = {}, 1
  while at <= #line + 1 do
    if line:sub(at, at) == '"' then
      local text, after = "", at + 1
      while true do
        local stop = line:find('"', after, true)
        if not stop then return nil end
        text = text .. line:sub(after, stop - 1)
        after = stop + 1
        if line:sub(after, after) ~= '"' then break end
        text, after = text .. '"', after + 1
      end
      cells[#cells + 1], at = text, after + 1
    else
      local stop = line:find(",", at, true) or #line + 1
      cells[#cells + 1], at = line:sub(at, stop - 1), stop + 1
    end
  end
  return cells
end

local function header(self)
  local cells = {}
  for i, name in ipairs(FIXED) do cells[i] = name end
  for _, name in ipairs(self.names) do cells[#cells + 1] = quoted(name) end
  for i = 1, self.folds do cells[#cells + 1] = ("fold %d"):format(i) end
  cells[#cells + 1] = "message"
  return table.concat(cells, ",")
end

local function exact(value) return value == value and ("%.17g"):format(value) or "nan" end

local function line_of(self, trial)
  local cells = {self.identity, ("%.0f"):format(trial.number), trial.status, exact(trial.score), exact(trial.spread),
    ("%.3f"):format(trial.seconds)}
  for _, name in ipairs(self.names) do cells[#cells + 1] = quoted(space.text(trial.options[name])) end
  for i = 1, self.folds do cells[#cells + 1] = trial.folds[i] and exact(trial.folds[i]) or "" end
  cells[#cells + 1] = quoted(trial.message or "")
  return table.concat(cells, ",")
end

-- A trial from a line of the file; nil and what does not fit.
local function read_trial(self, line, plan)
  local cells = cells_of(line)
  local at = #FIXED
  if not cells or #cells ~= at + #self.names + self.folds + 1 then return nil, "a line of it is damaged" end
  local number = tonumber(cells[2])
  local values = plan[number]
  if not values then return nil, ("it has a trial %s, this search has %d"):format(cells[2], #plan) end
  for i, name in ipairs(self.names) do
    local now = space.text(values[name])
    if cells[at + i] ~= now then
      return nil, ("trial %d had %s = %s in that search and has %s now"):format(number, name, cells[at + i], now)
    end
  end
  self.foreign = self.foreign or cells[1] ~= self.identity
  local trial = trials.trial(number, values, self.names)
  for i = 1, self.folds do trial.folds[i] = tonumber(cells[at + #self.names + i]) end
  trial.status = cells[3]
  trials.summarize(trial, tonumber(cells[6]) or 0)
  if trial.status ~= "ok" then trial.message = cells[#cells] end
  return trial
end

-- Reads what a search wrote that was ended. A last line without its end is of the moment in which it was killed.
local function read(self, text, plan)
  local first = text:match("^([^\n]*)\n")
  if not first or first:sub(1, 13) ~= "search,trial," then return nil, "it is no file of a search" end
  if first ~= header(self) then return nil, "it has other columns: another space, or another number of folds" end
  local whole = first .. "\n"
  for line in text:sub(#whole + 1):gmatch("([^\n]*)\n") do
    local trial, problem = read_trial(self, line, plan)
    if not trial then return nil, problem end
    self:keep(trial)
    whole = whole .. line .. "\n"
  end
  if self.foreign then
    return nil, "the space, the folds, the data, the seed, the monitor or the options of fit were others"
  end
  return whole
end

--- The results, from the file where there is one. about: monitor, mode, folds. Returns them; or nil, message, status.
function trials.open(path, identity, plan, names, about)
  local self = setmetatable({
    path = path, identity = identity, names = names, monitor = about.monitor, mode = about.mode, folds = about.folds,
    seen = {},
  }, Trials)
  if not path then return self end
  local whole = header(self) .. "\n"
  if core.exists(path) then
    local text, message, status = core.readfile(path)
    if not text then return nil, message, status end
    if text ~= "" then
      local problem
      whole, problem = read(self, text, plan)
      if not whole then
        return nil, ("search: cannot go on with %s: %s: choose another file, or remove it"):format(path, problem),
          "mismatch"
      end
    end
  end
  local ok, message, status = core.writefile(path, whole)
  if not ok then return nil, message, status end
  return self
end

-- --- the results ----------------------------------------------------------------------------------------------------

--- Whether a trial has been made.
function Trials:has(number) return self.seen[number] ~= nil end

-- Whether a is better than b; failed trials come last, equal ones in the order in which they were made.
local function better(self, a, b)
  local fine_a, fine_b = a.score == a.score, b.score == b.score
  if fine_a ~= fine_b then return fine_a end
  if fine_a and a.score ~= b.score then
    if self.mode == "max" then return a.score > b.score end
    return a.score < b.score
  end
  return a.number < b.number
end

--- Keeps a trial.
function Trials:keep(trial)
  options.argument(trial, "table", "keep: the trial")
  options.argument(trial.number, "number", "keep: the number of the trial")
  self[#self + 1], self.seen[trial.number] = trial, true
  if trial.status == "ok" and (not self.best or better(self, trial, self.best)) then self.best = trial end
end

--- Keeps a trial and writes its line. Returns true, or nil, message, status.
function Trials:add(trial)
  self:keep(trial)
  if not self.path then return true end
  local file, message = io.open(self.path, "ab")
  if not file then return nil, "cannot write " .. message, "io" end
  local ok, problem = file:write(line_of(self, trial), "\n")
  local closed, more = file:close()
  if ok and closed then return true end
  return nil, ("cannot write %s: %s"):format(self.path, problem or more), "io"
end

--- Drops the trials that failed with this message: they were the script's mistake, and are to be made again.
function Trials:forget(message)
  local lines = {header(self)}
  for i = #self, 1, -1 do
    if self[i].message == message then self.seen[table.remove(self, i).number] = nil end
  end
  for i, trial in ipairs(self) do lines[i + 1] = line_of(self, trial) end
  if self.path then core.writefile(self.path, table.concat(lines, "\n") .. "\n") end
end

--- The best first.
function Trials:sort()
  table.sort(self, function(a, b) return better(self, a, b) end)
end

local SHOWN = 20

--- A table, the best first: at most 20 trials.
function Trials:__tostring()
  if #self == 0 then return "search: no trials" end
  local heads = {"trial", self.monitor, "seconds"}
  for _, name in ipairs(self.names) do heads[#heads + 1] = name end
  local rows, widths = {heads}, {}
  for i = 1, math.min(#self, SHOWN) do
    local trial = self[i]
    local row = {("%.0f"):format(trial.number), trials.score_text(trial), ("%.1f"):format(trial.seconds)}
    for _, name in ipairs(self.names) do row[#row + 1] = space.text(trial.options[name]) end
    if trial.message then row[#row + 1] = trial.message:gsub("\n.*", "") end
    rows[#rows + 1] = row
  end
  for j = 1, #heads do
    for _, row in ipairs(rows) do widths[j] = math.max(widths[j] or 0, #row[j]) end
  end
  for i, row in ipairs(rows) do
    for j = 1, #heads do row[j] = (" "):rep(widths[j] - #row[j]) .. row[j] end
    rows[i] = table.concat(row, "  ")
  end
  if #self > SHOWN then rows[#rows + 1] = ("and %d more"):format(#self - SHOWN) end
  return table.concat(rows, "\n")
end

return trials
