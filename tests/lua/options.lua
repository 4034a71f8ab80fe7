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

function TestCheck.testBlamesTheCaller()
  local function public(given) local got = options.check(given, spec, "public") return got end
  local line = debug.getinfo(1, "l").currentline + 1
  local _, message = pcall(function() public{hiden = 1} end)
  lu.assertStrContains(message, ":" .. line .. ": public: unknown")
  _, message = pcall(function() public{hidden = "x"} end)
  lu.assertStrContains(message, ":" .. (line + 2) .. ": public: option")
end

os.exit(lu.LuaUnit.new():runSuiteByInstances{
  {"TestNearest", TestNearest},
  {"TestCheck", TestCheck},
}, true)
