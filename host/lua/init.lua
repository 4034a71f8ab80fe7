-- init.lua: what `require "lstm"` returns.

local core = require "lstm.core"

local lstm = {
  version = core.version,
  array = core.array,
  zeros = core.zeros,
  frombytes = core.frombytes,
  readfile = core.readfile,
  writefile = core.writefile,
  isa = core.isa,
  isas = core.isas,
  threads = core.threads,
  rng = core.rng,
  sample = core.sample,
}

-- Where random numbers begin where nobody gives a seed: the first use gets `base` itself, later ones other streams, so
-- that one number repeats a whole script.
local base, used = 1, 0

--- Sets the seed of everything that is made without a seed of its own from here on.
function lstm.seed(seed)
  core.rng(seed)                                     -- raises for what is no seed
  base, used = seed, 0
end

-- The next seed, for the helpers.
function lstm.nextseed()
  used = used + 1
  return base + (used - 1) * 1000003
end

--- Root of the mean squared difference of two arrays of one shape.
function lstm.rmse(a, b)
  local d = a - b
  return math.sqrt((d * d):mean())
end

-- Helpers are loaded when they are first used: a script that only runs a model starts without them.
local lazy = {
  vocab = "lstm.vocab", csv = "lstm.csv", plot = "lstm.plot", args = "lstm.args",
  progress = "lstm.progress", history = "lstm.history", windows = "lstm.windows",
}
local lazy_field = {
  minmax = {"lstm.scale", "minmax"}, zscore = {"lstm.scale", "zscore"}, table = {"lstm.windows", "table"},
  model = {"lstm.model", "model"}, load = {"lstm.model", "load"}, embedding = {"lstm.model", "embedding"},
  lstm = {"lstm.model", "lstm"}, dense = {"lstm.model", "dense"}, dropout = {"lstm.model", "dropout"},
}

setmetatable(lstm, {__index = function(self, name)
  local value
  if lazy[name] then
    value = require(lazy[name])
  elseif lazy_field[name] then
    value = require(lazy_field[name][1])[lazy_field[name][2]]
  else
    return nil
  end
  self[name] = value
  return value
end})

return lstm
