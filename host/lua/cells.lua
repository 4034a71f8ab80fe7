-- cells.lua: what the cells of a model do on one sequence, made small: values for a page, how saturated the gates are,
-- and which cells follow something that a person would look for.

local core = require "lstm.core"

local cells = {}

-- A value from -1 to 1 is one character: 63 levels around "_", none of which means something to HTML.
local MIDDLE, LEVELS = 95, 31
local letters = {}
for level = -LEVELS, LEVELS do letters[level] = string.char(MIDDLE + level) end

--- The level (-31..31) of a value from -1 to 1; what is no number is 0.
function cells.level(value)
  if value ~= value then return 0 end
  return math.floor(math.max(-1, math.min(1, value)) * LEVELS + 0.5)
end

--- Values from -1 to 1 as a string, one character each.
function cells.pack(values)
  local out, level = {}, cells.level
  for i, value in ipairs(values) do out[i] = letters[level(value)] end
  return table.concat(out)
end

local function tanh(x) return 1 - 2 / (math.exp(2 * x) + 1) end

-- What of a layer is shown: tanh of an LSTM's cell, the output of a GRU's unit; and its gates.
local GATES = {lstm = {"i", "f", "o"}, gru = {"r", "z"}}

-- What cell j did in all traces, one after another: a list.
local function column(traces, gate, j)
  local list = traces[1][gate]:column(j):totable()
  for k = 2, #traces do
    for _, value in ipairs(traces[k][gate]:column(j):totable()) do list[#list + 1] = value end
  end
  return list
end

-- The share of steps in which each cell's gate is almost shut (below 0.1) and almost open (above 0.9).
local function saturation(traces, gate, width)
  local shut, open = {}, {}
  for j = 1, width do
    local low, high, values = 0, 0, column(traces, gate, j)
    for _, value in ipairs(values) do
      if value < 0.1 then low = low + 1 elseif value > 0.9 then high = high + 1 end
    end
    shut[j], open[j] = low / #values, high / #values
  end
  return {shut = shut, open = open}
end

-- One direction of a layer: {name, size, values = function(j) -> list, gates = {i = {shut =, open =}, ...}}.
local function direction(traces, kind, name)
  local shown = kind == "lstm" and "c" or "h"
  local _, width = traces[1][shown]:shape()
  local layer = {name = name, size = width, kind = kind, gates = {}}
  for _, gate in ipairs(GATES[kind]) do
    if traces[1][gate] then layer.gates[gate] = saturation(traces, gate, width) end
  end
  function layer.values(j)
    local list = column(traces, shown, j)
    if kind == "lstm" then
      for t, value in ipairs(list) do list[t] = tanh(value) end
    end
    return list
  end
  return layer
end

--- All recurrent layers of a model on sequences, one after another, each from rest: a list of {name, size, kind, gates,
-- values(j)}. Two directions of a layer are two entries.
function cells.trace(model, sequences)
  local list = {}
  for place, layer in ipairs(model.core:describe().layers) do
    if GATES[layer.type] then
      local traces, reverse, name = {}, {}, "layer " .. place
      for k, data in ipairs(sequences) do
        traces[k] = model:trace(data, {layer = place})
        reverse[k] = traces[k].reverse
      end
      list[#list + 1] = direction(traces, layer.type, #reverse > 0 and name .. ", forward" or name)
      if #reverse > 0 then list[#list + 1] = direction(reverse, layer.type, name .. ", backward") end
    end
  end
  return list
end

-- [What a person would look for]

local function is(pattern)
  return function(symbol) return symbol:find(pattern) and 1 or 0 end
end

local OPEN, CLOSE = {["("] = true, ["["] = true, ["{"] = true}, {[")"] = true, ["]"] = true, ["}"] = true}

-- Walks over the symbols: how many since the last one that `reset` matches.
local function since(reset)
  return function(symbols)
    local list, n = {}, 0
    for t, symbol in ipairs(symbols) do
      n = symbol:find(reset) and 0 or n + 1
      list[t] = n
    end
    return list
  end
end

local function inside_quotes(symbols)
  local list, inside = {}, 0
  for t, symbol in ipairs(symbols) do
    local marks = select(2, symbol:gsub('"', ""))
    if symbol:find "\226\128\156" then inside = 1 elseif symbol:find "\226\128\157" then inside = 0
    elseif marks % 2 == 1 then inside = 1 - inside end
    list[t] = inside
  end
  return list
end

local function inside_brackets(symbols)
  local list, depth = {}, 0
  for t, symbol in ipairs(symbols) do
    if OPEN[symbol] then depth = depth + 1 elseif CLOSE[symbol] then depth = math.max(0, depth - 1) end
    list[t] = depth > 0 and 1 or 0
  end
  return list
end

local function mapped(f)
  return function(symbols)
    local list = {}
    for t, symbol in ipairs(symbols) do list[t] = f(symbol) end
    return list
  end
end

local function position(symbols)
  local list = {}
  for t = 1, #symbols do list[t] = t end
  return list
end

local FEATURES = {
  {"inside quotes", inside_quotes}, {"inside brackets", inside_brackets}, {"position in the line", since "\n"},
  {"position in the word", since "^%A"}, {"capital letters", mapped(is "^%u")}, {"digits", mapped(is "^%d")},
  {"vowels", mapped(is "^[AEIOUaeiou]$")}, {"spaces", mapped(is "^[ \t]$")}, {"ends of lines", mapped(is "\n")},
  {"punctuation", mapped(is "^%p")}, {"position in the text", position},
}

-- Raises unless a function of the user's gave a number or true or false.
local function own_feature(name, f, symbols)
  local list = {}
  for t, symbol in ipairs(symbols) do
    local value = f(symbol, t, symbols)
    if value == true then value = 1 elseif value == false or value == nil then value = 0 end
    if type(value) ~= "number" then
      core.raise(('report: the feature "%s" must give numbers, true or false, got a %s'):format(name, type(value)))
    end
    list[t] = value
  end
  return list
end

--- What may be looked for in a text: a list of {name, values}. own: {name = function(symbol, t, symbols) -> number}.
function cells.features(symbols, own)
  local list, names = {}, {}
  for name in pairs(own or {}) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    list[#list + 1] = {name = name, values = own_feature(name, own[name], symbols)}
  end
  for _, feature in ipairs(FEATURES) do
    if not (own and own[feature[1]]) then list[#list + 1] = {name = feature[1], values = feature[2](symbols)} end
  end
  return list
end

-- Values as what they are above their mean, over their deviation times the root of n; nil where all are the same.
local function standard(values)
  local n, sum, squares = #values, 0, 0
  for _, value in ipairs(values) do sum = sum + value end
  local mean, out = sum / n, {}
  for t, value in ipairs(values) do
    out[t] = value - mean
    squares = squares + out[t] * out[t]
  end
  if squares <= 1e-12 * n then return nil end
  local scale = 1 / math.sqrt(squares)
  for t = 1, n do out[t] = out[t] * scale end
  return out
end

local function correlation(a, b)
  local sum = 0
  for t = 1, #a do sum = sum + a[t] * b[t] end
  return sum
end

--- Packs the values of all cells and ranks the cells by each feature. layers: of cells.trace; keep: how many each.
-- Each layer gets `packed`, a string of size x steps characters. Returns a list of {name, {layer =, cell =, r =}, ...},
-- the best first; features that never change, and those that no cell follows (|r| < 0.2), are left out.
function cells.rank(layers, features, keep)
  local known = {}
  for _, feature in ipairs(features) do
    local values = standard(feature.values)
    if values then known[#known + 1] = {name = feature.name, values = values, found = {}} end
  end
  for k, layer in ipairs(layers) do
    local packed = {}
    for j = 1, layer.size do
      local values = layer.values(j)
      packed[j] = cells.pack(values)
      local own = standard(values)
      for _, feature in ipairs(own and known or {}) do
        local r = correlation(own, feature.values)
        if math.abs(r) >= 0.2 then feature.found[#feature.found + 1] = {layer = k, cell = j, r = r} end
      end
    end
    layer.packed = table.concat(packed)
  end
  local ranking = {}
  for _, feature in ipairs(known) do
    table.sort(feature.found, function(a, b)
      if math.abs(a.r) ~= math.abs(b.r) then return math.abs(a.r) > math.abs(b.r) end
      return a.layer * 65536 + a.cell < b.layer * 65536 + b.cell
    end)
    if #feature.found > 0 then
      local row = {name = feature.name}
      for i = 1, math.min(keep, #feature.found) do row[i] = feature.found[i] end
      ranking[#ranking + 1] = row
    end
  end
  return ranking
end

return cells
