-- Command lines: spellings, types, ranges, help, and the sentence for a mistake.
local lu = require "luaunit"
local args = require "lstm.args"

local spec = {
  about = "Learn a text.",
  {"file", help = "text to learn from"},
  {"model", optional = true},
  {"--hidden", default = 128, min = 1, alias = "-rnn_size", help = "cells per layer"},
  {"--lr", default = 2e-3, above = 0},
  {"--rate", type = "number", default = 1},
  {"--init", default = "default", choices = {"default", "pytorch"}},
  {"--out", type = "string", value = "FILE", help = "where the model goes"},
  {"--validate-every", default = 100},
  {"--quiet", flag = true},
}

local function parse(...)
  return args.parse(spec, {[0] = "chars.lua", ...})
end

local function mistake(...)
  local result, message = parse(...)
  lu.assertNil(result)
  return message
end

local TestParse = {}

function TestParse.testDefaults()
  local opt = assert(parse("a.txt"))
  lu.assertEquals(opt, {file = "a.txt", hidden = 128, lr = 2e-3, rate = 1, init = "default", validate_every = 100,
    quiet = false})
end

function TestParse.testSpellings()
  local opt = assert(parse("--hidden", "64", "a.txt", "--lr=0.5", "--out=", "--quiet"))
  lu.assertEquals({opt.hidden, opt.lr, opt.out, opt.quiet}, {64, 0.5, "", true})
  opt = assert(parse("a.txt", "-rnn_size", "32"))
  lu.assertEquals(opt.hidden, 32)
  lu.assertEquals(assert(parse("a.txt", "-rnn_size=16")).hidden, 16)
  lu.assertEquals(assert(parse("a.txt", "--validate_every", "5")).validate_every, 5)
end

function TestParse.testNumbers()
  lu.assertEquals(assert(parse("a", "--lr", "1e-3")).lr, 1e-3)
  lu.assertEquals(assert(parse("a", "--rate", "-2")).rate, -2)
  lu.assertEquals(assert(parse("a", "--rate", "2.5")).rate, 2.5)
  lu.assertEquals(tostring(assert(parse("a", "--hidden", "64")).hidden), "64")
end

function TestParse.testGiven()
  local _, given = parse("a", "--lr", "1", "-rnn_size", "3")
  lu.assertEquals(given, {file = true, lr = true, hidden = true})
end

function TestParse.testOneDashIsEnough()
  lu.assertEquals(assert(parse("a", "-lr", "1")).lr, 1)
end

function TestParse.testMany()
  local list = {{"--try", type = "string", many = true}, {"--quiet", flag = true},
    {"--n", type = "integer", many = true}}
  local opt, given = args.parse(list, {"--try", "a=1", "--try=b c", "--n", "3", "--quiet"})
  lu.assertEquals({opt.try, opt.n}, {{"a=1", "b c"}, {3}})
  lu.assertStrMatches(args.command({}, opt, given, {"try", "quiet", "n"}),
    ".* %-%-try a=1 %-%-try 'b c' %-%-quiet %-%-n 3")
  lu.assertEquals(args.parse(list, {}).try, {})
  lu.assertEquals(select(2, args.parse(list, {"--n", "3", "--n", "x"})), '--n must be a whole number, got "x"')
end

function TestParse.testKeepAndRecall()
  local opt = assert(parse("a", "--hidden", "64", "--lr", "0.1"))
  local text = args.keep(opt, {"hidden", "lr", "init", "out"})
  lu.assertEquals(text, "hidden=64 lr=0.10000000000000001 init=default")
  local later, given = assert(parse("a", "--lr", "0.5"))
  args.recall(later, given, text)
  lu.assertEquals({later.hidden, later.lr, later.init}, {64, 0.5, "default"})
end

function TestParse.testRecallKeepsFlags()
  local later, given = assert(parse("a"))
  args.recall(later, given, args.keep({quiet = true}, {"quiet"}))
  lu.assertTrue(later.quiet)
  args.recall(later, given, "quiet=false")
  lu.assertFalse(later.quiet)
end

function TestParse.testConflict()
  local text = "hidden=64 lr=0.10000000000000001 quiet=false"
  local function conflict(...)
    local opt, given = assert(parse("a", ...))
    return {args.conflict(opt, given, text, {"lr"})}
  end
  lu.assertEquals(conflict("--hidden", "32"), {"--hidden 32", "--hidden 64"})
  lu.assertEquals(conflict("--quiet"), {"--quiet", "no --quiet"})
  lu.assertEquals(conflict("--hidden", "64", "--lr", "3"), {})
  lu.assertEquals(conflict(), {})
end

function TestParse.testCommand()
  local before = arg
  arg = {[-1] = "./lstm", [0] = "scripts/chars.lua"}             -- luacheck: ignore 121
  local opt, given = assert(parse("a", "--out", "it's here", "--quiet", "--validate-every", "5"))
  local line = args.command({"a b", "--resume", "r"}, opt, given, {"out", "quiet", "validate_every", "hidden"})
  arg = before                                                   -- luacheck: ignore 121
  lu.assertEquals(line,
    [[./lstm scripts/chars.lua 'a b' --resume r --out 'it'\''s here' --quiet --validate-every 5]])
end

function TestParse.testWritable()
  lu.assertTrue(args.writable("--out", nil))
  local name = os.tmpname()
  lu.assertTrue(args.writable("--out", name .. "x"))
  os.remove(name)
  lu.assertEquals({args.writable("--out", "tests")}, {nil, "--out tests is a folder: give the name of a file"})
  local _, message = args.writable("--out", "no/such/x")
  lu.assertStrContains(message, "no/such/x:")
end

function TestParse.testDoubleDash()
  local opt = assert(parse("--", "--strange-name", "m"))
  lu.assertEquals({opt.file, opt.model}, {"--strange-name", "m"})
  lu.assertEquals(assert(parse("-")).file, "-")
end

local TestMistakes = {}

function TestMistakes.testUnknown()
  lu.assertEquals(mistake("a", "--hiden", "3"), "unknown option --hiden, did you mean --hidden?")
  lu.assertEquals(mistake("a", "-rnn_siz", "3"), "unknown option -rnn_siz, did you mean --hidden?")
  lu.assertEquals(mistake("a", "--zzzzzz"), "unknown option --zzzzzz; --help lists them all")
end

function TestMistakes.testValues()
  lu.assertEquals(mistake("a", "--hidden", "many"), '--hidden must be a whole number of at least 1, got "many"')
  lu.assertEquals(mistake("a", "--hidden", "1.5"), '--hidden must be a whole number of at least 1, got "1.5"')
  lu.assertEquals(mistake("a", "--hidden", "0x10"), '--hidden must be a whole number of at least 1, got "0x10"')
  lu.assertEquals(mistake("a", "--hidden=0"), '--hidden must be a whole number of at least 1, got "0"')
  lu.assertEquals(mistake("a", "--lr", "0"), '--lr must be a number above 0, got "0"')
  lu.assertEquals(mistake("a", "--lr", "nan"), '--lr must be a number above 0, got "nan"')
  lu.assertEquals(mistake("a", "--init", "x"), '--init must be one of "default" and "pytorch", got "x"')
  lu.assertEquals(mistake("a", "--hidden"), "--hidden needs a value")
  lu.assertEquals(mistake("a", "--quiet=1"), "--quiet takes no value")
end

function TestMistakes.testWords()
  lu.assertEquals(mistake(), "FILE is missing")
  lu.assertEquals(mistake("a", "b", "c"), '"c" is one argument too many')
end

function TestMistakes.testBadDeclaration()
  lu.assertErrorMsgContains('unknown option "defualt", did you mean "default"?', args.parse, {{"--x", defualt = 1}}, {})
end

local TestHelp = {}

function TestHelp.testAsked()
  for _, word in ipairs{"--help", "-h", "-help"} do
    local result, message, help = parse("--hidden", "3", word)
    lu.assertNil(result)
    lu.assertNil(message)
    lu.assertStrContains(help, "usage: lstm chars.lua FILE [MODEL] [options]")
  end
end

function TestHelp.testText()
  local help = args.help(spec, "chars.lua")
  lu.assertStrContains(help, "Learn a text.")
  lu.assertStrContains(help, "  --hidden N            cells per layer (default 128; also -rnn_size)\n")
  lu.assertStrContains(help, "  --out FILE            where the model goes\n")
  lu.assertStrContains(help, "(default if not given, or pytorch)")
  lu.assertStrContains(help, "  --quiet  ")
  for line in help:gmatch("[^\n]+") do lu.assertTrue(#line <= 96) end
end

function TestHelp.testExamples()
  local examples = {{"a.txt --out m", "learns a text"}, "--quiet b.txt"}
  local help = args.help({about = "X.", examples = examples, {"file"}}, "chars")
  lu.assertStrContains(help, "\n\nExamples:\n  lstm chars a.txt --out m\n      learns a text\n" ..
    "  lstm chars --quiet b.txt\n")
  lu.assertNotStrContains(args.help({{"file"}}, "chars"), "Examples")
end

function TestHelp.testVersion()
  lu.assertEquals({args.parse({{"file"}}, {[0] = "x/chars.lua", "--version"})},
    {nil, nil, "chars.lua, lstm " .. require "lstm".version .. "\n"})
  lu.assertEquals({args.parse({version = "7"}, {[0] = "a", "--version"})}, {nil, nil, "a, 7\n"})
  lu.assertTrue(args.parse({{"--version", flag = true}}, {"--version"}).version)
end

local TestWrongUses = {}

-- What a user of a script sees: the sentence after the script's name.
function TestWrongUses.testCommandLine()
  for _, case in ipairs{
    {{}, "FILE is missing"},
    {{"a", "--hiden", "3"}, "unknown option --hiden, did you mean --hidden?"},
    {{"a", "--qqqqqqqqq"}, "unknown option --qqqqqqqqq; --help lists them all"},
    {{"a", "--hidden"}, "--hidden needs a value"},
    {{"a", "--hidden", "many"}, '--hidden must be a whole number of at least 1, got "many"'},
    {{"a", "--hidden", "0x10"}, '--hidden must be a whole number of at least 1, got "0x10"'},
    {{"a", "--hidden", "2.5"}, '--hidden must be a whole number of at least 1, got "2.5"'},
    {{"a", "--hidden", ""}, '--hidden must be a whole number of at least 1, got ""'},
    {{"a", "--lr=-1"}, '--lr must be a number above 0, got "-1"'},
    {{"a", "--lr=inf"}, '--lr must be a number above 0, got "inf"'},
    {{"a", "--init", "PyTorch"}, '--init must be one of "default" and "pytorch", got "PyTorch"'},
    {{"a", "--quiet=yes"}, "--quiet takes no value"},
    {{"a", "b", "c"}, '"c" is one argument too many'},
  } do
    lu.assertEquals(mistake((table.unpack)(case[1])), case[2])
  end
end

-- What the author of a script sees.
function TestWrongUses.testDeclarations()
  for message, spec_ in pairs{
    ['args: unknown option "abuot", did you mean "about"? (there are about, examples and version)'] = {abuot = "x"},
    ['args: unknown option "defualt", did you mean "default"?'] = {{"--x", defualt = 1}},
    ["args: an argument is declared as a table, as in {\"--hidden\", default = 128}; got 3"] = {3},
    ["args: an argument has a name, as in {\"--hidden\", default = 128}"] = {{default = 3}},
    ["args: the declaration must be a table, got \"x\" (a string)"] = "x",
  } do
    local ok, got = pcall(args.parse, spec_, {})
    lu.assertFalse(ok)
    lu.assertStrContains(got, message)
  end
end

os.exit(lu.LuaUnit.new():runSuiteByInstances{
  {"TestParse", TestParse},
  {"TestMistakes", TestMistakes},
  {"TestHelp", TestHelp}, {"TestWrongUses", TestWrongUses},
}, true)
