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
