-- programs.lua: what the tests of scripts/*.lua share: running a script as a user does, and files that go away again.
--
--   local programs = dofile "tests/lua/support/programs.lua"
--   local run, path, with, check_failure = programs.run, programs.path, programs.with, programs.check_failure
--   ...
--   programs.finish{TestName = TestName}

local lu = require "luaunit"
local lstm = require "lstm"

local programs = {}
local host = os.getenv "LSTM" or "./lstm"
if not host:find("/") then host = "./" .. host end
local made = {}

--- The program that runs scripts.
programs.host = host

--- A file that the test will remove at its end.
function programs.remove_later(name)
  made[#made + 1] = name
  return name
end

--- A path for a file of this test; it is removed at the end.
function programs.path(extension)
  local name = os.tmpname()
  os.remove(name)
  return programs.remove_later(name .. (extension or ""))
end

--- A file with this text.
function programs.with(text, extension)
  local name = programs.path(extension)
  assert(lstm.writefile(name, text))
  return name
end

--- Runs a script. Returns what it wrote to stdout and to stderr, and its exit code.
function programs.run(command)
  local errors = programs.path()
  local pipe = assert(io.popen(host .. " " .. command .. " 2>" .. errors))
  local out = pipe:read("a")
  local _, _, code = pipe:close()
  return out, lstm.readfile(errors) or "", code or 0
end

--- One plain sentence, no traceback, nothing on stdout, and the exit code (default 1).
function programs.check_failure(command, sentence, code)
  local out, err, got = programs.run(command)
  lu.assertStrContains(err, sentence)
  lu.assertEquals(select(2, err:gsub("\n", "")), 1, err)
  lu.assertNil(err:find("traceback"))
  lu.assertNil(err:find("%.lua:%d"), err)
  lu.assertEquals(out, "")
  lu.assertEquals(got, code or 1)
end

--- --help prints to stdout, with each of these options (names without dashes).
function programs.check_help(script, names)
  local out, err, code = programs.run(script .. " --help")
  lu.assertEquals({err, code}, {"", 0})
  for _, name in ipairs(names) do lu.assertStrContains(out, "  --" .. name .. " ") end
  return out
end

--- The path of a file of the data that is not part of the project, or the test is skipped.
function programs.data(name)
  local file = (os.getenv "LSTM_DATA" or "../shared/data") .. "/" .. name
  local handle = io.open(file)
  lu.skipIf(not handle, file .. " is not there (LSTM_DATA names the folder)")
  handle:close()
  return file
end

--- Runs test classes by name, removes the files, and ends the program.
function programs.finish(classes)
  local names, list = {}, {}
  for name in pairs(classes) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do list[i] = {name, classes[name]} end
  local failures = lu.LuaUnit.new():runSuiteByInstances(list)
  for _, name in ipairs(made) do os.remove(name) end
  os.exit(failures, true)
end

return programs
