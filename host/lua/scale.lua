-- scale.lua: brings columns into a range that a network likes, and predictions back, by name.
--
-- A scaler is fitted on one table or set of sequences (the training part, so that nothing of the test leaks in) and
-- then applied to any with the same columns: x -> (x - offset) / factor. The columns of sequences are "1", "2", ... It
-- travels in the model file as a string, and what it has scaled carries it as the field `scaler`.

local core = require "lstm.core"
local methods = require "lstm.methods"
local options = require "lstm.options"
local sequences = require "lstm.sequences"
local windows = require "lstm.windows"

local scale = {}
local Scaler = methods.guard({}, "scaler")
Scaler.__index = Scaler
Scaler.__name = "lstm.scaler"

-- The columns to measure: their names and an array [M][W].
local function columns_of(value, where)
  if type(value) == "table" and value.kind == "table" then return value.columns, value.data end
  if type(value) == "table" and value.kind == "sequences" then
    local data = sequences.rows(value, where)
    local names, _, width = {}, data:shape()
    for j = 1, width do names[j] = tostring(j) end
    return names, data
  end
  core.raise(("%s: a table of rows (as lstm.csv returns) or sequences of numbers are needed, got %s"):format(where,
    type(value) == "table" and value.kind and "a set of " .. tostring(value.kind) or options.show(value)))
end

local function new(kind, columns, offsets, factors)
  local self = setmetatable({kind = kind, columns = columns, offset = {}, factor = {}}, Scaler)
  for j, name in ipairs(columns) do
    self.offset[name], self.factor[name] = offsets[j], factors[j]
  end
  return self
end

-- Fits one offset and factor per column; a column that never changes gets the factor 1 and becomes 0.
local function fit(kind, set, measure)
  local columns, data = columns_of(set, kind)
  local offsets, factors = {}, {}
  for j, name in ipairs(columns) do
    local offset, factor = measure(data:column(j))
    if offset ~= offset or factor ~= factor or math.abs(offset) == math.huge or factor == math.huge then
      core.raise(('%s: column "%s" has values that are not finite'):format(kind, name))
    end
    offsets[j], factors[j] = offset, factor > 0 and factor or 1
  end
  return new(kind, columns, offsets, factors)
end

--- A scaler that maps each column's smallest value to 0 and its largest to 1, fitted on the table or sequences given.
-- Raises for anything else, and for values that are not finite.
function scale.minmax(set)
  return fit("minmax", set, function(column)
    local low, high, sum = column:min(), column:max(), column:sum()
    return sum == sum and low or sum, high - low
  end)
end

--- A scaler that gives each column the mean 0 and the standard deviation 1, fitted on the table or sequences given.
-- Raises for anything else, and for values that are not finite.
function scale.zscore(set)
  return fit("zscore", set, function(column)
    local mean = column:mean()
    local centred = column - mean
    return mean, math.sqrt((centred * centred):mean())
  end)
end

-- The offsets and factors of columns, as arrays [n].
local function numbers_of(self, columns, where)
  local offsets, factors = {}, {}
  for j, name in ipairs(columns) do
    if not self.offset[name] then core.raise(where .. ": " .. options.unknown("column", name, self.columns)) end
    offsets[j], factors[j] = self.offset[name], self.factor[name]
  end
  return core.array(offsets), core.array(factors)
end

-- An array [T] or [T][W] of a set whose columns are "1", "2", ...
local function scale_sequence(self, i, x)
  local _, width = x:shape()
  if (width or 1) ~= #self.columns then
    core.raise(("apply: sequence %d has %d columns, the scaler %d"):format(i, width or 1, #self.columns))
  end
  local offset, factor = numbers_of(self, self.columns, "apply")
  if not width then offset, factor = offset[1], factor[1] end
  return (x - offset) / factor
end

--- The same table, sequences or windows, scaled: a copy with the field `scaler`. Columns are matched by name; the
-- scaler may know more of them. Raises for a column that it does not know, and for what is scaled already.
function Scaler:apply(set)
  local kind = type(set) == "table" and set.kind
  if kind ~= "table" and kind ~= "sequences" and kind ~= "windows" then
    core.raise("apply: a table of rows, sequences or windows are needed, got " .. options.show(set))
  end
  if set.scaler then core.raise("apply: this is scaled already") end
  if kind == "sequences" then
    return sequences.map(set, "apply", function(i, x) return scale_sequence(self, i, x) end, self)
  end
  local offset, factor = numbers_of(self, set.columns, "apply")
  local data = (set.data - offset) / factor
  return (kind == "table" and windows.scaled or windows.over)(set, data, self)
end

-- Which columns `undo` is asked for.
local function names_for(self, columns)
  if columns == nil and #self.columns == 1 then columns = self.columns end
  if columns == nil then
    core.raise("undo: say which column this is (there are " .. options.list(self.columns) .. ")")
  end
  return type(columns) == "table" and columns or {columns}
end

--- Scaled values back in their column's own unit: an array of any shape -> a new array of that shape.
-- columns: the name of the column, or a list of names where the last axis holds one number of each (or of each for
-- several steps); may be left out where the scaler knows only one. A scaled table of rows comes back as a table.
-- Raises for a name that the scaler does not know, and for a list that does not fit the array.
function Scaler:undo(array, columns)
  if type(array) == "table" and array.kind == "table" then
    local offset, factor = numbers_of(self, array.columns, "undo")
    return windows.table(array.data * factor + offset, array.columns)
  end
  if not core.is_array(array) then
    core.raise("undo: an array or a table of rows is needed, got " .. options.show(array))
  end
  local names = names_for(self, columns)
  local offset, factor = numbers_of(self, names, "undo")
  if #names == 1 then return array * factor[1] + offset[1] end
  local shape = {array:shape()}
  local width = shape[#shape]
  if #names == 0 then core.raise("undo: no column is named") end
  if width == 0 or width % #names ~= 0 then
    core.raise(("undo: %d columns are named, the array has %d numbers in a row"):format(#names, width))
  end
  local count = 1
  for _, size in ipairs(shape) do count = count * size end
  local flat = array:reshape{math.floor(count / #names), #names}
  return (flat * factor + offset):reshape(shape)
end

local function escaped(name) return (name:gsub("\\", "\\\\"):gsub("\n", "\\n")) end
local function unescaped(name)
  return (name:gsub("\\(.)", function(c) return c == "n" and "\n" or c end))
end

--- The scaler as one string for a model file: its kind, then a line `offset factor name` for each column.
function Scaler:tometa()
  local lines = {self.kind}
  for _, name in ipairs(self.columns) do
    lines[#lines + 1] = ("%.17g %.17g %s"):format(self.offset[name], self.factor[name], escaped(name))
  end
  return table.concat(lines, "\n")
end

--- The scaler of a string made by `:tometa()`. Returns nil, message, "format" for anything else.
function scale.frommeta(text)
  local kind, rest = text:match("^(%l+)\n(.+)$")
  if kind ~= "minmax" and kind ~= "zscore" then return nil, "not a scaler: unknown kind", "format" end
  local columns, offsets, factors = {}, {}, {}
  for line in (rest .. "\n"):gmatch("([^\n]*)\n") do
    local offset, factor, name = line:match("^(%S+) (%S+) (.*)$")
    offset, factor = tonumber(offset), tonumber(factor)
    if not offset or not factor or not (factor > 0 and factor < math.huge) or offset - offset ~= 0 then
      return nil, ('not a scaler: broken line "%s"'):format(line), "format"
    end
    columns[#columns + 1], offsets[#offsets + 1], factors[#factors + 1] = unescaped(name), offset, factor
  end
  return new(kind, columns, offsets, factors)
end

function Scaler:__tostring()
  local lines = {}
  for i, name in ipairs(self.columns) do
    lines[i] = ("%s %s: (x - %.6g) / %.6g"):format(self.kind, name, self.offset[name], self.factor[name])
  end
  return table.concat(lines, "\n")
end

return scale
