-- Tests of the command line (host/main.c, host/repl.c): options, exit codes, messages, the prompt, Ctrl-C.

local lu = require "luaunit"
local lstm = require "lstm"

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
  for _, option in ipairs{"-h", "--help"} do
    code, out = run(option)
    lu.assertEquals(code, 0)
    lu.assertStrContains(out, "usage: lstm [options] [script [arguments]]")
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
  } do
    local code, out, err = run(arguments)
    lu.assertEquals({code, out}, {2, ""})
    lu.assertEquals(err, "lstm: " .. message .. " (see lstm --help)\n")
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
  lu.assertStrContains(out, "> 5\n> 1\t2\n> >> table: ")
  lu.assertStrContains(out, "\n> 7\n")
end

function TestPrompt.testModuleNamesItself()
  local _, out = run("-i", "lstm\nfor name in pairs(lstm) do io.write(name, ';') end\n")
  lu.assertStrContains(out, "> lstm " .. lstm.version .. ": args, array, csv, dense, ")
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
  local commands = ([[
    mkfifo %s
    $LSTM -i <%s & pid=$!
    exec 3>%s
    sleep 0.3; echo 'for i = 1, 2 do' >&3
    sleep 0.3; kill -INT $pid
    sleep 0.3; echo '41 + 1' >&3
    exec 3>&-; wait $pid; code=$?; rm %s; exit $code]]):gsub("%%s", script .. ".fifo")
  local code, out, err = shell(commands)
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
  {"TestOptions", TestOptions}, {"TestErrors", TestErrors}, {"TestPrompt", TestPrompt},
  {"TestInterrupt", TestInterrupt}, {"TestModule", TestModule},
}
for _, path in ipairs{script, outfile, errfile} do os.remove(path) end
os.exit(code, true)
