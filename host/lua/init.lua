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
}

--- Root of the mean squared difference of two arrays of one shape.
function lstm.rmse(a, b)
  local d = a - b
  return math.sqrt((d * d):mean())
end

-- Where the rest comes from: a module, or a field of one. They are loaded when they are first used, so that a script
-- that only runs a model starts at once.
local sources = {
  vocab = {"lstm.vocab"}, csv = {"lstm.csv"}, plot = {"lstm.plot"}, args = {"lstm.args"},
  progress = {"lstm.progress"}, history = {"lstm.history"},
  table = {"lstm.windows", "table"}, minmax = {"lstm.scale", "minmax"}, zscore = {"lstm.scale", "zscore"},
  model = {"lstm.model", "new"}, load = {"lstm.model", "load"},
  embedding = {"lstm.layers", "embedding"}, lstm = {"lstm.layers", "lstm"}, dense = {"lstm.layers", "dense"},
  dropout = {"lstm.layers", "dropout"},
  seed = {"lstm.seeds", "set"},
}

local function find(self, name)
  local source = sources[name]
  if not source then return nil end
  local value = require(source[1])
  if source[2] then value = value[source[2]] end
  self[name] = value
  return value
end

return setmetatable(lstm, {__index = find, sources = sources})
