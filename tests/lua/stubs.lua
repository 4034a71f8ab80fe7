-- The editor's stubs (host/lstm.d.lua) name what is exported, and everything that is.

local lu = require "luaunit"
local lstm = require "lstm"

local text = assert(lstm.readfile "host/lstm.d.lua")

-- Names that the stubs define in a table of this name: functions and fields.
local function declared(owner)
  local names = {}
  for name in ("\n" .. text):gmatch("\nfunction " .. owner .. "[.:]([%w_]+)%(") do names[name] = true end
  for name in ("\n" .. text):gmatch("\n" .. owner .. "%.([%w_]+) = ") do names[name] = true end
  return names
end

local function sorted(set)
  local names = {}
  for name in pairs(set) do
    if not name:find "^__" then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

local function keys(t)
  local set = {}
  for key in pairs(t) do set[key] = true end
  return set
end

local TestStubs = {}

function TestStubs.testIsLua()
  lu.assertEquals(type(load(text, "=lstm.d.lua", "t")), "function")
end

function TestStubs.testModule()
  local exported = keys(getmetatable(lstm).sources)
  for key in pairs(lstm) do exported[key] = true end
  exported.version = nil                                         -- a field, declared above the table
  for name in pairs(exported) do lu.assertNotNil(lstm[name]) end
  lu.assertEquals(sorted(declared "lstm"), sorted(exported))
end

function TestStubs.testModel()
  local m = lstm.model{input = 1, hidden = 2, output = 1}
  lu.assertEquals(sorted(declared "Model"), sorted(keys(getmetatable(m))))
  local function network() return lstm.model{input = 1, hidden = 2, output = 1, read = "all"} end
  local pair = lstm.seq2seq{encoder = network(), decoder = network()}
  lu.assertEquals(sorted(declared "Pair"), sorted(keys(getmetatable(pair))))
end

-- What a metatable or a module table offers by name.
local function functions(t)
  local set = {}
  for key, value in pairs(t) do
    if type(value) == "function" then set[key] = true end
  end
  return set
end

-- The methods of the classes of data, both ways: what is declared is there, and what is there is declared.
function TestStubs.testClassesOfData()
  local vocab = lstm.vocab "abc"
  local rows = lstm.table{{1, 2}, {3, 4}, {5, 6}}
  for owner, object in pairs{
    Vocab = vocab, Tokens = vocab:encode "abcabc", Table = rows, Windows = rows:windows{look_back = 1},
    Scaler = lstm.minmax(rows), History = lstm.history.new(), Bar = lstm.progress.new{verbose = 0},
    Sequences = lstm.sequences{x = {{1}}}, Confusion = lstm.metrics.confusion({1}, {1}),
  } do
    lu.assertEquals(sorted(declared(owner)), sorted(functions(getmetatable(object))), owner)
  end
end

-- Functions inside the module's tables: lstm.csv.parse.
function TestStubs.testModulesInTheModule()
  for _, name in ipairs{"vocab", "csv", "args", "plot", "progress", "history", "metrics"} do
    lu.assertEquals(sorted(declared("lstm%." .. name)), sorted(functions(lstm[name])), name)
  end
end

-- Fields that the stubs declare for a class.
local function fields(class)
  local body, names = text:match("%-%-%-@class " .. class:gsub("%.", "%%.") .. "\n(.-)\nlocal "), {}
  for name in body:gmatch("@field ([%w_]+)") do names[name] = true end
  return names
end

function TestStubs.testFieldsOfData()
  local vocab = lstm.vocab "abc"
  local rows = lstm.table{{1, 2}, {3, 4}, {5, 6}}
  local scaled = lstm.minmax(rows):apply(rows)
  scaled.header = true
  local windows = scaled:windows{look_back = 1, target = "1"}
  local sequences = lstm.sequences{x = {{1}, {2}}, y = {"a", "b"}}
  sequences = lstm.minmax(sequences):apply(sequences)
  for class, object in pairs{Vocab = vocab, Tokens = vocab:encode "abcabc", Table = scaled, Windows = windows,
    Scaler = lstm.minmax(rows), Sequences = sequences} do
    local own = keys(object)
    for _, private in ipairs{"map", "picked"} do own[private] = nil end
    lu.assertEquals(sorted(fields("lstm." .. class)), sorted(own), class)
  end
end

-- Options that the stubs declare are those that the functions take: they name them all when they refuse another one.
function TestStubs.testOptions()
  local rows = lstm.table{{1, 2}, {3, 4}}
  local function layer(make)
    return function(t)
      t[1] = 3
      return make(t)
    end
  end
  for class, call in pairs{
    ["lstm.EmbeddingOptions"] = layer(lstm.embedding), ["lstm.DenseOptions"] = layer(lstm.dense),
    ["lstm.GruOptions"] = layer(lstm.gru),
    ["lstm.CsvOptions"] = function(t) return lstm.csv("x", t) end,
    ["lstm.WindowsOptions"] = function(t) return rows:windows(t) end,
    ["lstm.PlotOptions"] = lstm.plot, ["lstm.ProgressOptions"] = lstm.progress.new, ["lstm.ModelOptions"] = lstm.model,
    ["lstm.SearchOptions"] = lstm.search,
    ["lstm.FitOptions"] = function(t) return lstm.model{input = 1, hidden = 2, output = 1}:fit({}, t) end,
  } do
    local _, message = pcall(call, {qqqqqqqq = 1})
    local body, known = text:match("%-%-%-@class " .. class:gsub("%.", "%%.") .. "\n(.-)\n\n"), {}
    for name in message:match("%(there %l+ (.*)%)"):gsub(" and ", ", "):gmatch("[%w_]+") do known[name] = true end
    local names = {}
    for name in body:gmatch("@field ([%w_]+)") do names[name] = true end
    lu.assertEquals(sorted(names), sorted(known), class)
  end
end

-- Methods of userdata cannot be listed; each declared one must be there.
function TestStubs.testObjects()
  local m = lstm.model{input = 1, hidden = 2, output = 1}
  for owner, object in pairs{Array = lstm.zeros(1), State = m:state(), Trainer = m:trainer{}, Rng = lstm.rng(1)} do
    for name in pairs(declared(owner)) do lu.assertEquals(type(object[name]), "function", owner .. ":" .. name) end
  end
  lu.assertEquals(sorted(declared "State"), sorted(keys(require "lstm.core".states)))
end

os.exit(lu.LuaUnit.new():runSuiteByInstances{{"TestStubs", TestStubs}}, true)
