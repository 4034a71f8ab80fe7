-- The files inside the binary (host/embed.c, host/module.c) are the sources: same code, same line numbers, same text.

local lu = require "luaunit"
local lstm = require "lstm"
local core = require "lstm.core"

local function path_of(name)
  if name == "lstm.d" then return "host/lstm.d.lua" end
  if name:find "%." then return "host/report/" .. name end
  return (name:find "/" and "" or "host/lua/") .. name .. ".lua"
end

local TestEmbedded = {}

-- Bytecode holds the number of the line of each instruction.
function TestEmbedded.testCodeAndLines()
  local count = 0
  for _, name in ipairs(core.embedded()) do
    local source = assert(lstm.readfile(path_of(name)))
    local text = core.embedded(name)
    if name:find "%." then
      lu.assertTrue(text == source, name)
    else
      local small, whole = assert(load(text, "=x")), assert(load(source, "=x"))
      -- LuaJIT does not dump tables in the same order twice
      if not jit then lu.assertTrue(string.dump(small) == string.dump(whole), name) end    -- luacheck: ignore 113
    end
    count = count + 1
  end
  lu.assertTrue(count > 25)
end

-- They come out in any order: they are one stream.
function TestEmbedded.testAnyOrder()
  lu.assertStrContains(core.embedded "lstm.d", "---@meta lstm")
  lu.assertStrContains(core.embedded "init", "local lstm = {")
end

function TestEmbedded.testScriptsAreNoModules()
  lu.assertTrue(core.embedded "scripts/forecast":find("about = ", 1, true) ~= nil)
  lu.assertFalse(pcall(require, "lstm.scripts/forecast"))
  lu.assertFalse(pcall(require, "lstm.lstm.d"))
end

function TestEmbedded.testUnknownNames()
  lu.assertNil(core.embedded "nothing")
  lu.assertErrorMsgContains("embedded: the name must be a string, got table", core.embedded, {})
end

os.exit(lu.LuaUnit.new():runSuiteByInstances{{"TestEmbedded", TestEmbedded}}, true)
