-- Tests of the command line (host/main.c, host/repl.c): options, exit codes, messages, the prompt, Ctrl-C.

local lu = require "luaunit"
local lstm = require "lstm"
local commands = require "lstm.commands"

local binary = os.getenv "LSTM" or "./lstm"
local script, outfile, errfile = os.tmpname(), os.tmpname(), os.tmpname()

local function quoted(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

-- Runs a command of the shell with the host's name in $LSTM; returns the exit code, stdout, stderr.
local function shell(command, input)
  local stdin = "</dev/null"
  if input then
    assert(lstm.writefile(script .. ".in", input))
    stdin = "<" .. quoted(script .. ".in")
  end
  local line = ("LSTM=%s; { %s\n} %s >%s 2>%s"):format(quoted(binary), command, stdin, quoted(outfile), quoted(errfile))
  local _, _, code = os.execute(line)
  os.remove(script .. ".in")
  return code, assert(lstm.readfile(outfile)), assert(lstm.readfile(errfile))
end

local function run(arguments, input) return shell("$LSTM " .. arguments, input) end

local function run_script(text, arguments)
  assert(lstm.writefile(script, text))
  return run(quoted(script) .. " " .. (arguments or ""))
end

local TestOptions = {}

function TestOptions.testChunks()
  lu.assertEquals({run "-e 'print(1 + 1)'"}, {0, "2\n", ""})
  lu.assertEquals({run "-e 'x = 3' -e 'print(x)'"}, {0, "3\n", ""})
  lu.assertEquals({run "'-eprint(7)'"}, {0, "7\n", ""})
  lu.assertEquals({run "-l string -e 'print(string.rep(\"a\", 3))'"}, {0, "aaa\n", ""})
end

function TestOptions.testVersionAndHelp()
  local code, out = run "-v"
  lu.assertEquals(code, 0)
  lu.assertStrContains(out, "lstm " .. lstm.version .. ", Lua 5.")
  lu.assertEquals({run "--version"}, {0, out, ""})
  for _, option in ipairs{"-h", "--help"} do
    code, out = run(option)
    lu.assertEquals(code, 0)
    lu.assertStrContains(out, "usage: lstm COMMAND [arguments]")
    lu.assertStrContains(out, "lstm [options] [script [arguments]]")
    for _, name in ipairs{"-e", "-l", "-i", "--threads", "--isa", "--seed", "-v"} do lu.assertStrContains(out, name) end
  end
end

function TestOptions.testThreadsIsaSeed()
  lu.assertEquals({run "--threads 3 -e 'print(require\"lstm\".threads())'"}, {0, "3\n", ""})
  lu.assertEquals({run "--threads=2 -e 'print(require\"lstm\".threads())'"}, {0, "2\n", ""})
  lu.assertEquals({run "--isa scalar -e 'print(require\"lstm\".isa())'"}, {0, "scalar\n", ""})
  local chunk = " -e 'local l = require\"lstm\" " ..
    "print(l.model{input=1, hidden=2, output=1}:tensor\"head.weight\"[1][1])'"
  local _, one = run("--seed 1" .. chunk)
  local _, default = run(chunk)
  local _, two = run("--seed 2" .. chunk)
  lu.assertEquals(one, default)
  lu.assertNotEquals(one, two)
end

function TestOptions.testScriptArguments()
  local code, out = run_script("print(#arg, arg[1], arg[2], ...)", "a '--help'")
  lu.assertEquals({code, out}, {0, "2\ta\t--help\ta\t--help\n"})
  assert(lstm.writefile(script, "print(arg[0], arg[-1])"))
  code, out = run("-- " .. quoted(script))
  lu.assertEquals({code, out}, {0, script .. "\t--\n"})
end

function TestOptions.testStandardInput()
  lu.assertEquals({run("", "print(5)")}, {0, "5\n", ""})
  lu.assertEquals({run("-", "print(6)")}, {0, "6\n", ""})
  lu.assertEquals({run("- a b", "print(...)")}, {0, "a\tb\n", ""})
end

function TestOptions.testWrongUsage()
  for arguments, message in pairs{
    ["--frobnicate"] = "unknown option --frobnicate", ["-x"] = "unknown option -x",
    ["-e"] = "a value is missing after -e",
    ["--threads"] = "a value is missing after --threads",
    ["--threads many"] = "--threads: a whole number expected, got many",
    ["--threads 0"] = "--threads: a whole number from 1 to 256 expected, got 0",
    ["--isa mmx"] = '--isa: unknown instruction set "mmx"', ["--seed x"] = "--seed: a whole number expected, got x",
    ["--seed 99999999999999999999"] = "--seed: a whole number expected, got 99999999999999999999",
  } do
    local code, out, err = run(arguments)
    lu.assertEquals({code, out}, {2, ""})
    lu.assertEquals(err, "lstm: " .. message .. " (see lstm --help)\n")
  end
end

local TestCommands = {}

local function lines_of(text)
  local list = {}
  for line in text:gmatch "[^\n]+" do list[#list + 1] = line end
  return list
end

function TestCommands.testHelpListsThem()
  local _, out = run "--help"
  for _, name in ipairs(commands.names()) do
    local about = commands.about(name)
    lu.assertTrue(#about > 20, name)
    lu.assertStrContains(out, ("\n  %-13s %s"):format(name, about:sub(1, 40)))
  end
  for _, line in ipairs(lines_of(out)) do lu.assertTrue(#line <= 120, line) end
end

function TestCommands.testEachHasHelp()
  for _, name in ipairs(commands.names()) do
    local code, out, err = run(name .. " --help")
    lu.assertEquals({code, err}, {0, ""}, name)
    lu.assertStrContains(out, "usage: lstm " .. name)
  end
end

function TestCommands.testHelpIsOne()
  lu.assertEquals({run "help"}, {run "--help"})
  lu.assertEquals({run "help forecast"}, {run "forecast --help"})
  lu.assertEquals({run "help train"}, {run "train --help"})
end

function TestCommands.testOptionsComeFirst()
  local code, out = run "--threads 1 forecast --help"
  lu.assertEquals(code, 0)
  lu.assertStrContains(out, "usage: lstm forecast [FILE]")
end

-- The names of scripts stay free for scripts of a user, by a path.
function TestCommands.testScriptsByPath()
  local folder = os.tmpname()
  os.remove(folder)
  os.execute("mkdir " .. quoted(folder))
  assert(lstm.writefile(folder .. "/forecast", "print(arg[0], ...)"))
  local host = assert(io.popen("realpath " .. quoted(binary))):read "l"
  local code, out = shell(("cd %s && %s ./forecast 7"):format(quoted(folder), quoted(host)))
  lu.assertEquals({code, out}, {0, "./forecast\t7\n"})
  os.execute("rm -r " .. quoted(folder))
end

local function csv_file()
  local rows = {"day,level"}
  for i = 1, 60 do rows[#rows + 1] = ("%d,%.3f"):format(i, math.sin(i / 3)) end
  assert(lstm.writefile(script .. ".csv", table.concat(rows, "\n") .. "\n"))
  return script .. ".csv"
end

function TestCommands.testTrainChoosesByTheFile()
  local csv = csv_file()
  local code, out, err = run(("train %s --epochs 1 --hidden 3 --column level"):format(quoted(csv)))
  lu.assertEquals(code, 0)
  lu.assertStrContains(err, ("lstm train: %s is a table of numbers: lstm forecast\n"):format(csv))
  lu.assertStrContains(out, "test RMSE ")
  os.remove(csv)
end

function TestCommands.testTrainAndSampleText()
  local text, model = script .. ".txt", script .. ".safetensors"
  assert(lstm.writefile(text, ("the cat sat on the mat. "):rep(60)))
  local code, _, err = run(("train %s --steps 3 --hidden 4 --batch 2 --seq 8 --out %s"):format(quoted(text),
    quoted(model)))
  lu.assertEquals(code, 0, err)
  lu.assertStrContains(err, "is a text: lstm chars\n")
  local out
  code, out, err = run(("sample %s --sample 20"):format(quoted(model)))
  lu.assertEquals(code, 0, err)
  lu.assertTrue(#out >= 20)
  lu.assertStrContains(select(2, run(("sample %s --help"):format(quoted(model)))), "usage: lstm chars")
  os.remove(text)
  os.remove(model)
end

local TestWrongUses = {}

-- Whole stderr and exit code of command lines that cannot work.
function TestWrongUses.testCommandLine()
  local csv, model = csv_file(), script .. ".safetensors"
  assert(lstm.writefile(model, "x"))
  local cases = {
    {"forcast x.csv", 2, 'lstm: there is neither a command nor a file "forcast", did you mean "forecast"?'},
    {"infos", 2, 'lstm: there is neither a command nor a file "infos", did you mean "info"?'},
    {"zzzzzzzz", 2, 'lstm: there is neither a command nor a file "zzzzzzzz"; the commands are '
      .. require "lstm.options".list(commands.names())},
    {quoted(csv), 2, ("lstm: %s is not a Lua script; to learn it: lstm train %s"):format(csv, csv)},
    {quoted(model), 2, ("lstm: %s is a model, not a Lua script; to see what is in it: lstm info %s"):format(model,
      model)},
    {"/tmp", 2, "lstm: /tmp is a folder, not a Lua script"},
    {"help forcast", 2,
      'lstm help: there is neither a command nor a file "forcast", did you mean "forecast"?'},
    {"help tests/lua/cli.lua", 2, "lstm help: tests/lua/cli.lua is a script: lstm tests/lua/cli.lua --help"},
    {"tests/lua/cli", 2, 'lstm: there is no file "tests/lua/cli", did you mean tests/lua/cli.lua?'},
    {"train", 2, "lstm train: FILE is missing"},
    {"train none.csv", 2, "lstm train: there is no file none.csv"},
    {"train --epochs 3", 2, "lstm train: FILE is missing"},
    {"sample", 2, "lstm sample: MODEL is missing"},
    {"sample --length 3", 2, "lstm sample: MODEL is missing"},
    {"--versoin", 2, "lstm: unknown option --versoin"},
  }
  for _, case in ipairs(cases) do
    local code, out, err = run(case[1])
    lu.assertEquals({code, out, err}, {case[2], "", case[3] .. " (see lstm --help)\n"}, case[1])
  end
  os.remove(csv)
  os.remove(model)
end

function TestWrongUses.testOfCommands()
  for _, case in ipairs{
    {"forecast", 2, "lstm forecast: FILE is missing\n"},
    {"forecast x.csv --hiden 3", 2, "lstm forecast: unknown option --hiden, did you mean --hidden?\n"},
    {"forecast none.csv", 1, "lstm forecast: cannot read none.csv: No such file or directory\n"},
    {"chars none.txt --verbose 0", 1, "lstm chars: cannot read none.txt: No such file or directory\n"},
    {"sample none.safetensors", 1, "lstm sample: cannot read none.safetensors: No such file or directory\n"},
  } do
    lu.assertEquals({run(case[1])}, {case[2], "", case[3]}, case[1])
  end
end

local TestErrors = {}

function TestErrors.testRaised()
  local code, out, err = run_script 'print(1)\nerror "went wrong"'
  lu.assertEquals({code, out, err}, {1, "1\n", ("lstm: %s:2: went wrong\n"):format(script)})
end

function TestErrors.testTracebackOfTheScriptOnly()
  local text = 'local lstm = require "lstm"\nlocal function make()\n  lstm.model{input = 1, hiden = 32}\n  return 1\n'
    .. 'end\nprint(pcall(string.rep))\nmake()\n'
  local code, _, err = run_script(text)
  lu.assertEquals(code, 1)
  lu.assertStrContains(err, (':3: model: unknown option "hiden", did you mean "hidden"?'))
  lu.assertStrContains(err, (":7"))
  lu.assertNotStrContains(err, "[C]")
  lu.assertNotStrContains(err, "lstm/")
  lu.assertNotStrContains(err, ".c:")
  assert(lstm.writefile(script, text))
  code, _, err = shell("LSTM_TRACE=1 $LSTM " .. quoted(script))
  lu.assertEquals(code, 1)
  lu.assertStrContains(err, "stack traceback:")
  lu.assertStrContains(err, "[C]")
end

function TestErrors.testOtherValues()
  local _, _, err = run_script "error{}"
  lu.assertStrContains(err, ":1: an error that is a table, not a message")
  _, _, err = run_script 'error(setmetatable({}, {__tostring = function() return "mine" end}))'
  lu.assertStrContains(err, "lstm: mine")
  _, _, err = run_script "error()"
  lu.assertEquals(err, ("lstm: %s:1: an error without a message\n"):format(script))
  _, _, err = run("-i", "error()\n")
  lu.assertEquals(err, "lstm: stdin:1: an error without a message\n")
end

function TestErrors.testFiles()
  local code, _, err = run "/nonexistent.lua"
  lu.assertEquals(code, 1)
  lu.assertStrContains(err, "/nonexistent.lua")
  code, _, err = run_script "x ="
  lu.assertEquals(code, 1)
  lu.assertStrContains(err, script .. ":1: unexpected symbol near <eof>")
end

function TestErrors.testExitCodesOfScripts()
  lu.assertEquals((run_script "os.exit(7)"), 7)
  lu.assertEquals((run_script "os.exit(true, true)"), 0)
end

local TestPrompt = {}

function TestPrompt.testLines()
  local code, out, err = run("-i", "1 + 1\nx = 5\nx\nfor i = 1, 2 do\nprint(i)\nend\n_\nnope.x\n'after'\n")
  lu.assertEquals(code, 0)
  lu.assertStrContains(out, "> 2\n> > 5\n> >> >> 1\n2\n> 5\n> ")
  lu.assertStrContains(out, "after")
  local _, version = run("-i", "lstm.version\n")
  lu.assertStrContains(version, lstm.version)
  lu.assertStrContains(err, "attempt to index a nil value (global 'nope')")
end

function TestPrompt.testBrokenLines()
  local code, out, err = run("-i", "x = = 1\nprint(3)\n")
  lu.assertEquals(code, 0)
  lu.assertStrContains(out, "3")
  lu.assertStrContains(err, "unexpected symbol near '='")
  code = run("-i", "for i = 1, 2 do")
  lu.assertEquals(code, 0)
end

function TestPrompt.testEqualsSign()
  local _, out, err = run("-i", "= 5\n=1, 2\n= {\n7}\n_[1]\n")
  lu.assertEquals(err, "")
  lu.assertStrContains(out, "> 5\n> 1\t2\n> >> {7}\n> ")
  lu.assertStrContains(out, "\n> 7\n")
end

function TestPrompt.testModuleNamesItself()
  local _, out = run("-i", "lstm\nfor name in pairs(lstm) do io.write(name, ';') end\n")
  lu.assertStrContains(out, "> lstm " .. lstm.version .. ": args, array, chart, csv, dense, ")
  lu.assertStrContains(out, ";model;")
  lu.assertStrContains(out, ";writefile;")
end

function TestPrompt.testTakesNoBytecode()
  local code, _, err = run("-i", "\27Lua\n")
  lu.assertEquals(code, 0)
  lu.assertStrContains(err, "attempt to load a binary chunk")
end

-- Ctrl-C inside a chunk of several lines: it is dropped at once, and the next line stands for itself.
function TestPrompt.testInterruptDropsTheChunk()
  local lines = ([[
    mkfifo %s
    $LSTM -i <%s & pid=$!
    exec 3>%s
    sleep 0.3; echo 'for i = 1, 2 do' >&3
    sleep 0.3; kill -INT $pid
    sleep 0.3; echo '41 + 1' >&3
    exec 3>&-; wait $pid; code=$?; rm %s; exit $code]]):gsub("%%s", script .. ".fifo")
  local code, out, err = shell(lines)
  lu.assertEquals({code, err}, {0, ""})
  lu.assertStrContains(out, "> >> \n> 42\n> ")
end

function TestPrompt.testAfterAChunk()
  local _, out = run("-i -e 'x = 9'", "x\n")
  lu.assertStrContains(out, "9")
end

local TestInterrupt = {}

-- The host runs in the background of a shell, where SIGINT may be ignored: it sets its own handler.
local function interrupted(text, signals)
  assert(lstm.writefile(script, text))
  return shell("$LSTM " .. quoted(script) .. " & pid=$!; " .. signals .. "; wait $pid")
end

function TestInterrupt.testPlainCode()
  local code, out, err = interrupted('print "on"\nio.stdout:flush()\nwhile true do end', "sleep 0.3; kill -INT $pid")
  lu.assertEquals({code, out}, {130, "on\n"})
  lu.assertEquals(err, ("lstm: %s:3: interrupted\n"):format(script))
end

function TestInterrupt.testCanBeCaught()
  local code, out = interrupted('print(pcall(function() while true do end end))', "sleep 0.3; kill -INT $pid")
  lu.assertStrContains(out, "interrupted")
  lu.assertEquals(code, 130)
end

function TestInterrupt.testSecondOneEndsIt()
  local code = interrupted('local core = require "lstm.core"\ncore.hold(true)\nwhile true do end',
    "sleep 0.3; kill -INT $pid; sleep 0.1; kill -INT $pid")
  lu.assertEquals(code, 130)
end

function TestInterrupt.testLongCallsPollTheFlag()
  local _, out = interrupted('local core = require "lstm.core"\ncore.hold(true)\n' ..
    'while not core.interrupted() do end\nprint "seen"\nos.exit(0)', "sleep 0.3; kill -INT $pid")
  lu.assertEquals(out, "seen\n")
end

local TestModule = {}

-- The same binding as a module of the system's Lua.
function TestModule.testLoads()
  local build = os.getenv "BUILD" or "build"
  local module = assert(io.popen("cd " .. quoted(build) .. " && pwd")):read "l" .. "/lstm.so"
  if not lstm.readfile(module) then lu.skip(module .. " is not built") end
  local _, _, missing = os.execute "lua5.4 -v >/dev/null 2>&1"
  if missing ~= 0 then lu.skip "there is no lua5.4" end
  if os.getenv "LSTM" and not binary:find "^%./lstm$" then lu.skip "another build" end
  local code, out, err = shell(("lua5.4 -e 'package.cpath = %q'"):format(module) ..
    " -e 'local l = require\"lstm\" print(l.model{input=1, hidden=2, output=1}:parameters(), l.version)'")
  lu.assertEquals({code, out, err}, {0, "35\t" .. lstm.version .. "\n", ""})
end

local code = lu.LuaUnit.new():runSuiteByInstances{
  {"TestOptions", TestOptions}, {"TestCommands", TestCommands}, {"TestWrongUses", TestWrongUses},
  {"TestErrors", TestErrors}, {"TestPrompt", TestPrompt},
  {"TestInterrupt", TestInterrupt}, {"TestModule", TestModule},
}
for _, path in ipairs{script, outfile, errfile} do os.remove(path) end
os.exit(code, true)
