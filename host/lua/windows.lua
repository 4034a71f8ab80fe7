-- windows.lua: tables of rows, and the windows that slide over them.
--
-- A table is an array [N][W] of N rows in time order with W named columns. A set of windows is a view of a table:
-- window number i (from 0) begins at row i * stride; it is `look_back` rows of input, and its targets are `steps` rows,
-- the first of them `ahead` rows after the last row of input.
--
--   rows:     1 2 3 4 5 6 7       look_back 3, ahead 1, steps 2
--   window 0: x x x y y           window 1:   x x x y y     ...

local core = require "lstm.core"
local methods = require "lstm.methods"
local options = require "lstm.options"
local cuts = require "lstm.split"

local windows = {}
local Table = methods.guard({}, "table", {"header", "origin", "scaler", "stored"})
Table.__index = Table
Table.__name = "lstm.table"
local Windows = methods.guard({}, "windows", {"target", "picked", "scaler", "starts"})
Windows.__index = Windows
Windows.__name = "lstm.windows"

--- A table of rows from an array [N][W] (or [N]: one column) and the names of its columns (default "1", "2", ...).
-- The array is kept, not copied. Raises where the names and the width differ.
function windows.table(data, columns)
  if type(data) == "table" then data = core.array(data) end
  if not core.is_array(data) then
    core.raise("table: an array or a table of numbers is needed, got " .. options.show(data))
  end
  if columns ~= nil then options.argument(columns, "table", "table: the names of the columns") end
  local n, width, more = data:shape()
  if more then core.raise("table: the array must have two axes, rows and columns") end
  if not width then data, width = data:reshape{n, 1}, 1 end
  local names = {}
  for j = 1, columns and #columns or width do names[j] = columns and columns[j] or tostring(j) end
  if #names ~= width then
    core.raise(("table: %d names for %d columns"):format(#names, width))
  end
  return setmetatable({kind = "table", data = data, columns = names, width = width}, Table)
end

-- Other rows with what a table has beside them.
local function like(self, data, columns, scaler)
  local rows = windows.table(data, columns or self.columns)
  rows.header, rows.scaler, rows.stored, rows.origin = self.header, scaler or self.scaler, self.stored, self.origin
  return rows
end

--- Other rows with the same columns, that this scaler has scaled.
function windows.scaled(rows, data, scaler) return like(rows, data, nil, scaler) end

--- How many rows there are.
function Table:__len() return #self.data end

local function column_index(self, name, where)
  for j, column in ipairs(self.columns) do
    if column == name then return j end
  end
  core.raise(where .. ": " .. options.unknown("column", name, self.columns))
end

-- The numbers of columns, int32 [n] from 1. Raises for names that are not there or come twice.
local function column_indices(self, names, where)
  if type(names) ~= "table" or #names == 0 then
    core.raise(where .. ": a list of names of columns is needed, got " .. options.show(names))
  end
  local indices, seen = {}, {}
  for k, name in ipairs(names) do
    if seen[name] then core.raise(('%s: column "%s" is named twice'):format(where, name)) end
    seen[name], indices[k] = true, column_index(self, name, where)
  end
  return core.array(indices, "int32")
end

--- One column by name: an array [N] (a copy). Raises for a name that is not there.
function Table:column(name)
  return self.data:column(column_index(self, name, "column"))
end

local function texts_of(self, name, where)
  local store = type(name) == "string" and (self.stored or {})[name]
  if store then return store end
  local names = {}
  for known in pairs(self.stored or {}) do names[#names + 1] = known end
  table.sort(names)
  if #names == 0 then core.raise(where .. ': no column was read as text: lstm.csv(path, {text = {"Name"}})') end
  core.raise(where .. ": " .. options.unknown("column of text", name, names))
end

--- The text in row i (from 1) of a column that lstm.csv read with the option `text`. Raises for other names and rows.
function Table:text(name, i)
  local store = texts_of(self, name, "text")
  if not options.value(i, {type = "integer", min = 1, max = self:__len()}) then
    core.raise(("text: row %s, there are 1 to %d"):format(tostring(i), self:__len()))
  end
  return store:get(self.origin[i])
end

--- A list of all texts of such a column. Raises for other names.
function Table:texts(name)
  local store, list = texts_of(self, name, "texts"), {}
  for i = 1, self:__len() do list[i] = store:get(self.origin[i]) end
  return list
end

--- Rows from..to (1-based, both included; negative counts from the end; `to` defaults to the last row), as a view.
-- Raises where there are no such rows.
function Table:slice(from, to)
  from, to = cuts.range("rows", self:__len(), from, to)
  local part = like(self, self.data:slice(from, to))
  part.origin = part.origin and part.origin:slice(from, to)
  return part
end

--- The rows with these numbers, a list or an int32 array, from 1: a copy. Raises for numbers that are not there.
function Table:pick(numbers)
  numbers = cuts.numbers("rows", self:__len(), numbers)
  local part = like(self, core.pick(self.data, numbers))
  part.origin = part.origin and core.pick(part.origin, numbers)
  return part
end

--- Cuts the table: `split(0.8)` gives the first 80 % of the rows and the rest, `split(0.7, 0.15)` three parts. By time
-- (the default) the parts are views. The last argument may be {by = "random", seed = n}.
-- Raises for fractions that leave nothing for a part.
function Table:split(...) return cuts.split(self, "rows", ...) end

--- Folds of the rows for cross-validation: `for fold, train, validation in rows:folds(5) do`. opts: by = "expanding"
-- (default: fold i learns from the first i of k + 1 blocks and is measured on the next) or "random", seed.
function Table:folds(k, opts) return cuts.folds(self, "rows", "expanding", k, opts) end

function Table:__tostring()
  return ("table of %d rows (%s)"):format(self:__len(), options.list(self.columns))
end

-- The rows of `before` that the first windows of `part` reach back to, then the rows of part. A view where both are
-- parts of one table.
local function joined(before, part, reach)
  if before.kind ~= "table" or table.concat(before.columns, "\n") ~= table.concat(part.columns, "\n") then
    core.raise("windows: the table in `before` has other columns")
  end
  if (before.scaler and before.scaler:tometa()) ~= (part.scaler and part.scaler:tometa()) then
    core.raise("windows: the table in `before` is not scaled as this one is")
  end
  reach = math.min(reach, before:__len())
  if reach == 0 then return part.data end
  return core.join(before.data:slice(before:__len() - reach + 1, before:__len()), part.data)
end

--- A new table with one more column, or with this one replaced: f(rows) gives an array [N] or [N][1], as in
-- `rows:derive("pace", function(r) return r:column("km") / r:column("h") end)`.
-- Raises for anything else, and for rows that are scaled already.
function Table:derive(name, f)
  if type(name) ~= "string" then core.raise("derive: the name must be a string, got " .. options.show(name)) end
  if type(f) ~= "function" then core.raise("derive: a function of the rows is needed, got " .. options.show(f)) end
  if self.scaler then core.raise("derive: these rows are scaled: derive columns first, then scale") end
  local column = f(self)
  if type(column) ~= "userdata" or not core.is_array(column) then
    core.raise(('derive: the function for "%s" must return an array, it returned %s'):format(name,
      options.show(column)))
  end
  local n, width, more = column:shape()
  if n ~= self:__len() or (width or 1) ~= 1 or more then
    core.raise(('derive: "%s" must have %d numbers, one for each row, it has %s'):format(name, self:__len(),
      table.concat({column:shape()}, " x ")))
  end
  local names, at = {}, #self.columns + 1
  for j, known in ipairs(self.columns) do
    names[j] = known
    if known == name then at = j end
  end
  names[at] = name
  return like(self, core.with_column(self.data, at, column), names)
end

--- A new table of these columns, by name, in this order. Raises for names that are not there.
function Table:select(names)
  local indices = column_indices(self, names, "select")
  return like(self, core.pick_columns(self.data, indices), names)
end

--- The windows of a table.
-- opts: look_back (rows of input, required), ahead 1 (the first target is that many rows after the last input row),
--   steps 1 (rows of targets), target (a column's name or a list of names; default: all columns), stride 1 (rows from
--   one window to the next), before (a table of the rows that come before this one: its last rows serve as input, so
--   that the first row here already has a forecast; needs the same columns).
-- Raises for unknown options and where the table is too short for one window.
function Table:windows(opts)
  local count = {type = "integer", default = 1, min = 1}
  opts = options.check(opts, {
    look_back = {type = "integer", min = 1, required = true}, ahead = count, steps = count, stride = count,
    target = {type = {"string", "table"}}, before = {type = "table"},
  }, "windows")
  local targets = opts.target or self.columns
  if type(targets) == "string" then targets = {targets} end
  local picked = opts.target and column_indices(self, targets, "windows")
  local data, reach = self.data, opts.look_back + opts.ahead - 1
  if opts.before then data = joined(opts.before, self, reach) end
  if #data < reach + opts.steps then
    core.raise(("windows: %d rows are too few: look_back %d%s and ahead %d need at least %d"):format(#data,
      opts.look_back, opts.steps > 1 and (", steps %d"):format(opts.steps) or "", opts.ahead, reach + opts.steps))
  end
  return setmetatable({
    kind = "windows", data = data, columns = self.columns, look_back = opts.look_back, ahead = opts.ahead,
    steps = opts.steps, stride = opts.stride, target = opts.target, target_columns = targets, picked = picked,
    width = self.width, outputs = #targets * opts.steps, scaler = self.scaler,
  }, Windows)
end

-- Rows from the first row of a window to its last target.
local function span(self) return self.look_back + self.ahead + self.steps - 1 end

--- How many windows there are.
function Windows:__len()
  if self.starts then return #self.starts end
  return math.floor((#self.data - span(self)) / self.stride) + 1
end

--- Fills a batch. indices: int32 array [B] of window numbers from 0; x: array [look_back][B][width];
-- y: array [B][outputs], the targets of the first step, then those of the next. Either may be nil.
function Windows:gather(indices, x, y)
  core.gather_windows(self, self.data, indices, self.starts, self.picked, x, y)
end

--- What should have been predicted: an array [n][outputs], in window order.
function Windows:targets()
  local n = self:__len()
  local y = core.zeros{n, self.outputs}
  self:gather(core.range(0, n), nil, y)
  return y
end

--- The last input row of each window, once for each step: an array [n][steps] of the named column, or in the shape of
-- the targets. As a prediction this is persistence, "the same as now": the least a model has to beat.
-- Raises for a name that is not there.
function Windows:last(name)
  local picked = self.picked
  if name then picked = column_indices(self, {name}, "last") end
  local n = self:__len()
  local y = core.zeros{n, (picked and #picked or self.width) * self.steps}
  local now = {look_back = self.look_back, ahead = 0, steps = self.steps, stride = self.stride}
  core.gather_windows(now, self.data, core.range(0, n), self.starts, picked, nil, y)
  return y
end

-- The same windows over other rows, or other windows over the same.
local function with(self, fields)
  local part = {}
  for key, value in pairs(self) do part[key] = value end
  for key, value in pairs(fields) do part[key] = value end
  return setmetatable(part, Windows)
end

--- The windows over other rows with the same columns: for scalers. data: array like self.data.
function windows.over(self, data, scaler) return with(self, {data = data, scaler = scaler}) end

--- Windows from..to (1-based, both included; negative counts from the end), as a view.
-- Raises where there are no such windows.
function Windows:slice(from, to)
  from, to = cuts.range("windows", self:__len(), from, to)
  if self.starts then return with(self, {starts = self.starts:slice(from, to)}) end
  return with(self, {data = self.data:slice((from - 1) * self.stride + 1, (to - 1) * self.stride + span(self))})
end

--- Cuts the set, as a table's split does. With `steps` or `ahead` above 1 the last windows of a part have targets that
-- the first of the next have, too: cut the rows instead, and give the next part `before`, to keep them apart.
function Windows:split(...) return cuts.split(self, "windows", ...) end

--- The windows with these numbers, a list or an int32 array, from 1, as a view of the same rows.
-- Raises for numbers that are not there.
function Windows:pick(numbers)
  numbers = cuts.numbers("windows", self:__len(), numbers)
  return with(self, {starts = core.pick(self.starts or core.range(0, self:__len(), self.stride), numbers)})
end

-- How many of the first n windows have their last target not after the last input row of window n + 1.
local function known_before(self, n)
  local function start(i) return self.starts and self.starts[i] or (i - 1) * self.stride end
  local count = n
  while count > 0 and start(count) + self.ahead + self.steps - 1 > start(n + 1) do count = count - 1 end
  if count > 0 then return count end
  return core.raise(("folds: %d windows are too few for folds by time of targets up to %d rows ahead: fewer folds, " ..
    "or more rows"):format(self:__len(), self.ahead + self.steps - 1))
end

--- Folds for cross-validation: see Table:folds. At random, windows of one part overlap with those of the other.
-- Expanding: what is learnt from ends before the first window that is measured looks ahead, so with `steps` or `ahead`
-- above 1 the last windows before it are left out. Raises where that leaves nothing.
function Windows:folds(k, opts)
  return cuts.folds(self, "windows", "expanding", k, opts, function(n) return known_before(self, n) end)
end

--- Batches: `for x, y in windows:batches{batch = 32, shuffle = true, seed = 1} do` with x [look_back][B][width] and
-- y [B][outputs]; the last batch may be smaller.
function Windows:batches(opts)
  return cuts.batches(self:__len(), opts, function(numbers)
    local n = #numbers
    local x, y = core.zeros{self.look_back, n, self.width}, core.zeros{n, self.outputs}
    self:gather(numbers, x, y)
    return x, y
  end)
end

function Windows:__tostring()
  local more = self.steps > 1 and (", %d steps"):format(self.steps) or ""
  if self.stride > 1 then more = more .. (", stride %d"):format(self.stride) end
  return ("%d windows of %d rows (%s), target %s %d ahead%s"):format(self:__len(), self.look_back,
    options.list(self.columns), self.target and options.list(self.target_columns) or "all", self.ahead, more)
end

return windows
