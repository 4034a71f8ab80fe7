-- scale.lua: brings columns into a range that a network likes, and predictions back, by name.
--
-- A scaler is fitted on one table (the training part, so that nothing of the test leaks in) and then applied to any
-- table with the same columns: x -> (x - offset) / factor. It travels in the model file as a string.

local core = require "lstm.core"
local methods = require "lstm.methods"
local options = require "lstm.options"
local windows = require "lstm.windows"

local scale = {}
local Scaler = methods.guard({}, "scaler")
Scaler.__index = Scaler
Scaler.__name = "lstm.scaler"

local function check_table(value, where)
  if type(value) ~= "table" or value.kind ~= "table" then
    error(where .. ": a table of rows is needed (as lstm.csv returns), got " .. options.show(value), 3)
  end
end

local function new(kind, columns, offsets, factors)
  local self = setmetatable({kind = kind, columns = columns, offset = {}, factor = {}}, Scaler)
  for j, name in ipairs(columns) do
    self.offset[name], self.factor[name] = offsets[j], factors[j]
  end
  return self
end

-- Fits one offset and factor per column; a column that never changes gets the factor 1 and becomes 0.
local function fit(kind, rows, measure)
  local offsets, factors = {}, {}
  for j, name in ipairs(rows.columns) do
    local offset, factor = measure(rows.data:column(j))
    if offset ~= offset or factor ~= factor or math.abs(offset) == math.huge or factor == math.huge then
      error(('%s: column "%s" has values that are not finite'):format(kind, name), 3)
    end
    offsets[j], factors[j] = offset, factor > 0 and factor or 1
  end
  return new(kind, rows.columns, offsets, factors)
end

--- A scaler that maps each column's smallest value to 0 and its largest to 1, fitted on the table given.
-- Raises for anything but a table of rows with finite values.
function scale.minmax(rows)
  check_table(rows, "minmax")
  local scaler = fit("minmax", rows, function(column)
    local low, high, sum = column:min(), column:max(), column:sum()
    return sum == sum and low or sum, high - low
  end)
  return scaler
end

--- A scaler that gives each column the mean 0 and the standard deviation 1, fitted on the table given.
-- Raises for anything but a table of rows with finite values.
function scale.zscore(rows)
  check_table(rows, "zscore")
  local scaler = fit("zscore", rows, function(column)
    local mean = column:mean()
    local centred = column - mean
    return mean, math.sqrt((centred * centred):mean())
  end)
  return scaler
end

--- A new table with the same columns, scaled. Columns are matched by name; the scaler may know more of them.
-- Raises for a column that the scaler does not know.
function Scaler:apply(rows)
  check_table(rows, "apply")
  local offsets, factors = {}, {}
  for j, name in ipairs(rows.columns) do
    if not self.offset[name] then error("apply: " .. options.unknown("column", name, self.columns), 2) end
    offsets[j], factors[j] = self.offset[name], self.factor[name]
  end
  return windows.table((rows.data - core.array(offsets)) / core.array(factors), rows.columns)
end

--- Scaled values of one column back in the column's own unit: an array of any shape -> a new array of that shape.
-- column: its name; may be left out where the scaler knows only one. Raises for a name that it does not know.
function Scaler:undo(array, column)
  if column == nil and #self.columns == 1 then column = self.columns[1] end
  if column == nil then
    error("undo: say which column this is (there are " .. options.list(self.columns) .. ")", 2)
  end
  if not self.offset[column] then error("undo: " .. options.unknown("column", column, self.columns), 2) end
  return array * self.factor[column] + self.offset[column]
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
