-- What goes wrong for a user, as the user sees it: each script runs in a host of its own.

local lu = require "luaunit"
local lstm = require "lstm"

local binary = os.getenv "LSTM" or "./lstm"
local script, said, file = os.tmpname(), os.tmpname(), os.tmpname()

-- Runs a script; returns the exit code and what came on stderr.
local function run(text, ...)
  assert(lstm.writefile(script, 'local lstm = require "lstm"\n' .. text:format(...)))
  local _, _, code = os.execute(("%s %s >/dev/null 2>%s </dev/null"):format(binary, script, said))
  return code, assert(lstm.readfile(said))
end

-- The script must fail with this message, at this line of it (nil: it comes from assert, which may say its line).
local function fails(message, line, text, ...)
  local code, err = run(text, ...)
  lu.assertEquals(code, 1)
  lu.assertEquals(err:sub(1, 6), "lstm: ")
  lu.assertStrContains(err, (line and ("lstm: %s:%d: "):format(script, line) or "") .. message)
  lu.assertNotStrContains(err, ".c:")
  lu.assertNotStrContains(err, "lstm/")
end

local TestFiles = {}

function TestFiles.testMissing()
  fails("cannot read nothing.txt: No such file or directory", nil, 'assert(lstm.readfile "nothing.txt")')
  fails("cannot read nothing.csv: No such file or directory", nil, 'assert(lstm.csv "nothing.csv")')
  fails("cannot read nothing.safetensors: No such file or directory", nil, 'assert(lstm.load "nothing.safetensors")')
end

function TestFiles.testDirectory()
  fails("cannot read /tmp: Is a directory", nil, 'assert(lstm.readfile "/tmp")')
end

function TestFiles.testEmptyText()
  assert(lstm.writefile(file, ""))
  fails("vocab: the text is empty", 2, "lstm.vocab(assert(lstm.readfile %q))", file)
end

function TestFiles.testWordInANumberColumn()
  assert(lstm.writefile(file, "Day,Temp\n1,2.5\n2,warm\n"))
  local code, err = run('assert(lstm.csv(%q, {columns = {"Temp"}}))', file)
  lu.assertEquals(code, 1)
  for _, part in ipairs{file .. ":3:", "Temp", "warm"} do lu.assertStrContains(err, part) end
end

local TestModels = {}
local bytes = lstm.model{input = 1, hidden = 8, output = 1, seed = 1}:bytes()

function TestModels.testTruncated()
  for _, length in ipairs{0, 5, 100, #bytes - 1} do
    assert(lstm.writefile(file, bytes:sub(1, length)))
    fails(file .. ": ", nil, "assert(lstm.load %q)", file)
  end
end

function TestModels.testNaN()
  assert(lstm.writefile(file, bytes:sub(1, -5) .. "\0\0\192\127"))
  local code, err = run("assert(lstm.load %q)", file)
  lu.assertEquals(code, 1)
  lu.assertStrContains(err, file .. ": ")
  lu.assertStrContains(err:lower(), "nan")
end

function TestModels.testWrongOption()
  fails('model: unknown option "hiden", did you mean "hidden"?', 2, "lstm.model{input = 1, hiden = 32, output = 1}")
  fails('fit: unknown option "epoch", did you mean "epochs"?', 3,
    "local m = lstm.model{input = 1, hidden = 3, output = 1}\nm:fit({}, {epoch = 3})")
end

function TestModels.testWrongWidth()
  fails("predict: the model takes 1 input, x has 2", 2,
    "lstm.model{input = 1, hidden = 3, output = 1}:predict(lstm.zeros{5, 4, 2})")
  fails("step: 1 number expected, got 2", 2, "lstm.model{input = 1, hidden = 3, output = 1}:state():step(1, 2)")
end

function TestModels.testTooLarge()
  local code, err = run("lstm.model{input = 2000000000, hidden = 2000000000, output = 2000000000}")
  lu.assertEquals(code, 1)
  lu.assertStrContains(err, script .. ":2: ")
end

function TestModels.testClosed()
  fails("the state is closed", 4,
    "local s = lstm.model{input = 1, hidden = 3, output = 1}:state()\ns:close()\ns:step(1)")
end

-- Arguments that are left out or of a wrong type: the line is the script's, and the message begins with the function.
function TestModels.testArguments()
  local make = "local m = lstm.model{input = 1, hidden = 3, output = 1}\n"
  fails("save: the path must be a string, got nil", 3, make .. "m:save()")
  fails("tensor: the name must be a string, got nil", 3, make .. "m:tensor()")
  fails("tensor: the model has no tensor", 3, make .. "m:tensor 'x'")
  fails("state: lanes: a whole number from 1 to ", 3, make .. "m:state(0)")
  fails("sample: the temperature must be a number", 3, make .. "m:state():sample()")
  fails("lr: the rate must be a number", 3, make .. "m:trainer{}:lr 'x'")
  fails("csv: the path must be a string, got nil", 2, "lstm.csv()")
  fails("load: give a path", 2, "lstm.load()")
  fails("readfile: the path must be a string", 2, "lstm.readfile()")
  fails("rmse: two arrays expected", 2, "lstm.rmse(1)")
  fails("array: the values must be a table, got no value", 2, "lstm.array()")
  fails("slice: a whole number from ", 2, "lstm.zeros(3):slice()")
  fails("lstm: the size must be ", 2, "lstm.model{input = 1, hidden = {'x'}, output = 1}")
  fails("threads: a whole number from 1 to 256 expected, got 0", 2, "lstm.threads(0)")
  fails("symbol: the id must be a number, got nil", 2, "lstm.vocab 'a':symbol()")
  fails("attempt to ", 2, "string.rep(nil + 1)")
end

local TestMethods = {}

function TestMethods.testMissing()
  local m, rows = lstm.model{input = 1, hidden = 3, output = 1}, lstm.table{{1, 2}, {3, 4}, {5, 6}}
  local vocab = lstm.vocab "abc"
  for _, case in ipairs{
    {m, "fti", 'model: there is no method "fti"; did you mean "fit"?'},
    {m, "qqqqqq", 'model: there is no method "qqqqqq"'},
    {m:state(), "stepp", 'state: there is no method "stepp"; did you mean "step"?'},
    {m:trainer{}, "tran", 'trainer: there is no method "tran"; did you mean "train"?'},
    {lstm.rng(1), "shufle", 'rng: there is no method "shufle"; did you mean "shuffle"?'},
    {lstm.zeros(1), "reshap", 'array: there is no method "reshap"; did you mean "reshape"?'},
    {rows, "splt", 'table: there is no method "splt"; did you mean "split"?'},
    {rows:windows{look_back = 1}, "tagets", 'windows: there is no method "tagets"; did you mean "targets"?'},
    {lstm.minmax(rows), "aply", 'scaler: there is no method "aply"; did you mean "apply"?'},
    {vocab, "encod", 'vocab: there is no method "encod"; did you mean "encode"?'},
    {vocab:encode "ab", "decod", 'tokens: there is no method "decod"; did you mean "decode"?'},
  } do
    local object, name, message = case[1], case[2], case[3]
    local ok, got = pcall(function() return object[name](object) end)
    lu.assertFalse(ok)
    lu.assertStrMatches(got, "^tests/lua/errors.lua:%d+: .*")
    lu.assertEquals(got:gsub("^.-:%d+: ", ""), message)
  end
  fails('model: there is no method "fti"; did you mean "fit"?', 3,
    "local m = lstm.model{input = 1, hidden = 3, output = 1}\nm:fti()")
end

function TestMethods.testFieldsOfAModel()
  local m = lstm.model{input = 1, hidden = 3, output = 1}
  lu.assertNil(m.vocab)
  m.labels = {"a"}
  lu.assertEquals(m:clone().labels, {"a"})
  fails('model: unknown field "lable", did you mean "labels"?', 3,
    "local m = lstm.model{input = 1, hidden = 3, output = 1}\nm.lable = 3")
  fails("model: input is a vocabulary or a number of inputs", 3,
    "local m = lstm.model{input = 1, hidden = 3, output = 1}\nlstm.model{input = m, hidden = 3, output = 1}")
end

local code = lu.LuaUnit.new():runSuiteByInstances{{"TestFiles", TestFiles}, {"TestModels", TestModels},
  {"TestMethods", TestMethods}}
for _, name in ipairs{script, said, file} do os.remove(name) end
os.exit(code, true)
