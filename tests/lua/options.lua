-- Checks of option tables: spelling, defaults, types, ranges, and whose line a mistake is reported at.
local lu = require "luaunit"
local options = require "lstm.options"

local spec = {
  hidden = {type = "integer", default = 128, min = 1},
  lr = {type = "number", default = 1e-3, above = 0},
  dropout = {type = "number", default = 0, min = 0, below = 1},
  optimizer = {type = "string", default = "adam", choices = {"adam", "sgd"}},
  seq = {type = {"integer", "string"}},
  verbose = 1,
  on_step = true,
}

local function failure(...)
  local ok, message = pcall(options.check, ...)
  lu.assertFalse(ok)
  return message
end

local TestNearest = {}

function TestNearest.testTypos()
  local names = {"hidden", "batch", "learning_rate", "lr", "seq"}
  lu.assertEquals(options.nearest("hiden", names), "hidden")
  lu.assertEquals(options.nearest("hidd", names), "hidden")
  lu.assertEquals(options.nearest("bacth", names), "batch")
  lu.assertEquals(options.nearest("LearningRate", names), "learning_rate")
  lu.assertEquals(options.nearest("sq", names), "seq")
  lu.assertNil(options.nearest("zzzzzz", names))
  lu.assertNil(options.nearest("x", {}))
end

function TestNearest.testUnknownListsWhatExists()
  lu.assertEquals(options.unknown("column", "Tmp", {"Date", "Temp"}),
    'unknown column "Tmp", did you mean "Temp"? (there are Date and Temp)')
  lu.assertEquals(options.unknown("column", "qqqq", {"Temp"}), 'unknown column "qqqq" (there is Temp)')
  lu.assertEquals(options.unknown("column", "a", {}), 'unknown column "a" (there are none)')
end

function TestNearest.testLongListsAreCut()
  local names = {}
  for i = 1, 100 do names[i] = "n" .. i end
  lu.assertStrContains(options.list(names), "and 40 more")
  lu.assertEquals(options.list({"a", "b", "c"}), "a, b and c")
end

local TestCheck = {}

function TestCheck.testDefaults()
  local got = options.check(nil, spec, "fit")
  lu.assertEquals(got, {hidden = 128, lr = 1e-3, dropout = 0, optimizer = "adam", verbose = 1})
end

function TestCheck.testArgumentIsNotChanged()
  local given = {hidden = 5}
  local got = options.check(given, spec, "fit")
  lu.assertEquals(given, {hidden = 5})
  lu.assertEquals(got.hidden, 5)
end

function TestCheck.testUnknownKey()
  local message = failure({hiden = 32}, spec, "model")
  lu.assertStrContains(message, 'model: unknown option "hiden", did you mean "hidden"?')
  lu.assertStrContains(message, "optimizer")
end

-- The names of other libraries are near, too.
function TestCheck.testNamesFromElsewhere()
  lu.assertStrContains(failure({learning_rate = 1}, {lr = {type = "number"}, seed = {type = "integer"}}, "fit"),
    'fit: unknown option "learning_rate", did you mean "lr"?')
  lu.assertNotStrContains(failure({learning_rate = 1}, {seed = {type = "integer"}}, "fit"), "did you mean")
end

function TestCheck.testTypes()
  lu.assertStrContains(failure({lr = "fast"}, spec, "fit"),
    'fit: option "lr" must be a number above 0, got "fast" (a string)')
  lu.assertStrContains(failure({hidden = 2.5}, spec, "fit"), "a whole number of at least 1, got 2.5")
  lu.assertStrContains(failure({verbose = "loud"}, spec, "fit"), "must be a number")
  lu.assertStrContains(failure({seq = {}}, spec, "fit"), "a whole number or a string, got a table")
  lu.assertStrContains(failure(7, spec, "fit"), "options must be a table")
end

function TestCheck.testWholeFloatsBecomeIntegers()
  lu.assertEquals(tostring(options.check({hidden = 64.0}, spec, "fit").hidden), tostring(64))
end

function TestCheck.testRanges()
  lu.assertStrContains(failure({hidden = 0}, spec, "fit"), "of at least 1, got 0")
  lu.assertStrContains(failure({lr = 0}, spec, "fit"), "above 0")
  lu.assertStrContains(failure({lr = 0 / 0}, spec, "fit"), "above 0")
  lu.assertStrContains(failure({dropout = 1}, spec, "fit"), "a number of at least 0 and below 1")
  lu.assertEquals(options.check({dropout = 0.5}, spec, "fit").dropout, 0.5)
end

function TestCheck.testChoices()
  lu.assertStrContains(failure({optimizer = "adma"}, spec, "fit"), 'one of "adam" and "sgd"')
end

function TestCheck.testRequiredAndLists()
  lu.assertStrContains(failure({}, {path = {type = "string", required = true}}, "f"), 'option "path" is missing')
  lu.assertEquals(options.check({a = 1}, {"a", "b"}, "f"), {a = 1})
  lu.assertStrContains(failure({c = 1}, {"a", "b"}, "f"), "there are a and b")
end

function TestCheck.testFalseIsAValue()
  lu.assertEquals(options.check({shuffle = false}, {shuffle = {type = "boolean", default = true}}, "f").shuffle, false)
end

function TestCheck.testElementsWithoutName()
  lu.assertStrContains(failure({"x"}, spec, "fit"), "options are named")
  lu.assertEquals(options.check({"x", a = 2}, {"a", ["#"] = true}, "f"), {"x", a = 2})
end

-- The innermost line that is not the host's own.
function TestCheck.testBlamesTheScript()
  local line = debug.getinfo(1, "l").currentline + 1
  local _, message = pcall(function() options.check({hiden = 1}, spec, "public") end)
  lu.assertStrContains(message, ":" .. line .. ": public: unknown")
  _, message = pcall(function() options.check({hidden = "x"}, spec, "public") end)
  lu.assertStrContains(message, ":" .. (line + 2) .. ": public: option")
end

function TestCheck.testArgument()
  lu.assertEquals(options.argument("a", "string", "f: the name"), "a")
  lu.assertErrorMsgContains("f: the name must be a string, got nil", options.argument, nil, "string", "f: the name")
  lu.assertErrorMsgContains("f: it must be a table or a string, got 3", options.argument, 3, {"table", "string"},
    "f: it")
end

local TestWrongUses = {}

-- Ten tables of options that cannot be meant, and what their author reads.
function TestWrongUses.testCheck()
  local rules = {hidden = {type = "integer", min = 1}, lr = {type = "number", above = 0, max = 1}, shuffle = true,
    kind = {type = "string", choices = {"adam", "sgd"}}, seq = {type = "integer", min = 2, max = 9}, on = {type =
    {"function", "boolean"}}, path = {type = "string", required = true}}
  local names = " (there are hidden, kind, lr, on, path, seq and shuffle)"
  for _, case in ipairs{
    {7, "fit: options must be a table, as in {name = value}; got 7"},
    {"fast", 'fit: options must be a table, as in {name = value}; got "fast" (a string)'},
    {{"x"}, 'fit: options are named, as in {hidden = ...}; got "x" (a string) without a name'},
    {{}, 'fit: option "path" is missing'},
    {{hiden = 3}, 'fit: unknown option "hiden", did you mean "hidden"?' .. names},
    {{zzzzzzzz = 3}, 'fit: unknown option "zzzzzzzz"' .. names},
    {{[true] = 3}, "fit: unknown option true" .. names},
    {{hidden = 2.5}, 'fit: option "hidden" must be a whole number of at least 1, got 2.5'},
    {{hidden = "many"}, 'fit: option "hidden" must be a whole number of at least 1, got "many" (a string)'},
    {{lr = 0}, 'fit: option "lr" must be a number above 0 and at most 1, got 0'},
    {{lr = 0 / 0}, 'fit: option "lr" must be a number above 0 and at most 1, got '},
    {{seq = 10, path = "x"}, 'fit: option "seq" must be a whole number from 2 to 9, got 10'},
    {{kind = "Adan"},
      'fit: option "kind" must be one of "adam" and "sgd", got "Adan" (a string), did you mean "adam"?'},
    {{on = 3}, 'fit: option "on" must be a function or true or false, got 3'},
  } do
    local ok, message = pcall(function() options.check(case[1], rules, "fit") end)
    lu.assertFalse(ok)
    lu.assertEquals((message:gsub("^.-:%d+: ", "")):sub(1, #case[2]), case[2])
    lu.assertStrMatches(message, "^tests/lua/options.lua:%d+: .*")
  end
end

os.exit(lu.LuaUnit.new():runSuiteByInstances{
  {"TestNearest", TestNearest},
  {"TestCheck", TestCheck}, {"TestWrongUses", TestWrongUses}}, true)
