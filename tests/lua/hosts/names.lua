-- names.lua: prints everything that the module offers, a line each: what the host and other interpreters must agree on.

local lstm = require "lstm"
local lines = {}

local function add(owner, t)
  for name, value in pairs(t) do
    if type(name) == "string" then lines[#lines + 1] = ("%s.%s: %s"):format(owner, name, type(value)) end
    if type(name) == "string" and type(value) == "table" and owner == "lstm" then add("lstm." .. name, value) end
  end
end

-- Everything is loaded when it is first asked for.
for _, name in ipairs(getmetatable(lstm).names()) do assert(lstm[name] ~= nil, name) end
add("lstm", lstm)
add("core", require "lstm.core")
for _, name in ipairs(require "lstm.core".embedded()) do lines[#lines + 1] = "embedded: " .. name end
local model = lstm.model{input = 1, hidden = 2, output = 1, seed = 1}
local rows = lstm.table{{1}, {2}, {3}}
for owner, object in pairs{model = model, table = rows, windows = rows:windows{look_back = 1},
  vocab = lstm.vocab "ab", sequences = lstm.sequences{x = {{1}}}, scaler = lstm.minmax(rows)} do
  add(owner, getmetatable(object))
end
-- Methods in C by the editor's stubs, as their metatables are locked.
local stubs = require "lstm.core".embedded "lstm.d"
for owner, object in pairs{Array = lstm.zeros(1), State = model:state(), Trainer = model:trainer{},
  Rng = lstm.rng(1)} do
  for name in stubs:gmatch("\nfunction " .. owner .. ":([%w_]+)%(") do
    lines[#lines + 1] = ("%s:%s: %s"):format(owner, name, type(object[name]))
  end
end
table.sort(lines)
print(table.concat(lines, "\n"))
