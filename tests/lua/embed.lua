-- The files inside the binary (host/embed.c, host/module.c) are the sources: same code, same line numbers, same text.

local lu = require "luaunit"
local lstm = require "lstm"
local core = require "lstm.core"

local function path_of(name)
  if name == "lstm.d" then return "host/lstm.d.lua" end
  return (name:find "/" and "" or "host/lua/") .. name .. ".lua"
end

local TestEmbedded = {}

-- Bytecode holds the number of the line of each instruction.
function TestEmbedded.testCodeAndLines()
  local count = 0
  for _, name in ipairs(core.embedded()) do
    local source = assert(lstm.readfile(path_of(name)))
    lu.assertEquals(string.dump(assert(load(core.embedded(name), "=x"))), string.dump(assert(load(source, "=x"))), name)
    count = count + 1
  end
  lu.assertTrue(count > 25)
end

function TestEmbedded.testStubsKeepTheirComments()
  lu.assertEquals(core.embedded "lstm.d", assert(lstm.readfile "host/lstm.d.lua"))
end

function TestEmbedded.testScriptsAreNoModules()
  lu.assertStrContains(core.embedded "scripts/forecast", "lstm.args{")
  lu.assertFalse(pcall(require, "lstm.scripts/forecast"))
  lu.assertFalse(pcall(require, "lstm.lstm.d"))
end

function TestEmbedded.testUnknownNames()
  lu.assertNil(core.embedded "nothing")
  lu.assertErrorMsgContains("embedded: the name must be a string, got table", core.embedded, {})
end

os.exit(lu.LuaUnit.new():runSuiteByInstances{{"TestEmbedded", TestEmbedded}}, true)
