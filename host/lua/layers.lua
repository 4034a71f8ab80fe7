-- layers.lua: the layers of a model as a script writes them: `lstm.lstm(128)`, `lstm.lstm{50, read = "last"}`.

local core = require "lstm.core"
local options = require "lstm.options"

local layers = {}
local Layer = {}
Layer.__index = Layer
Layer.__name = "lstm.layer"

local function check_size(size, where)
  local checked, wanted = options.value(size, {type = "integer", min = 1})
  if not checked then core.raise(("%s: the size must be %s, got %s"):format(where, wanted, options.show(size))) end
  return checked
end

-- A layer from a size, or from a table {size, option = value}.
local function make(kind, given, spec)
  if type(given) ~= "table" then given = {given} end
  spec["#"], spec.name = true, {type = "string"}
  local layer = options.check(given, spec, kind, 3)
  layer.type, layer.size = kind, check_size(layer[1], kind)
  layer[1] = nil
  return setmetatable(layer, Layer)
end

--- Token ids to rows of a learned table of n columns; the first layer only. n, or {n, name =}.
function layers.embedding(given)
  local layer = make("embedding", given, {})
  return layer
end

--- n LSTM cells. n, or {n, read = "all" | "last", name =}; read belongs to the last recurrent layer.
function layers.lstm(given)
  local layer = make("lstm", given, {read = {choices = {"all", "last"}}})
  return layer
end

--- n weighted sums. n, or {n, activation = "linear" | "tanh" | "sigmoid" | "relu", name =}.
function layers.dense(given)
  local layer = make("dense", given, {activation = {choices = {"linear", "tanh", "sigmoid", "relu"}}})
  return layer
end

--- Drops values at this rate (0 <= rate < 1) while training.
function layers.dropout(rate)
  local checked, wanted = options.value(rate, {type = "number", min = 0, below = 1})
  if not checked then core.raise(("dropout: the rate must be %s, got %s"):format(wanted, options.show(rate))) end
  return setmetatable({type = "dropout", rate = rate}, Layer)
end

--- Whether a value is a layer.
function layers.is(value) return getmetatable(value) == Layer end

function Layer:__tostring()
  return self.type == "dropout" and ("dropout %g"):format(self.rate) or ("%s %d"):format(self.type, self.size)
end

return layers
