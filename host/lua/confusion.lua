-- confusion.lua: how often each class was taken for each other: a matrix with labels.

local core = require "lstm.core"
local methods = require "lstm.methods"
local options = require "lstm.options"

local confusion = {}
local Confusion = methods.guard({}, "confusion")
Confusion.__index = Confusion
Confusion.__name = "lstm.confusion"

local function new_confusion(labels, counts) return setmetatable({labels = labels, counts = counts}, Confusion) end

local function place_of(labels, label, where)
  for i, one in ipairs(labels) do
    if one == label then return i end
  end
  return core.raise(where .. ": " .. options.unknown("label", label, labels))
end

--- How many were counted.
function Confusion:total() return self.counts:sum() end

--- The share on the diagonal; NaN where nothing was counted.
function Confusion:accuracy()
  local right = 0
  for i = 1, #self.labels do right = right + self.counts[i][i] end
  return right / self:total()
end

-- How often a class is the truth, the guess, and both.
local function margins(self, i)
  return self.counts[i]:sum(), self.counts:column(i):sum(), self.counts[i][i]
end

--- Of those that were guessed to be `label`, the share that are. NaN where none was. Raises for an unknown label.
function Confusion:precision(label)
  local _, guessed, both = margins(self, place_of(self.labels, label, "precision"))
  return both / guessed
end

--- Of those that are `label`, the share that were found. NaN where there is none. Raises for an unknown label.
function Confusion:recall(label)
  local truth, _, both = margins(self, place_of(self.labels, label, "recall"))
  return both / truth
end

--- F1 as the mean over those of classes first..last that occur at all. of(i): how often class i is the truth, the
-- guess, and both.
function confusion.macro(first, last, of)
  local sum, classes = 0, 0
  for i = first, last do
    local truth, guessed, both = of(i)
    if truth + guessed > 0 then sum, classes = sum + 2 * both / (truth + guessed), classes + 1 end
  end
  return sum / classes
end

--- The harmonic mean of precision and recall: of one label, or the mean over the labels that occur ("macro").
function Confusion:f1(label)
  local function of(i) return margins(self, i) end
  if label == nil then return confusion.macro(1, #self.labels, of) end
  local truth, guessed, both = of(place_of(self.labels, label, "f1"))
  return 2 * both / (truth + guessed)
end

local WIDEST, SHOWN = 10, 20                         -- characters of a label, classes of a table

-- A label in so many columns, to the right.
local function cell(value, width)
  local text = type(value) == "string" and value:gsub("%c", "?") or ("%.0f"):format(value)
  local long = utf8 and utf8.len(text) or #text
  if long > width then
    text = utf8 and utf8.len(text) and text:sub(1, utf8.offset(text, width + 1) - 1) or text:sub(1, width)
    long = width
  end
  return (" "):rep(width - long) .. text
end

local function longest(list)
  local width = 1
  for _, value in ipairs(list) do
    local text = tostring(value)
    width = math.max(width, math.min(WIDEST, utf8 and utf8.len(text) or #text))
  end
  return width
end

-- How wide the row names and the columns are: of a terminal that is too narrow, as wide as the numbers need.
local function widths_of(self)
  local names, numbers = longest(self.labels), #("%.0f"):format(self.counts:max())
  local columns = math.max(names, numbers)
  local room = require "lstm.progress".columns()
  if names + #self.labels * (columns + 1) > room then
    columns = math.max(numbers, math.min(columns, math.floor((room - names) / #self.labels) - 1))
  end
  return names, columns
end

-- The pairs of different classes that were mistaken most often.
local function worst(self, lines)
  local pairs_of = {}
  for i, truth in ipairs(self.labels) do
    local row = self.counts[i]
    for j, guess in ipairs(self.labels) do
      if i ~= j and row[j] > 0 then pairs_of[#pairs_of + 1] = {row[j], truth, guess, i * #self.labels + j} end
    end
  end
  table.sort(pairs_of, function(a, b) if a[1] ~= b[1] then return a[1] > b[1] end return a[4] < b[4] end)
  for k = 1, math.min(5, #pairs_of) do
    lines[#lines + 1] = ("  %s taken for %s: %.0f"):format(pairs_of[k][2], pairs_of[k][3], pairs_of[k][1])
  end
end

--- A table (rows: the truth, columns: the guess); of more than 20 classes the mistakes that are most frequent.
function Confusion:__tostring()
  local head = ("confusion: %d classes, %.0f targets, accuracy %.4g, F1 %.4g"):format(#self.labels, self:total(),
    self:accuracy(), self:f1())
  local lines = {head}
  if #self.labels > SHOWN then
    worst(self, lines)
    return table.concat(lines, "\n")
  end
  local names, columns = widths_of(self)
  local line = {cell("", names)}
  for j, label in ipairs(self.labels) do line[j + 1] = cell(label, columns) end
  lines[2] = table.concat(line, " ")
  for i, label in ipairs(self.labels) do
    line = {cell(label, names)}
    for j = 1, #self.labels do line[j + 1] = cell(self.counts[i][j], columns) end
    lines[#lines + 1] = table.concat(line, " ")
  end
  lines[1] = lines[1] .. " (rows: truth, columns: guess)"
  return table.concat(lines, "\n")
end

--- How many classes there are.
function Confusion:__len() return #self.labels end

local LARGEST = 8192                                 -- classes whose pairs are counted: a matrix of 256 MB

--- A matrix of zeros for the outputs of a model. loss: with which they are trained. Raises where it is not for classes.
function confusion.of(model, loss, where)
  local _, outputs = model.core:sizes()
  local labels = {}
  if loss == "binary_cross_entropy" and outputs == 1 then
    labels = {0, 1}
  elseif loss == "cross_entropy" then
    if outputs > LARGEST then
      core.raise(("%s: %d classes are too many for a matrix, the most are %d"):format(where, outputs, LARGEST))
    end
    for i = 1, outputs do labels[i] = model:label(i) end
  else
    core.raise(('%s: a confusion matrix is for classes, the loss is "%s"%s'):format(where, loss,
      loss == "binary_cross_entropy" and (" with %d outputs"):format(outputs) or ""))
  end
  return new_confusion(labels, core.zeros({#labels, #labels}, "int32"))
end

-- --- from lists ------------------------------------------------------------------------------------------------------

--- Whether a value is an array.
function confusion.is_array(value) return type(value) == "userdata" and value.shape ~= nil end

--- A list from a list or an array of one axis.
function confusion.list(value, name, where)
  if confusion.is_array(value) then
    if select("#", value:shape()) > 1 then
      core.raise(("%s: the %s must have one axis: a class for each target"):format(where, name))
    end
    return value:totable()
  end
  if type(value) ~= "table" then
    core.raise(("%s: the %s must be a list of labels or an array, got %s"):format(where, name, options.show(value)))
  end
  return value
end

-- The distinct values, sorted: numbers before strings.
local function distinct(lists)
  local seen, labels = {}, {}
  for _, list in ipairs(lists) do
    for _, value in ipairs(list) do
      if value ~= false and not seen[value] then
        seen[value] = true
        labels[#labels + 1] = value
      end
    end
  end
  table.sort(labels, function(a, b)
    if type(a) ~= type(b) then return type(a) == "number" end
    return a < b
  end)
  return labels
end

--- The matrix of two lists (or int32 arrays) of labels or numbers. A truth of false does not count.
-- labels: their order; default: those that occur, sorted. Raises for lists of different length, and for what is not
-- among the labels.
function confusion.count(where, truth, guess, labels)
  truth, guess = confusion.list(truth, "truth", where), confusion.list(guess, "guess", where)
  if #truth ~= #guess then
    core.raise(("%s: the truth has %d targets, the guess %d"):format(where, #truth, #guess))
  end
  if #truth == 0 then core.raise(where .. ": the lists are empty") end
  if labels ~= nil and type(labels) ~= "table" then
    core.raise(("%s: labels must be a list, got %s"):format(where, options.show(labels)))
  end
  labels = labels or distinct{truth, guess}
  local places, result = {}, new_confusion(labels, core.zeros({#labels, #labels}, "int32"))
  for i, label in ipairs(labels) do places[label] = i end
  local function place(value, name, i)
    return places[value] or core.raise(("%s: %s %d: %s"):format(where, name, i,
      options.unknown("label", value, labels)))
  end
  for i, value in ipairs(truth) do
    if value ~= false then
      local row = result.counts[place(value, "truth", i)]
      local j = place(guess[i], "guess", i)
      row[j] = row[j] + 1
    end
  end
  return result
end

return confusion
