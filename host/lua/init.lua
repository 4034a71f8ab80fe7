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

--- The names of what is in a folder, sorted; or nil, message, status.
function lstm.folder(path)
  local list, message, status = core.folder(path)
  if not list then return nil, message, status end
  table.sort(list)
  return list
end

--- Root of the mean squared difference of two arrays of one shape.
function lstm.rmse(a, b)
  if type(a) ~= "userdata" or type(b) ~= "userdata" then core.raise("rmse: two arrays expected") end
  local d = a - b
  return math.sqrt((d * d):mean())
end

-- Where the rest comes from: a module, or a field of one. They are loaded when they are first used, so that a script
-- that only runs a model starts at once.
local sources = {
  vocab = {"lstm.vocab"}, text = {"lstm.vocab", "text"}, csv = {"lstm.csv"}, plot = {"lstm.plot"}, args = {"lstm.args"},
  report = {"lstm.report", "write"},
  chart = {"lstm.chart", "draw"}, spark = {"lstm.chart", "spark"},
  metrics = {"lstm.metrics"}, search = {"lstm.search", "run"}, range = {"lstm.search", "range"},
  progress = {"lstm.progress"}, history = {"lstm.history"},
  table = {"lstm.windows", "table"}, sequences = {"lstm.sequences", "new"},
  ts = {"lstm.files", "ts"}, npy = {"lstm.files", "npy"}, writenpy = {"lstm.files", "writenpy"},
  safetensors = {"lstm.files", "safetensors"}, raw = {"lstm.files", "raw"},
  wav = {"lstm.wav", "read"}, writewav = {"lstm.wav", "write"},
  minmax = {"lstm.scale", "minmax"}, zscore = {"lstm.scale", "zscore"},
  model = {"lstm.model", "new"}, load = {"lstm.model", "load"},
  embedding = {"lstm.layers", "embedding"}, lstm = {"lstm.layers", "lstm"}, gru = {"lstm.layers", "gru"},
  dense = {"lstm.layers", "dense"}, dropout = {"lstm.layers", "dropout"},
  show = {"lstm.show", "value"}, help = {"lstm.help", "print"},
  seq2seq = {"lstm.seq2seq", "new"}, seed = {"lstm.seeds", "set"}, len = {"lstm.methods", "len"},
}

-- A name that is near to one of the module's is a mistake; any other is nil, so that a script can ask what is there.
local function missing(self, name)
  if type(name) ~= "string" or name:sub(1, 2) == "__" then return nil end
  local near = require "lstm.options".nearest(name, getmetatable(self).names())
  if near then core.raise(('lstm: there is no "%s", did you mean "%s"?'):format(name, near)) end
end

local function find(self, name)
  local source = sources[name]
  if not source then return missing(self, name) end
  local value = require(source[1])
  if source[2] then value = value[source[2]] end
  self[name] = value
  return value
end

-- The names of everything, loaded or not.
local function names()
  local list, seen = {}, {}
  for _, where in ipairs{lstm, sources} do
    for name in next, where do
      if not seen[name] then list[#list + 1] = name end
      seen[name] = true
    end
  end
  table.sort(list)
  return list
end

-- pairs(lstm) shows what is not loaded yet, too (Lua 5.2 and later).
local function all(self)
  local list, i = names(), 0
  return function()
    i = i + 1
    if list[i] then return list[i], self[list[i]] end
  end
end

local function summary() return ("lstm %s: %s"):format(core.version, table.concat(names(), ", ")) end

-- A copy: in a sandbox nobody is to say what is required.
local shown = {}
for name, source in pairs(sources) do shown[name] = {source[1], source[2]} end

return setmetatable(lstm, {__index = find, __pairs = all, __tostring = summary, sources = shown, names = names})
