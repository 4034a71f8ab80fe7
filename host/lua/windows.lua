-- windows.lua: tables of rows, and the windows that slide over them.
--
-- A table is an array [N][W] of N rows in time order with W named columns. A set of windows is a view of a table:
-- window number i (from 0) is `look_back` rows of input; its target is the row `ahead` steps after the last of them.
--
--   rows:     1 2 3 4 5 6 7       look_back 3, ahead 1
--   window 0: x x x y             window 1:   x x x y     ...

local core = require "lstm.core"
local methods = require "lstm.methods"
local options = require "lstm.options"
local cuts = require "lstm.split"

local windows = {}
local Table = methods.guard({}, "table")
Table.__index = Table
Table.__name = "lstm.table"
local Windows = methods.guard({}, "windows", {"target", "target_index"})
Windows.__index = Windows
Windows.__name = "lstm.windows"

--- A table of rows from an array [N][W] (or [N]: one column) and the names of its columns (default "1", "2", ...).
-- The array is kept, not copied. Raises where the names and the width differ.
function windows.table(data, columns)
  if type(data) == "table" and not data.shape then data = core.array(data) end
  local n, width, more = data:shape()
  if more then error("table: the array must have two axes, rows and columns", 2) end
  if not width then data, width = data:reshape{n, 1}, 1 end
  local names = {}
  for j = 1, columns and #columns or width do names[j] = columns and columns[j] or tostring(j) end
  if #names ~= width then
    error(("table: %d names for %d columns"):format(#names, width), 2)
  end
  return setmetatable({kind = "table", data = data, columns = names, width = width}, Table)
end

--- How many rows there are.
function Table:__len() return #self.data end

-- The number of a column from its name; raises at the caller of the method that asks.
local function column_index(self, name, where)
  for j, column in ipairs(self.columns) do
    if column == name then return j end
  end
  error(where .. ": " .. options.unknown("column", name, self.columns), 3)
end

--- One column by name: an array [N] (a copy). Raises for a name that is not there.
function Table:column(name)
  return self.data:column(column_index(self, name, "column"))
end

--- Rows from..to (1-based, both included; negative counts from the end; `to` defaults to the last row), as a view.
-- Raises where there are no such rows.
function Table:slice(from, to)
  local n = #self
  to = to or n
  if from < 0 then from = n + 1 + from end
  if to < 0 then to = n + 1 + to end
  if from < 1 or to > n or from > to then
    error(("slice: rows %d to %d of a table of %d"):format(from, to, n), 2)
  end
  return windows.table(self.data:slice(from, to), self.columns)
end

-- The parts of a set that has slice(from, to), cut by fractions.
local function split(set, noun, ...)
  local parts, from = {}, 1
  for i, to in ipairs(cuts("split", #set, noun, ...)) do
    parts[i] = set:slice(from, to)
    from = to + 1
  end
  return (table.unpack or unpack)(parts)             -- luacheck: ignore unpack
end

--- Cuts the table by time: `split(0.8)` gives the first 80 % of the rows and the rest, `split(0.7, 0.15)` three
-- parts. The parts are views. Raises for fractions that leave nothing for a part.
function Table:split(...) return split(self, "rows", ...) end

function Table:__tostring()
  return ("table of %d rows (%s)"):format(#self, options.list(self.columns))
end

-- The rows of `before` that the first windows of `part` reach back to, then the rows of part: one array (a copy).
local function joined(before, part, reach)
  reach = math.min(reach, #before)
  if reach == 0 then return part.data end
  local bytes = before.data:slice(#before - reach + 1, #before):bytes() .. part.data:bytes()
  return core.frombytes(bytes, "float32", {reach + #part, part.width})
end

--- The windows of a table.
-- opts: look_back (rows of input, required), ahead 1 (the target is that many rows after the last input row),
--   target (a column's name; default: all columns), before (a table of the rows that come before this one: its last
--   rows serve as input, so that the first row here already has a forecast; needs the same columns).
-- Raises for unknown options and where the table is too short for one window.
function Table:windows(opts)
  opts = options.check(opts, {
    look_back = {type = "integer", min = 1, required = true}, ahead = {type = "integer", default = 1, min = 1},
    target = {type = "string"}, before = {type = "table"},
  }, "windows")
  local target = opts.target and column_index(self, opts.target, "windows")
  local data, span = self.data, opts.look_back + opts.ahead - 1
  if opts.before then
    if table.concat(opts.before.columns, "\n") ~= table.concat(self.columns, "\n") then
      error("windows: the table in `before` has other columns", 2)
    end
    data = joined(opts.before, self, span)
  end
  if #data <= span then
    error(("windows: %d rows are too few: look_back %d and ahead %d need at least %d"):format(
      #data, opts.look_back, opts.ahead, span + 1), 2)
  end
  return setmetatable({
    kind = "windows", data = data, columns = self.columns, look_back = opts.look_back, ahead = opts.ahead,
    target = opts.target, target_index = target, width = self.width, outputs = target and 1 or self.width,
  }, Windows)
end

--- How many windows there are.
function Windows:__len() return #self.data - self.look_back - self.ahead + 1 end

--- Fills a batch. indices: int32 array [B] of window numbers from 0; x: array [look_back][B][width];
-- y: array [B][outputs].
function Windows:gather(indices, x, y)
  core.gather_windows(self.data, indices, self.look_back, self.ahead, self.target_index, x, y)
end

-- Rows from..to of a column (or of all): an array [n][1] (or [n][width]).
local function rows_of(self, from, to, j)
  if not j then return self.data:slice(from, to):copy() end
  return self.data:column(j):slice(from, to):reshape{to - from + 1, 1}
end

--- What should have been predicted: an array [n][outputs], in window order.
function Windows:targets()
  local first = self.look_back + self.ahead
  return rows_of(self, first, #self.data, self.target_index)
end

--- The last input row of each window: an array [n][1] of the named column, or of the target's. As a prediction this
-- is persistence, "the same as now": the least a model has to beat. Without a target: all columns, [n][width].
-- Raises for a name that is not there.
function Windows:last(name)
  local j = self.target_index
  if name then j = column_index(self, name, "last") end
  return rows_of(self, self.look_back, self.look_back + #self - 1, j)
end

--- Windows from..to (1-based, both included; negative counts from the end), as a view.
-- Raises where there are no such windows.
function Windows:slice(from, to)
  local n = #self
  to = to or n
  if from < 0 then from = n + 1 + from end
  if to < 0 then to = n + 1 + to end
  if from < 1 or to > n or from > to then
    error(("slice: windows %d to %d of %d"):format(from, to, n), 2)
  end
  local part = {}
  for key, value in pairs(self) do part[key] = value end
  part.data = self.data:slice(from, to + self.look_back + self.ahead - 1)
  return setmetatable(part, Windows)
end

--- Cuts the set by time, as a table's split does.
function Windows:split(...) return split(self, "windows", ...) end

function Windows:__tostring()
  return ("%d windows of %d rows (%s), target %s %d ahead"):format(#self, self.look_back, options.list(self.columns),
    self.target or "all", self.ahead)
end

return windows
