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

function TestShow.testRowsOfATable()
  local rows = lstm.table({{1, 523.25}, {2, 10}}, {"day", "sales"})
  lu.assertEquals(show(rows), "table of 2 rows (day and sales)\n     day   sales\n  1    1  523.25\n  2    2      10")
  lu.assertEquals(tostring(rows), "table of 2 rows (day and sales)")
  lu.assertEquals(show{rows}, "{table of 2 rows (day and sales)}")
  local text = show(lstm.table(lstm.zeros{1000, 30}))
  local _, lines = text:gsub("\n", "")
  lu.assertEquals(lines, 12)
  lu.assertStrContains(text, "\n     5  0  0  0  0  ...   0   0   0   0\n   ...\n   996  0")
  local file = "shop,n\n\"K\195\182ln\nS\195\188d\",1\nA name that is longer than all others,2\n"
  rows = assert(lstm.csv.parse(file, {text = {"shop"}}))
  lu.assertStrContains(show(rows), "\n                         shop  n\n" ..
    "  1                  K\195\182ln S\195\188d  1\n" ..
    "  2  A name that is longer...  2")
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

-- All names of the stubs that a user can write: "lstm.csv", "lstm.csv.parse", "model:fit".
local function public_names()
  local names, private = {}, false
  for line in assert(lstm.readfile "host/lstm.d.lua"):gmatch "[^\n]+" do
    local name = line:match "^function ([%w_.:]+)%(" or line:match "^(lstm%.[%w_]+) = {}"
    if name and not private then names[#names + 1] = (name:gsub("^%u", string.lower)) end
    private = line == "---@private"
  end
  return names
end

-- Each as the first call of a session: what is not loaded yet must not stand in the way.
function TestHelp.testEveryNameInASessionOfItsOwn()
  local file, commands, wanted = os.tmpname(), {}, {}
  for _, name in ipairs(public_names()) do
    if name:find "^lstm%." then
      for _, what in ipairs{name, ("%q"):format(name)} do
        commands[#commands + 1] = ("%s -e 'lstm = require %q; lstm.help(%s)' 2>&1; echo @"):format(binary, "lstm", what)
        wanted[#wanted + 1] = help.text(what == name and name == "lstm.vocab.text" and "lstm.text" or name)
      end
    end
  end
  assert(lstm.writefile(file, table.concat(commands, "\n") .. "\n"))
  local pipe = assert(io.popen("sh " .. file))
  local out, i = pipe:read "a", 0
  pipe:close()
  os.remove(file)
  lu.assertTrue(#wanted > 120)
  for text in out:gmatch "(.-)\n@\n" do
    i = i + 1
    lu.assertTrue(text == wanted[i], commands[i] .. text)
  end
  lu.assertEquals(i, #wanted)
end

-- Methods by value: of objects, and of the classes that they have in C.
function TestHelp.testEveryMethodByValue()
  local vocab, m, rows = lstm.vocab "abc", model(), lstm.table{{1}, {2}, {3}}
  local pair = lstm.seq2seq{encoder = lstm.model{input = 1, hidden = 2, output = 1, read = "all"},
    decoder = lstm.model{input = 1, hidden = 2, output = 1, read = "all"}}
  local objects = {array = lstm.zeros(1), state = m:state(), trainer = m:trainer{}, rng = lstm.rng(1), vocab = vocab,
    tokens = vocab:encode "abc", table = rows, windows = rows:windows{look_back = 1}, scaler = lstm.minmax(rows),
    model = m, history = lstm.history.new(), bar = lstm.progress.new{verbose = 0}, pair = pair,
    sequences = lstm.sequences{x = {{1}}}, confusion = lstm.metrics.confusion({1}, {1})}
  for _, name in ipairs(public_names()) do
    local owner, method = name:match "^(%l+):(.+)$"
    if owner and objects[owner] then
      local text = assert(help.text(name), name)
      local found = name == "state:bytes" and "save" or method            -- two names of one function
      lu.assertStrContains(assert(help.text(objects[owner][method]), name), found .. "(")
      lu.assertStrContains(text, name .. "(")
    end
  end
end

-- Everything public has at least a line of text.
function TestHelp.testEverythingIsDescribed()
  local text, private, class
  for line in assert(lstm.readfile "host/lstm.d.lua"):gmatch "([^\n]*)\n" do
    if line == "---@private" then private = true
    elseif line:find "^%-%-%-@class" then class = line
    elseif line:find "^%-%-%-[^@`]" then text = true
    elseif not line:find "^%-%-%-" then
      lu.assertTrue(text or private or not (class or line:find "^function"), (class or "") .. line)
      text, private, class = nil, nil, nil
    end
  end
end

-- Where to begin is shown in the help of each step, and it works as it stands there.
function TestHelp.testExample()
  local example = help.text "lstm.csv":match "  Example:\n(    rows = .-\n)  parse"
  for _, name in ipairs{"lstm.model", "model:fit", "table:windows", "lstm.minmax"} do
    lu.assertStrContains(help.text(name) .. "\n", example)
  end
  local lines = {"day,sales"}
  for i = 1, 100 do lines[i + 1] = i .. "," .. 500 + i % 7 * 10 end
  local file = os.tmpname()
  assert(lstm.writefile(file, table.concat(lines, "\n") .. "\n"))
  local scope = setmetatable({lstm = lstm}, {__index = _G})
  example = example:gsub('"sales.csv"', ("%q"):format(file)):gsub("epochs = 50", "epochs = 1, verbose = 0")
  example = example:gsub("m:predict", "guess = m:predict"):gsub("m:forecast", "week = m:forecast")
  assert(load(example, "=example", "t", scope))()
  os.remove(file)
  lu.assertTrue(#scope.guess > 0)
  lu.assertEquals(#scope.week, 7)
end

function TestHelp.testWaysToCall()
  local text = help.text "lstm.plot.forecast"
  lu.assertStrContains(text, "lstm.plot.forecast(file, options) -> true|string? svg")
  lu.assertStrContains(text, "\nlstm.plot.forecast(options) -> string\n")
  local _, count = text:gsub("residuals", "")
  lu.assertEquals(count, 1)
  lu.assertStrContains(help.text "lstm.report", "lstm.report(file, options) -> true|string? page")
  lu.assertStrContains(help.text(lstm.gru), '"concat"|"sum"')
  lu.assertStrContains(help.text "dense", '"relu"')
  lu.assertStrContains(help.text "lstm.lstm", "peephole")
  lu.assertStrContains(help.text "windows", 'See also: help "table:windows"')
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
  lu.assertEquals(words "it.s:ste", "it.s:step( it.s:step_lanes(")
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

-- A near name is a mistake; any other is nil, so that a script can ask what is there.
function TestWrongUses.testFields()
  local function says(sentence, f)
    local _, message = pcall(f)
    lu.assertEquals((tostring(message):gsub("^[^ ]-:%d+: ", "")), sentence)
  end
  says('lstm: there is no "plt", did you mean "plot"?', function() return lstm.plt end)
  says('lstm: there is no "minmaxx", did you mean "minmax"?', function() return lstm.minmaxx end)
  says('plot: there is no method "forcast"; did you mean "forecast"?', function() return lstm.plot.forcast end)
  for _, name in ipairs{"quaternions", 1, "__index"} do
    lu.assertNil(lstm[name])
    lu.assertNil(lstm.plot[name])
  end
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
    "send exit\\n", "expect ends the prompt", "expect > ", "send ?\\n", "expect lstm.help", "expect > ",
    "send ? lstm.rmse\\n", "expect rmse(a, b)", "expect > ", "send ?\"seed\"\\n", "expect lstm.seed(seed)", "expect > ",
    "send 40 + 3\\n", "expect 43", "expect > ", "send quit()\\n"}
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
