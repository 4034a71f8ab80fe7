-- Tests of what lstm --sandbox lets honest scripts do, and of its command line. tests/sandbox/ has the attacks.

local lu = require "luaunit"
local lstm = require "lstm"

local binary = os.getenv "LSTM" or "./lstm"
local base = os.tmpname()

local function quoted(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

-- Returns the exit code, stdout, stderr.
local function run(arguments, input)
  assert(lstm.writefile(base .. ".in", input or ""))
  local line = ("LSTM_TRACE= LUA_PATH='/tmp/?.lua' %s %s <%s.in >%s.out 2>%s.err"):format(quoted(binary), arguments,
    base, base, base)
  local _, _, code = os.execute(line)
  return code, assert(lstm.readfile(base .. ".out")), assert(lstm.readfile(base .. ".err"))
end

local function sandboxed(chunk, options, input)
  return run(("--sandbox %s -e %s"):format(options or "", quoted(chunk)), input)
end

local TestSandbox = {}

function TestSandbox.testScriptsAndArguments()
  assert(lstm.writefile(base .. ".lua", "print(arg[1], select('#', ...), require 'lstm'.version)"))
  assert(lstm.writefile(base .. ".noext", "print(...)"))
  local version = lstm.version
  lu.assertEquals({run("--sandbox " .. base .. ".lua a b")}, {0, "a\t2\t" .. version .. "\n", ""})
  lu.assertEquals({run("--sandbox " .. base .. ".noext a")}, {0, "a\n", ""})
  lu.assertEquals({run("--sandbox - x", "print(...)")}, {0, "x\n", ""})
  lu.assertEquals({run("--sandbox", "print(1)")}, {0, "1\n", ""})
  lu.assertEquals({run "--sandbox -l lstm -e 'print(lstm.version)'"}, {0, version .. "\n", ""})
  lu.assertEquals({run "--sandbox --memory=64M --timeout 5 --threads 1 -e 'print(1)'"}, {0, "1\n", ""})
  for _, size in ipairs{"64MB", "1g", "64000k", "0.1Gb", "67108864"} do
    lu.assertEquals({sandboxed("print(1)", "--memory " .. size)}, {0, "1\n", ""}, size)
  end
  lu.assertEquals({sandboxed "os.exit(7)"}, {7, "", ""})
end

function TestSandbox.testWhatIsThere()
  local chunk = [[
    local names = {}
    for name in pairs(_G) do names[#names + 1] = name end
    table.sort(names)
    print(table.concat(names, " "))]]
  lu.assertEquals({sandboxed(chunk)}, {0, "_G _VERSION arg assert collectgarbage coroutine error getmetatable io " ..
    "ipairs load math next os pairs pcall print rawequal rawget rawlen rawset require select setmetatable string " ..
    "table tonumber tostring type utf8 xpcall\n", ""})
end

-- What is bounded works as before.
function TestSandbox.testLibraries()
  local _, out, problem = sandboxed [=[
    local t = {1, 2, 3}
    table.insert(t, 4) table.insert(t, 1, 0)
    assert(table.remove(t) == 4 and table.remove(t, 1) == 0 and #t == 3)
    assert(table.concat(t, ",") == "1,2,3" and table.concat(t, ",", 2) == "2,3" and table.concat(t, ",", 2, 2) == "2")
    assert(select("#", table.unpack(t)) == 3 and table.unpack(t, 2) == 2 and select("#", table.unpack(t, 1, 5)) == 5)
    assert(table.move(t, 1, 3, 2)[4] == 3 and table.move(t, 1, 2, 1, {})[2] == 1)
    t = {3, 1, 2}
    table.sort(t) assert(table.concat(t) == "123")
    table.sort(t, function(a, b) return a > b end) assert(table.concat(t) == "321")
    assert(table.concat(setmetatable({}, {__index = {7, 8}}), ",", 1, 2) == "7,8")
    local class = setmetatable({}, {__index = {f = 1}})
    table.insert(class, 5) assert(class[1] == 5)
    assert(("ab"):rep(3, "-") == "ab-ab-ab" and (""):rep(5) == "" and ("x"):rep(-1) == "" and ("x"):upper() == "X")
    assert((5):type())
  ]=]
  lu.assertStrContains(problem, "attempt to index a number value")          -- the last line; all before it held
  lu.assertEquals(out, "")
  lu.assertEquals({sandboxed [[
    local f = coroutine.wrap(function(a) local b = coroutine.yield(a + 1) return b * 2 end)
    print(f(1), f(5), pcall(f))
    local co = coroutine.create(function(...) print(select("#", ...), coroutine.isyieldable()) coroutine.yield(3) end)
    print(coroutine.resume(co, 1, nil), coroutine.status(co), coroutine.close(co))
    print(xpcall(error, function(m) return m .. "!" end, "e"))
    print(xpcall(function(...) return ... end, print, 1, 2))
    print(load("return ...", "c")(4), load(function() return nil end) ~= nil, load("x ="))
    x = 5 print(load("return x")(), load("return x", "c", "t", {x = 6})())
    for k, v in ("a=1"):gmatch("(%w)=(%w)") do io.write(k, v, "\n") end
    io.stdout:write("out", 1, "\n"):flush()]]},
    {0, "2\t10\tfalse\tcannot resume dead coroutine\n2\ttrue\ntrue\tsuspended\ttrue\nfalse\te!\ntrue\t1\t2\n" ..
    "4\ttrue\tnil\t[string \"x =\"]:1: unexpected symbol near <eof>\n5\t6\na1\nout1\n", ""})
end

function TestSandbox.testStandardStreams()
  lu.assertEquals({sandboxed("print(io.read('l', 'n'))", "", "line\n12\n")}, {0, "line\t12\n", ""})
  lu.assertEquals({sandboxed "io.stderr:write('e\\n')"}, {0, "", "e\n"})
  -- what was printed before the time was over is not lost
  lu.assertEquals({sandboxed("io.write('first ') while true do end", "--timeout 0.2")},
    {124, "first ", "lstm: stopped after 0.2 s: the time limit (--timeout)\n"})
  lu.assertEquals({sandboxed("print 'first' local s = ('a'):rep(2e5) s:find(('a*'):rep(20) .. 'b')", "--timeout 0.1")},
    {124, "first\n", "lstm: stopped after 0.1 s: the time limit (--timeout)\n"})
end

function TestSandbox.testCommands()
  local rows = {"day,temp"}
  for i = 1, 200 do rows[i + 1] = ("%d,%.3f"):format(i, math.sin(i / 5)) end
  assert(lstm.writefile(base .. ".csv", table.concat(rows, "\n") .. "\n"))
  local command = ("forecast %s.csv --epochs 1 --verbose 0 --out %s.model"):format(base, base)
  local code, _, problem = run(("--sandbox --read %s.csv --write %s.model %s"):format(base, base, command))
  lu.assertEquals({code, problem}, {0, ""})
  lu.assertEquals(run(("--sandbox --read %s.model info %s.model"):format(base, base)), 0)
  lu.assertEquals({run("--sandbox " .. command)}, {1, "",
    ("lstm forecast: cannot write %s.model: the sandbox writes only what --write names\n"):format(base)})
  lu.assertEquals({run(("--sandbox --write %s.model %s"):format(base, command))}, {1, "",
    ("lstm forecast: cannot read %s.csv: the sandbox reads only what --read names\n"):format(base)})
end

-- A command that flushes what it writes.
function TestSandbox.testCommandsThatWriteText()
  assert(lstm.writefile(base .. ".csv", ("to be or not to be, "):rep(20)))
  local code, out, problem = run(("--sandbox --read %s.csv --write %s.model chars %s.csv --steps 2 --batch 2 --seq 8 "
    .. "--hidden 4 --embed 4 --sample 5 --verbose 0 --out %s.model"):format(base, base, base, base))
  lu.assertEquals({code, (problem:match "crash[^\n]*" or problem:match "nil value[^\n]*")}, {0})
  lu.assertStrMatches(out, ".+\nvalidation %d.*\n")
  lu.assertEquals(run(("--sandbox --read %s.model sample %s.model --sample 5"):format(base, base)), 0)
  lu.assertEquals({sandboxed "io.write 'a' io.flush() io.stdout:flush() print(io.flush() == io.stdout)"},
    {0, "atrue\n", ""})
end

function TestSandbox.testTrainingIsTheSame()
  local chunk = [[
    local lstm = require "lstm"
    local x = lstm.zeros{32, 5, 1}
    for i = 1, 32 do for t = 1, 5 do x[i][t][1] = math.sin(i + t) end end
    local y = lstm.zeros{32, 1}
    local m = lstm.model{input = 1, hidden = 8, output = 1, loss = "mse"}
    print(m:fit({x = x, y = y}, {epochs = 3, batch = 8, verbose = 0})[3].loss)]]
  local _, out = run("-e " .. quoted(chunk))
  lu.assertEquals({sandboxed(chunk)}, {0, out, ""})
  lu.assertStrMatches(out, "%d.*\n")
end

local TestWrongUses = {}

function TestWrongUses.testOptions()
  local function wrong(arguments, sentence)
    lu.assertEquals({run(arguments)}, {2, "", "lstm: " .. sentence .. " (see lstm --help)\n"})
  end
  wrong("--memory 64M -e ''", "only with --sandbox: --memory")
  wrong("--read x -e ''", "only with --sandbox: --read")
  wrong("--sandbox --memory much -e ''", "--memory: bytes, or a number with K, M or G as 64M, expected, got much")
  wrong("--sandbox --memory 0 -e ''", "--memory: bytes, or a number with K, M or G as 64M, expected, got 0")
  wrong("--sandbox --timeout 5s -e ''", "--timeout: seconds expected, got 5s")
  wrong("--sandbox --timeout=-1 -e ''", "--timeout: seconds expected, got -1")
  wrong("--sandbox --memory 64MX -e ''", "--memory: bytes, or a number with K, M or G as 64M, expected, got 64MX")
  wrong("--sandbox --memory b -e ''", "--memory: bytes, or a number with K, M or G as 64M, expected, got b")
  wrong("--sandbox --read -e ''", "--read: a path expected, got -e")
  wrong("--sandbox --write '' -e ''", "--write: a path expected, got nothing")
  wrong("--sandbox --read= -e ''", "--read: a path expected, got nothing")
  wrong("--sandbox --timeout", "a value is missing after --timeout")
  wrong("--sandbox -i", "there is no prompt in the sandbox")
  wrong("--sandboxed -e ''", "unknown option --sandboxed")
end

function TestWrongUses.testPaths()
  lu.assertEquals({run "--sandbox --write /no/such/folder/x -e ''"},
    {1, "", "lstm: /no/such/folder/x: No such file or directory\n"})
  lu.assertEquals({run "--sandbox --read no/such.csv -e ''"},
    {1, "", "lstm: --read no/such.csv: No such file or directory\n"})
  lu.assertEquals({sandboxed("assert(require 'lstm'.writefile('tests/no/n.txt', 'x'))", "--write tests")},
    {1, "", "lstm: (command line):1: cannot write tests/no/n.txt: No such file or directory\n"})
  lu.assertEquals({sandboxed "print(require 'lstm'.readfile '/etc/hosts')"},
    {0, "nil\tcannot read /etc/hosts: the sandbox reads only what --read names\tio\n", ""})
  lu.assertEquals({sandboxed "assert(require 'lstm'.writefile('/tmp/no', 'x'))"},
    {1, "", "lstm: (command line):1: cannot write /tmp/no: the sandbox writes only what --write names\n"})
end

function TestWrongUses.testWhatThereIsNot()
  local function wrong(chunk, sentence)
    lu.assertEquals({sandboxed(chunk)}, {1, "", "lstm: (command line):1: " .. sentence .. "\n"})
  end
  wrong("setmetatable({}, {__gc = print})", "setmetatable: there is no __gc in the sandbox")
  wrong("require 'io'", "require: the sandbox has only lstm and its modules, not io")
  wrong("table.insert(setmetatable({}, {__len = print}), 1)",
    "table.insert: a table with __len is not taken in the sandbox")
  wrong("table.unpack({}, 1, 1e9)", "table.unpack: more than 16777216 elements")
  wrong("io.open 'x'",
    "io.open: not in the sandbox: lstm.readfile and lstm.writefile take what --read and --write name")
  wrong("io.lines 'x'", "io.lines: not in the sandbox: lstm.readfile reads what --read names")
  wrong("os.getenv 'HOME'", "os.getenv: not in the sandbox: give the script arguments")
  wrong("os.remove 'x'", "os.remove: not in the sandbox")
  wrong("table.sort({2, 1}, math.ult)", "table.sort: only functions of Lua compare in the sandbox")
  wrong("load('', '=lstm/fit.lua')", 'load: a name cannot begin with "=lstm/"')
  wrong("table.concat{{}}", "invalid value (table) at index 1 in table for 'concat'")
  lu.assertEquals({sandboxed("local t = {} while true do t = {t} end", "--memory 8M")},
    {1, "", "lstm: not enough memory\nlstm: the memory limit was reached: 8 MB (--memory)\n"})
end

local code = lu.LuaUnit.new():runSuiteByInstances{{"TestSandbox", TestSandbox}, {"TestWrongUses", TestWrongUses}}
for _, ending in ipairs{"", ".in", ".out", ".err", ".lua", ".csv", ".model", ".noext"} do os.remove(base .. ending) end
os.exit(code, true)
