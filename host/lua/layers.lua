-- layers.lua: the layers of a model as a script writes them: `lstm.lstm(128)`, `lstm.lstm{50, peephole = true}`.

local core = require "lstm.core"
local options = require "lstm.options"

local layers = {}
local Layer = {}
Layer.__index = Layer
Layer.__name = "lstm.layer"

local flag = {type = "boolean"}
local share = {type = "number", min = 0, below = 1}
local activation = {choices = {"linear", "tanh", "sigmoid", "relu", "hard_sigmoid", "softsign"}}

-- What the recurrent layers have in common.
local function recurrent(more)
  local spec = {
    read = {choices = {"all", "last", "mean", "max"}}, dropout = share, recurrent_dropout = share, zoneout = share,
    learned_state = flag, bidirectional = flag, merge = {choices = {"concat", "sum"}},
  }
  for name, rule in pairs(more) do spec[name] = rule end
  return spec
end

-- Every option by type of layer. host/model.c has the same names.
local specs = {
  embedding = {tied = flag},
  lstm = recurrent{
    activation = activation, gate_activation = activation, peephole = flag, coupled = flag, layer_norm = flag,
    projection = {type = "integer", min = 1}, cell_clip = {type = "number", above = 0},
    forget = {choices = {"learned", "zero", "one", "noise"}}, noise = {type = "number", above = 0, max = 1},
  },
  gru = recurrent{},
  dense = {activation = activation, residual = flag},
}
for _, spec in pairs(specs) do spec["#"], spec.name = true, {type = "string"} end

-- The order in which a layer shows its options.
local shown = {"activation", "gate_activation", "peephole", "coupled", "forget", "noise", "projection", "layer_norm",
  "cell_clip", "dropout", "recurrent_dropout", "zoneout", "learned_state", "bidirectional", "merge", "read", "tied",
  "residual", "name"}

local function check_size(size, where)
  local checked, wanted = options.value(size, {type = "integer", min = 1})
  if not checked then core.raise(("%s: the size must be %s, got %s"):format(where, wanted, options.show(size))) end
  return checked
end

-- An option that is none of this type's but another one's.
local function check_owner(kind, given)
  for name in pairs(given) do
    if not specs[kind][name] then
      local owners = {}
      for _, other in ipairs{"embedding", "lstm", "gru", "dense"} do
        if specs[other][name] and name ~= "#" then owners[#owners + 1] = "lstm." .. other end
      end
      if #owners > 0 then
        core.raise(('%s: "%s" is an option of %s, not of lstm.%s'):format(kind, name, options.list(owners), kind))
      end
    end
  end
end

-- Options that make no sense together, or without each other.
local function check_together(layer)
  local function refuse(sentence) core.raise(layer.type .. ": " .. sentence) end
  if layer.noise and layer.forget ~= "noise" then refuse('noise = rate belongs to forget = "noise"') end
  if layer.forget == "noise" and not layer.noise then refuse('forget = "noise" needs a rate: noise = 0.1') end
  if layer.coupled and (layer.forget or "learned") ~= "learned" then
    refuse(('coupled = true makes the forget gate 1 - i, so forget = "%s" cannot hold too'):format(layer.forget))
  end
  if layer.merge and not layer.bidirectional then refuse("merge belongs to bidirectional = true") end
  if layer.projection and layer.projection > layer.size then
    refuse(("projection = %d must not be larger than the %d units"):format(layer.projection, layer.size))
  end
end

-- A second argument would be ignored without a word.
local function check_alone(kind, given, ...)
  if (...) == nil then return end
  local option = kind == "embedding" and "tied = true" or kind == "dense" and 'activation = "tanh"'
    or kind == "lstm" and "peephole = true" or "bidirectional = true"
  core.raise(("%s: options go into one table: lstm.%s{%s, %s}"):format(kind, kind,
    type(given) == "number" and ("%g"):format(given) or "size", option))
end

-- A layer from a size, or from a table {size, option = value}.
local function make(kind, given, ...)
  check_alone(kind, given, ...)
  if type(given) ~= "table" then given = {given} end
  for _, name in ipairs{"hidden", "size", "units"} do
    if given[1] == nil and given[name] ~= nil then
      core.raise(("%s: the size comes first: lstm.%s{%s}"):format(kind, kind,
        type(given[name]) == "number" and ("%g"):format(given[name]) or "size"))
    end
  end
  check_owner(kind, given)
  local layer = options.check(given, specs[kind], kind, 3)
  layer.type, layer.size = kind, check_size(layer[1], kind)
  if #layer > 1 then core.raise(("%s: one size expected, got %d"):format(kind, #layer)) end
  layer[1] = nil
  check_together(layer)
  return setmetatable(layer, Layer)
end

--- Token ids to rows of a learned table of n columns; the first layer only. n, or {n, tied =, name =}.
-- tied: the last dense layer uses the same table. model:tensor("embed.weight", array) puts given vectors in.
function layers.embedding(given, ...)
  local layer = make("embedding", given, ...)
  return layer
end

--- n LSTM cells. n, or {n, option = value}; the manual's chapter CELLS has the equations. Options:
--   peephole, coupled, layer_norm (true), projection (width of h), cell_clip (largest |c|)
--   forget "learned" ("zero", "one", "noise" with noise = rate), activation "tanh", gate_activation "sigmoid"
--   dropout, recurrent_dropout, zoneout (rates, in training), learned_state (true: the initial state is learned)
--   bidirectional (true), merge "concat" ("sum"); read "all" ("last", "mean", "max"): of the last recurrent layer
--   name (prefix of the tensors)
function layers.lstm(given, ...)
  local layer = make("lstm", given, ...)
  return layer
end

--- n GRU cells, with PyTorch's equations. n, or {n, dropout =, recurrent_dropout =, zoneout =, learned_state =,
-- bidirectional =, merge =, read =, name =} as for lstm.
function layers.gru(given, ...)
  local layer = make("gru", given, ...)
  return layer
end

--- n weighted sums. n, or {n, activation =, residual =, name =}; activations: "linear" (default), "tanh", "sigmoid",
-- "relu", "hard_sigmoid", "softsign". residual: true adds the model's first n inputs (a skip connection, as models of
-- amplifiers have it); of the last layer, which is linear.
function layers.dense(given, ...)
  local layer = make("dense", given, ...)
  return layer
end

--- Drops values at this rate (0 <= rate < 1) while training.
function layers.dropout(rate, ...)
  if (...) ~= nil then core.raise("dropout: one rate expected, as in lstm.dropout(0.2)") end
  local checked, wanted = options.value(rate, share)
  if not checked then core.raise(("dropout: the rate must be %s, got %s"):format(wanted, options.show(rate))) end
  return setmetatable({type = "dropout", rate = rate}, Layer)
end

--- Whether a value is a layer.
function layers.is(value) return getmetatable(value) == Layer end

--- Whether a layer (or its description) has a state.
function layers.is_recurrent(layer) return layer.type == "lstm" or layer.type == "gru" end

function Layer:__tostring()
  if self.type == "dropout" then return ("dropout %g"):format(self.rate) end
  local words = {("%s %d"):format(self.type, self.size)}
  for _, name in ipairs(shown) do
    local value = rawget(self, name)
    if value == true then
      words[#words + 1] = name
    elseif value then
      words[#words + 1] = ("%s %s"):format(name, type(value) == "number" and ("%g"):format(value) or value)
    end
  end
  return table.concat(words, ", ")
end

return layers
