-- Tests of the prompt's Lua (host/lua/prompt.lua, show.lua, help.lua), and of the prompt at a pseudo-terminal.

local lu = require "luaunit"
local lstm = require "lstm"
local help = require "lstm.help"
local prompt = require "lstm.prompt"

local binary = os.getenv "LSTM" or "./lstm"
local show = lstm.show

local function model() return lstm.model{input = 1, hidden = 2, output = 1, seed = 1} end

local TestShow = {}

function TestShow.testArrays()
  lu.assertEquals(show(lstm.array{1, 2.5, -3}), "array float32 [3]  1 2.5 -3")
  lu.assertEquals(show(lstm.array({1, 20}, "int32")), "array int32 [2]  1 20")
  lu.assertEquals(show(lstm.zeros(1000)), "array float32 [1000]  0 0 0 0 ... 0 0 0 0")
  lu.assertEquals(show(lstm.array{{1, 2}, {3, 44}}), "array float32 [2][2]\n   1  2\n   3 44")
  lu.assertEquals(show(lstm.zeros{2, 1, 2}), "array float32 [2][1][2]\n[1]\n  0 0\n[2]\n  0 0")
end

function TestShow.testTheMiddleIsElided()
  local text = show(lstm.zeros{1000, 30})
  local _, lines = text:gsub("\n", "")
  lu.assertEquals(lines, 9)
  lu.assertStrContains(text, "\n  ...\n")
  lu.assertStrContains(text, "  0   0   0   0 ...   0   0   0   0\n")
  text = show(lstm.zeros{50, 3, 4})
  lu.assertStrContains(text, "[1]\n  0 0 0 0\n")
  lu.assertStrContains(text, "\n...\n[50]\n")
end

function TestShow.testTables()
  lu.assertEquals(show{}, "{}")
  lu.assertEquals(show{1, 2, {3, {4}}, a = "x\n\"", [10] = true}, '{1, 2, {3, {...}}, [10] = true, a = "x\\n\\""}')
  lu.assertEquals(show{m = model(), a = lstm.zeros{3, 4}, f = print},
    "{a = array float32 [3][4], f = function, m = input 1}")
  local list = {}
  for i = 1, 1000 do list[i] = i end
  lu.assertStrContains(show(list), "20, ..., 981")
  local own = {}
  own.own = own
  lu.assertEquals(show(own), "{own = {...}}")
end

function TestShow.testObjectsDescribeThemselves()
  local m = model()
  lu.assertEquals(show(m), tostring(m))
  lu.assertEquals(show(lstm), tostring(lstm))
  lu.assertEquals({show(nil), show(1.5), show "a\nb", show(true)}, {"nil", "1.5", "a\nb", "true"})
  lu.assertEquals(prompt.show(1, nil, "x"), "1\tnil\tx")
  lu.assertEquals(prompt.show(lstm.zeros{1, 1}, 7), "array float32 [1][1]\n  0\n7")
end

local TestHelp = {}

function TestHelp.testFunctions()
  local text = help.text "lstm.rmse"
  lu.assertStrContains(text, "lstm.rmse(a, b) -> number\n")
  lu.assertStrContains(text, "Root of the mean squared difference")
  lu.assertEquals(help.text(lstm.rmse), text)
  lu.assertStrContains(help.text "rmse", text)
end

function TestHelp.testMethodsAndTheirOptions()
  local text = help.text "model:fit"
  lu.assertStrContains(text, "model:fit(train, options) -> history?")
  lu.assertStrContains(text, "    patience ")
  lu.assertStrContains(text, "default 0.001")
  lu.assertEquals(help.text(model().fit), text)
  lu.assertStrContains(help.text(lstm.zeros(1).sum), "array:sum(axis")
  lu.assertStrContains(help.text(model():state().step), "state:step(")
end

function TestHelp.testObjectsModulesOptions()
  lu.assertStrContains(help.text(model()), "\n  fit(train, options) ")
  lu.assertStrContains(help.text(lstm.zeros(1)), "\n  slice(from, to) ")
  lu.assertStrContains(help.text(lstm.csv), "lstm.csv(path")
  lu.assertStrContains(help.text "look_back", "WindowsOptions.look_back: integer rows of input")
  lu.assertStrContains(help.text(), "\n  csv(path, options) ")
  lu.assertEquals(help.text(lstm), help.text())
  lu.assertStrMatches(help.text(lstm.metrics), "lstm.metrics: .*\n  rmse%(truth, guess%) .*")
end

-- Each function of the module has its entry, found by its value where that is a function.
function TestHelp.testEveryFunction()
  for name, value in pairs(lstm) do
    if name ~= "version" then lu.assertStrContains(assert(help.text("lstm." .. name)), name) end
    if type(value) == "function" then lu.assertNotNil(help.text(value), name) end
  end
end

function TestHelp.testLinesFit()
  for line in (help.text() .. "\n" .. help.text "model:fit" .. "\n" .. help.text(model())):gmatch "[^\n]+" do
    lu.assertTrue(#line <= 110, line)
  end
end

local TestComplete = {}

local function words(line) return table.concat(prompt.complete(line), " ") end

function TestComplete.testGlobalsAndFields()
  lu.assertEquals(words "tostr", "tostring(")
  lu.assertEquals(words "print(string.rep", "string.rep(")
  lu.assertEquals(words "math.hu", "math.huge")
  lu.assertEquals(words "retu", "return")
end

function TestComplete.testThroughMetatables()
  rawset(_G, "lstm", lstm)
  rawset(_G, "it", {m = model(), a = lstm.zeros(3), list = {{deep = 1}}, s = model():state(), word = "x"})
  lu.assertEquals(words "x = lstm.minm", "lstm.minmax(")
  lu.assertEquals(words "it.m:clas", "it.m:classify(")
  lu.assertEquals(words "it.m.loss", "it.m.loss")
  lu.assertEquals(words "it.a:resh", "it.a:reshape(")
  lu.assertEquals(words "it.s:ste", "it.s:step(")
  lu.assertEquals(words "it.list[1].de", "it.list[1].deep")
  lu.assertEquals(words "it.word:upp", "it.word:upper(")
  lu.assertStrContains(words "it.m:", "it.m:fit( ")
  rawset(_G, "it", nil)
  rawset(_G, "lstm", nil)
end

function TestComplete.testNothingIsCalledAndNothingFails()
  for _, line in ipairs{"f(x).y", "nowhere.at.all", "1.", "", "print.", "'a'.", "a[", "a[1", ":", "..", "it::", "(((",
    "math.pi.x", "\27[A"} do
    lu.assertEquals(type(prompt.complete(line)), "table", line)
  end
  lu.assertEquals(words "f(x).y", "")
  lu.assertEquals(words "nowhere.at.all", "")
end

local TestWrongUses = {}

function TestWrongUses.testHelp()
  for _, case in ipairs{
    {"fti", 'there is no help on "fti", did you mean "fit"?'},
    {"patiense", 'there is no help on "patiense", did you mean "patience"?'},
    {"lstm.writefil", 'there is no help on "lstm.writefil", did you mean "writefile"?'},
    {"qqqqqqqqqq", 'there is no help on "qqqqqqqqqq"; help() lists what there is'},
    {"", 'there is no help on ""; help() lists what there is'},
    {3, 'there is no help on 3; help "name" looks for a name'},
    {true, 'there is no help on true; help "name" looks for a name'},
    {{}, 'there is no help on a table; help "name" looks for a name'},
    {print, 'there is no help on a function; help "name" looks for a name'},
    {io.stdout, 'there is no help on a userdata; help "name" looks for a name'},
    {function() end, 'there is no help on a function; help "name" looks for a name'},
  } do
    lu.assertEquals({help.text(case[1])}, {nil, case[2]})
  end
  lu.assertEquals({help.text(nil)}, {nil, 'there is no help on nil; help "name" looks for a name'})
end

-- [A terminal]

local TestTerminal = {}

local function play(steps)
  if not os.execute "python3 -c 'import pty, sys; assert sys.version_info >= (3, 9)' 2>/dev/null" then
    lu.skip "no python3 with pty"
  end
  local file, history = os.tmpname(), os.tmpname()
  assert(lstm.writefile(file, table.concat(steps, "\n") .. "\n"))
  local pipe = assert(io.popen(("LSTM_HISTORY=%s TERM=xterm python3 tests/lua/support/terminal.py %s <%s 2>&1"):format(
    history, binary, file)))
  local out = pipe:read "a"
  local _, _, code = pipe:close()
  local kept = assert(lstm.readfile(history))
  os.remove(file)
  os.remove(history)
  return code, out, kept
end

function TestTerminal.testCtrlCAndValues()
  local code, out = play{"expect > ", "send lstm.zeros{2, 2}\\n", "expect array float32 [2][2]", "expect > ",
    "send x = \\x03", "expect > ", "send 41 + 1\\n", "expect 42", "expect > ", "send while true do end\\n",
    "expect \\n", "send \\x03", "expect interrupted", "expect > ", "send help\\n", "expect help() lists", "expect > ",
    "send 40 + 3\\n", "expect 43", "expect > ", "send \\x04"}
  lu.assertEquals(code, 0, out)
end

-- Whether this build edits lines: it says so.
local function needs_editing(out)
  if not out:find("TAB completes", 1, true) then lu.skip "built without libedit" end
end

function TestTerminal.testCompletionAndHistory()
  local _, first = play{"expect > ", "send \\x04"}
  needs_editing(first)
  local code, out, kept = play{"expect > ", "send lstm.ver\\t\\n", "expect " .. lstm.version, "expect > ",
    "send m = lstm.model{input = 1, hidden = 2, output = 1}\\n", "expect > ", "send m:parame\\t)\\n", "expect 35",
    "expect > ", "send m:cl\\t\\t", "expect m:classify(", "expect m:clone(", "expect m:close(", "send \\x03",
    "expect > ", "send 6 * 7\\n", "expect 42", "expect > ", "send \\x1b[A\\n", "expect 42", "expect > ", "send \\x04"}
  lu.assertEquals(code, 0, out)
  lu.assertStrContains(kept, "m:parameters()")
end

os.exit(lu.LuaUnit.new():runSuiteByInstances{{"TestShow", TestShow}, {"TestHelp", TestHelp},
  {"TestComplete", TestComplete}, {"TestWrongUses", TestWrongUses}, {"TestTerminal", TestTerminal}}, true)
