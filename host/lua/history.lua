-- history.lua: what a training run measured, row by row.
--
-- A row is written whenever the run looks at itself (an epoch of windows, a validation of a text): a plain
-- table {step, epoch, loss, val_loss, lr, seconds}, whatever was measured. `history[#history].val_loss` is the
-- last validation loss, `history.best` the number of the best row, `history.stopped` why the run ended.

local core = require "lstm.core"
local methods = require "lstm.methods"
local options = require "lstm.options"

local history = {}
local History = methods.guard({}, "history", {"best", "best_value", "stopped", "monitor"})
History.__index = History
History.__name = "lstm.history"

-- Columns come in this order wherever they are shown; others follow by name.
local known = {"epoch", "step", "loss", "val_loss", "accuracy", "perplexity", "rmse", "mae", "f1", "esr", "lr", "norm",
  "seconds"}

--- A new, empty history.
-- opts: monitor ("val_loss" where rows have it, else "loss"): the column that decides which row is best;
--   mode "min" (default) or "max"; min_delta 0: an improvement must be larger than this.
-- Raises on unknown options.
function history.new(opts)
  opts = options.check(opts, {
    monitor = {type = "string"}, mode = {type = "string", default = "min", choices = {"min", "max"}},
    min_delta = {type = "number", default = 0, min = 0},
  }, "history")
  return setmetatable({monitor = opts.monitor, mode = opts.mode, min_delta = opts.min_delta, waited = 0}, History)
end

local function check_row(row)
  if type(row) ~= "table" then
    core.raise("history: a row is a table of numbers by column name, got " .. options.show(row))
  end
  for name, value in pairs(row) do
    if type(value) ~= "number" then
      core.raise(('history: column "%s" of a row must be a number, got %s'):format(tostring(name), options.show(value)))
    end
  end
end

--- Adds a row (a table of numbers by column name; it is kept, not copied). Returns whether it is the best so far.
-- NaN and infinity are never the best. `history.waited` counts the rows since the best one, for `patience`.
-- Raises where the row lacks the monitored column, naming those it has.
function History:add(row)
  check_row(row)
  if not self.monitor then self.monitor = row.val_loss and "val_loss" or "loss" end
  local value = row[self.monitor]
  if value == nil then
    local names = {}
    for name in pairs(row) do names[#names + 1] = name end
    table.sort(names)
    error("history: " .. options.unknown("monitor", self.monitor, names), 2)
  end
  self[#self + 1] = row
  return self:judge(#self, value)
end

-- Whether the value of row i is an improvement; keeps best, best_value and waited up to date.
function History:judge(i, value)
  options.argument(value, "number", "history: the value to judge")
  local finite = value == value and value > -math.huge and value < math.huge
  local gain = finite and self.best and (self.mode == "min" and self.best_value - value or value - self.best_value)
  if finite and (not self.best or gain > self.min_delta) then
    self.best, self.best_value, self.waited = i, value, 0
    return true
  end
  self.waited = self.waited + 1
  return false
end

--- The names of the columns that any row has, the usual ones first.
function History:columns()
  local seen, names, rest = {}, {}, {}
  for _, row in ipairs(self) do
    for name in pairs(row) do seen[name] = true end
  end
  for _, name in ipairs(known) do
    if seen[name] then names[#names + 1] = name end
    seen[name] = nil
  end
  for name in pairs(seen) do rest[#rest + 1] = name end
  table.sort(rest)
  for _, name in ipairs(rest) do names[#names + 1] = name end
  return names
end

--- One column as a table of #history numbers, NaN where a row has no such value.
-- Raises for a column that no row has, naming those that exist (an empty history has every column).
function History:column(name)
  local values, found = {}, #self == 0
  for i, row in ipairs(self) do
    found = found or row[name] ~= nil
    values[i] = row[name] or 0 / 0
  end
  if not found then error("history: " .. options.unknown("column", name, self:columns()), 2) end
  return values
end

-- 17 digits give every double back; whole numbers stay whole.
local function exact(value)
  if value == nil then return "" end
  if value ~= value then return "nan" end
  if value == math.huge then return "inf" elseif value == -math.huge then return "-inf" end
  if value == math.floor(value) and math.abs(value) < 1e15 then return ("%.0f"):format(value) end
  return ("%.17g"):format(value)
end

local specials = {nan = 0 / 0, inf = math.huge, ["-inf"] = -math.huge}

local function split(line, separator)
  local fields = {}
  for field in (line .. separator):gmatch("(.-)" .. separator) do fields[#fields + 1] = field end
  return fields
end

--- A row as comma separated text. names: the columns.
function History.line(_, row, names)
  options.argument(row, "table", "line: the row")
  options.argument(names, "table", "line: the names of the columns")
  local cells = {}
  for j, name in ipairs(names) do cells[j] = exact(row[name]) end
  return table.concat(cells, ",")
end

--- The rows as text: a header line and one line a row, comma separated, numbers exact. Opens in any spreadsheet.
function History:csv()
  local names = self:columns()
  local lines = {table.concat(names, ",")}
  for i, row in ipairs(self) do lines[i + 1] = self:line(row, names) end
  return table.concat(lines, "\n") .. "\n"
end

--- The whole history as one string for a checkpoint; `history.frommeta` reads it.
function History:tometa()
  local head = ("monitor=%s mode=%s min_delta=%s"):format(self.monitor or "", self.mode, exact(self.min_delta))
  return head .. "\n" .. self:csv()
end

-- "12" -> 12, an integer where the language has them; "" -> nil; false for what is no number.
local function number(cell)
  if cell == "" then return nil end
  if specials[cell] then return specials[cell] end
  return tonumber(cell) or false
end

--- A history from the string of `:tometa()`: the same rows, best row and patience count.
-- Returns nil, message, "format" where the text is not one.
function history.frommeta(text)
  options.argument(text, "string", "frommeta: the text")
  local monitor, mode, delta, rest = text:match("^monitor=(%S*) mode=(%a+) min_delta=(%S+)\n(.*)$")
  if not monitor or not tonumber(delta) or mode ~= "min" and mode ~= "max" then
    return nil, "not a history: the first line must state monitor, mode and min_delta", "format"
  end
  local result = history.new{monitor = monitor ~= "" and monitor or nil, mode = mode, min_delta = tonumber(delta)}
  local names
  for line in rest:gmatch("([^\n]*)\n") do
    local cells = split(line, ",")
    if not names then
      names = cells
    else
      local row = {}
      for j, name in ipairs(names) do
        row[name] = number(cells[j] or "")
        if row[name] == false then return nil, ('not a history: "%s" is not a number'):format(cells[j]), "format" end
      end
      result[#result + 1] = row
      result:judge(#result, row[result.monitor] or 0 / 0)
    end
  end
  return result
end

--- One plain sentence of advice from the curves, or nil where there is nothing to say: see advice.lua.
function History:advice() return (require "lstm.advice"(self)) end

-- Figures for people: 4 significant digits, whole numbers as they are.
local function figure(value)
  if value == nil then return "-" end
  if value == math.floor(value) and math.abs(value) < 1e9 then return ("%.0f"):format(value) end
  return ("%.4g"):format(value)
end

--- The losses as a text plot for the terminal, the best row marked; see chart.lua for opts.
function History:chart(opts)
  local text = require "lstm.chart".history(self, opts)
  return text                                        -- no tail call: errors count the levels
end

--- A table for the terminal: every row of a short history, the first, some, and the last of a long one; * = best.
function History:__tostring()
  local names, n = self:columns(), #self
  local lines, last = {}, 0
  local every = math.max(1, math.ceil(n / 20))
  local function row_text(cells, mark)
    for j, cell in ipairs(cells) do cells[j] = (" "):rep(math.max(10, #names[j] + 1) - #cell) .. cell end
    return table.concat(cells) .. (mark or "")
  end
  local heads = {}
  for j, name in ipairs(names) do heads[j] = name end
  lines[1] = row_text(heads)
  for i = 1, n do
    if i % every == 0 or i == 1 or i == n or i == self.best then
      local cells = {}
      for j, name in ipairs(names) do cells[j] = figure(self[i][name]) end
      lines[#lines + 1] = row_text(cells, i == self.best and " *" or "")
      last = i
    end
  end
  if last == 0 then return "history: empty" end
  if self.best and self.monitor == "loss" then lines[#lines + 1] = "* best by training loss (no validation)" end
  if self.stopped then lines[#lines + 1] = "stopped: " .. tostring(self.stopped) end
  return table.concat(lines, "\n")
end

return history
