-- Tests of lstm.array (host/array.c): every function and every message.

local lu = require "luaunit"
local lstm = require "lstm"
local core = require "lstm.core"

local fails = lu.assertErrorMsgContains
local nan = 0 / 0

local TestMaking = {}

function TestMaking.testFromTables()
  lu.assertEquals({core.array{1, 2, 3}:shape()}, {3})
  lu.assertEquals({core.array{{1, 2}, {3, 4}, {5, 6}}:shape()}, {3, 2})
  lu.assertEquals({core.array{{{{1}}}}:shape()}, {1, 1, 1, 1})
  lu.assertEquals(core.array{{1.5, 2}, {3, 4}}:totable(), {{1.5, 2}, {3, 4}})
  lu.assertEquals(core.array({7, -8}, "int32"):totable(), {7, -8})
  lu.assertEquals(core.array(5):totable(), {5})
  lu.assertEquals({core.array{}:shape()}, {0})
end

function TestMaking.testRefused()
  fails("rows differ in length: 2 and 1", core.array, {{1, 2}, {3}})
  fails("a table of 2 expected, got number", core.array, {{1, 2}, 3})
  fails("number expected, got string", core.array, {1, "2"})
  if #{1, nil, 3} == 3 then fails("number expected, got nil", core.array, {1, nil, 3}) end      -- LuaJIT: 1
  fails("more than 4 dimensions", core.array, {{{{{1}}}}})
  fails("does not fit an int32", core.array, {1.5}, "int32")
  fails("does not fit an int32", core.array, {2147483648}, "int32")
  fails("does not fit an int32", core.array, {nan}, "int32")
  fails('array: the kind is "float32", "int32" or "uint8", got "float64"', core.array, {1}, "float64")
  fails("array: the values must be a table, got string", core.array, "x")
end

function TestMaking.testZeros()
  lu.assertEquals(core.zeros{2, 2}:totable(), {{0, 0}, {0, 0}})
  lu.assertEquals(core.zeros(3, "int32"):kind(), "int32")
  lu.assertEquals(#core.zeros{0, 4}, 0)
  fails("1 to 4 sizes expected, got 0", core.zeros, {})
  fails("a whole number from 0", core.zeros, {-1})
  fails("a whole number from 0", core.zeros, {1.5})
  fails("too many elements", core.zeros, {2147483647, 2147483647, 2147483647})
end

function TestMaking.testBytes()
  local a = core.array{{1, 2}, {3, -4.5}}
  lu.assertEquals(#a:bytes(), 16)
  lu.assertEquals(core.frombytes(a:bytes(), "float32", {2, 2}), a)
  lu.assertEquals(core.frombytes(a:bytes()):totable(), {1, 2, 3, -4.5})
  lu.assertEquals(core.frombytes(core.array({1, -1}, "int32"):bytes(), "int32"):totable(), {1, -1})
  fails("3 bytes are not whole elements", core.frombytes, "abc")
  fails("the shape needs 8 bytes, got 4", core.frombytes, "abcd", "float32", {2})
end

function TestMaking.testRange()
  lu.assertEquals(core.range(3, 4):totable(), {3, 4, 5, 6})
  lu.assertEquals(core.range(5, 3, -2):totable(), {5, 3, 1})
  lu.assertEquals(#core.range(0, 0), 0)
  fails("too large", core.range, 1000000000, 2000000000)
  fails("too large", core.range, -1000000000, 2000000000, -1)
end

local TestElements = {}

function TestElements.testIndex()
  local a = core.array{{1, 2}, {3, 4}}
  lu.assertEquals(a[2][1], 3)
  lu.assertEquals(#a, 2)
  fails("index 3 is out of range, there are 1 to 2", function() return a[3] end)
  fails("index 0 is out of range", function() return a[1][0] end)
  fails("index 1.5 is out of range", function() return a[1.5] end)
  fails('no method "colum"', function() return a:colum(1) end)
end

function TestElements.testAssign()
  local a = core.zeros{3, 2}
  a[1] = 7
  a[2] = {8, 9}
  a[3] = core.array{1, 2} * 2
  a[3][1] = nan
  lu.assertEquals(a:slice(1, 2):totable(), {{7, 7}, {8, 9}})
  lu.assertNaN(a[3][1])
  lu.assertEquals(a[3][2], 4)
  fails("shape [2] expected, got [3]", function() a[1] = core.array{1, 2, 3} end)
  fails("rows differ in length", function() a[1] = {1} end)
  fails("number expected", function() a[1][1] = "x" end)
  fails("index must be a number", function() a.x = 1 end)
end

function TestElements.testViews()
  local a = core.array{{1, 2}, {3, 4}, {5, 6}}
  local row = a[2]
  row[1] = 30
  lu.assertEquals(a[2][1], 30)
  lu.assertEquals(a:slice(2):totable(), {{30, 4}, {5, 6}})
  lu.assertEquals(a:slice(-2, -2):totable(), {{30, 4}})
  lu.assertEquals(#a:slice(4, 3), 0)
  lu.assertEquals(a:slice(2, 3):slice(2)[1][2], 6)
  fails("from 2 to 4 is out of range, there are 1 to 3", a.slice, a, 2, 4)
  fails("out of range", a.slice, a, 0, 1)
  fails("out of range", a.slice, a, 3, 1)
end

function TestElements.testViewKeepsItsOwnerAlive()
  local view = core.zeros{1000, 10}:slice(500)[2]
  for _ = 1, 20 do
    collectgarbage()
    core.zeros{1000, 10}:fill(9)
  end
  lu.assertEquals(view:sum(), 0)
end

function TestElements.testColumn()
  local a = core.array{{1, 2}, {3, 4}}
  local column = a:column(2)
  lu.assertEquals(column:totable(), {2, 4})
  column[1] = 9
  lu.assertEquals(a[1][2], 2)
  fails("a whole number from 1 to 2 expected, got 3", a.column, a, 3)
  fails("must have 2 dimensions, it has 1", column.column, column, 1)
end

function TestElements.testReshape()
  local a = core.array{1, 2, 3, 4, 5, 6}
  lu.assertEquals(a:reshape{2, 3}:totable(), {{1, 2, 3}, {4, 5, 6}})
  a:reshape{3, 2}[3][2] = 60
  lu.assertEquals(a[6], 60)
  fails("[4] has another number of elements than [6]", a.reshape, a, {4})
end

function TestElements.testCopyAndFill()
  local a = core.array{1, 2}
  local b = a:copy():fill(7)
  lu.assertEquals(a:totable(), {1, 2})
  lu.assertEquals(b:totable(), {7, 7})
  fails("number expected", a.fill, a, "x")
end

local TestArithmetic = {}

function TestArithmetic.testNumbers()
  local a = core.array{1, 2, 4}
  lu.assertEquals((a + 1):totable(), {2, 3, 5})
  lu.assertEquals((1 - a):totable(), {0, -1, -3})
  lu.assertEquals((a * 0.5):totable(), {0.5, 1, 2})
  lu.assertEquals((8 / a):totable(), {8, 4, 2})
  lu.assertEquals((-a):totable(), {-1, -2, -4})
end

function TestArithmetic.testArrays()
  local a, row = core.array{{1, 2}, {3, 4}}, core.array{10, 100}
  lu.assertEquals((a + a):totable(), {{2, 4}, {6, 8}})
  lu.assertEquals((a * row):totable(), {{10, 200}, {30, 400}})
  lu.assertEquals((row - a):totable(), {{9, 98}, {7, 96}})
  lu.assertEquals((a + core.array({1, 2}, "int32")):kind(), "float32")
  fails("shapes [2][2] and [3] do not fit", function() return a + core.array{1, 2, 3} end)
  fails("arithmetic with a string", function() return a + "x" end)
  fails("arithmetic with a nil", function() return nil * a end)
  fails("one side must be an array", a.less, 1, 2)
end

function TestArithmetic.testReductions()
  local a = core.array{{1, 2, 3}, {4, 5, 9}}
  lu.assertEquals({a:sum(), a:mean(), a:min(), a:max()}, {24, 4, 1, 9})
  lu.assertEquals(a:sum(1):totable(), {5, 7, 12})
  lu.assertEquals(a:mean(2):totable(), {2, 6})
  lu.assertEquals(a:min(1):totable(), {1, 2, 3})
  lu.assertEquals(a:max(2):totable(), {3, 9})
  lu.assertEquals({a:argmax()}, {6, 9})
  lu.assertEquals(core.array({3, 1}, "int32"):max(), 3)
  lu.assertEquals(core.zeros(0):sum(), 0)
  fails("it is empty", core.zeros(0).mean, core.zeros(0))
  fails("an axis needs 2 dimensions", core.array{1}.sum, core.array{1}, 1)
  fails("a whole number from 1 to 2", a.sum, a, 3)
end

function TestArithmetic.testNaNIsNotLost()
  for _, values in ipairs{{nan, 1, 2}, {1, nan, 2}, {1, 2, nan}} do
    local a = core.array(values)
    lu.assertNaN(a:sum())
    lu.assertNaN(a:min())
    lu.assertNaN(a:max())
    lu.assertFalse((a:finite()))
  end
  lu.assertEquals({core.array{1, math.huge}:finite()}, {false, 2})
  lu.assertTrue(core.array{1, 2}:finite())
end

function TestArithmetic.testEqual()
  lu.assertTrue(core.array{1, 2} == core.array{1, 2})
  lu.assertFalse(core.array{1, 2} == core.array{1, 3})
  lu.assertFalse(core.array{1, 2} == core.array({1, 2}, "int32"))
  lu.assertFalse(core.array{1, 2} == core.array{{1, 2}})
end

function TestArithmetic.testText()
  lu.assertEquals(tostring(core.array{1, 2.5}), "float32 [2] 1 2.5")
  lu.assertEquals(tostring(core.array({{1}, {2}}, "int32")), "int32 [2][1]\n 1\n 2")
  lu.assertStrContains(tostring(core.zeros{20, 20}), " ...")
  lu.assertEquals(tostring(core.array{nan}), "float32 [1] nan")
end

function TestArithmetic.testRmse()
  lu.assertAlmostEquals(lstm.rmse(core.array{1, 2}, core.array{1, 4}), math.sqrt(2), 1e-6)
end

local TestGather = {}

function TestGather.testStreams()
  local x, y = core.zeros({2, 2}, "int32"), core.zeros({2, 2}, "int32")
  core.gather_streams(core.range(0, 6), core.array({0, 3}, "int32"), 2, x, y)
  lu.assertEquals(x:totable(), {{0, 3}, {1, 4}})
  lu.assertEquals(y:totable(), {{1, 4}, {2, 5}})
  fails("start 4 is out of range", core.gather_streams, core.range(0, 6), core.array({0, 4}, "int32"), 2, x, y)
  fails("x: shape [3][2] expected, got [2][2]", core.gather_streams, core.range(0, 6), core.array({0, 1}, "int32"), 3,
    x, y)
end

function TestGather.testWindows()
  local source = core.array{{1, 10}, {2, 20}, {3, 30}, {4, 40}}
  local x, y = core.zeros{2, 1, 2}, core.zeros{1, 1}
  local shape, target = {look_back = 2, ahead = 1}, core.array({2}, "int32")
  core.gather_windows(shape, source, core.array({1}, "int32"), nil, target, x, y)
  lu.assertEquals(x:totable(), {{{2, 20}}, {{3, 30}}})
  lu.assertEquals(y:totable(), {{40}})
  fails("start 2 is out of range", core.gather_windows, shape, source, core.array({2}, "int32"), nil, target, x, y)
  fails("y: shape [1][2] expected", core.gather_windows, shape, source, core.array({0}, "int32"), nil, nil, x, y)
end

function TestGather.testSequencesThereAndBack()
  local source = core.range(0, 12):reshape{3, 2, 2} + 0
  local part, whole = core.zeros{2, 2, 2}, core.zeros{3, 2, 2}
  core.gather(source, core.array({2, 0}, "int32"), part)
  lu.assertEquals(part:totable(), {{{8, 9}, {0, 1}}, {{10, 11}, {2, 3}}})
  core.scatter(part, 1, whole)
  lu.assertEquals(whole:totable(), {{{0, 0}, {0, 0}}, {{8, 9}, {10, 11}}, {{0, 1}, {2, 3}}})
  fails("index 3 is out of range", core.gather, source, core.array({3, 0}, "int32"), part)
  fails("sizes of source and out", core.gather, source, core.array({0}, "int32"), part)
  fails("sizes of part and whole", core.scatter, part, 2, whole)
end

local TestNumbers = {}

function TestNumbers.testRng()
  local a, b = core.rng(7), core.rng(7)
  for _ = 1, 10 do
    local u, i = a:uniform(), a:index(5)
    lu.assertTrue(u >= 0 and u < 1 and i >= 1 and i <= 5)
    lu.assertEquals({u, i}, {b:uniform(), b:index(5)})
  end
  local seed, counter = a:state()
  local c = core.rng(seed, counter)
  lu.assertEquals(a:uniform(), c:uniform())
  local order = core.rng(1):shuffle(core.range(0, 50)):totable()
  lu.assertNotEquals(order, core.range(0, 50):totable())
  table.sort(order)
  lu.assertEquals(order, core.range(0, 50):totable())
  fails("a seed must be a whole number", core.rng, 1.5)
  fails("a whole number from 1", a.index, a, 0)
end

function TestNumbers.testSample()
  local p, rng, counts = core.array{0.5, 0, 0.5}, core.rng(3), {0, 0, 0}
  for _ = 1, 200 do
    local i = core.sample(p, 1, rng)
    counts[i] = counts[i] + 1
  end
  lu.assertEquals(counts[2], 0)
  lu.assertTrue(counts[1] > 60 and counts[3] > 60)
  lu.assertEquals(core.sample(core.array{0.1, 0.8, 0.1}, 0, rng), 2)
  fails("no probability is positive", core.sample, core.array{0, 0}, 1, rng)
  fails("must not be negative", core.sample, p, -1, rng)
end

function TestNumbers.testHash()
  lu.assertEquals(core.hash "", "cbf29ce484222325")              -- the published values of FNV-1a
  lu.assertEquals(core.hash "a", "af63dc4c8601ec8c")
  lu.assertEquals(core.hash(core.frombytes("abcd")), core.hash "abcd")
end

function TestNumbers.testEncode()
  local letters = core.dictionary("bytes", {"A", "Z"})
  lu.assertEquals(letters:encode(nil, "AZA"):totable(), {0, 1, 0})
  lu.assertEquals(letters:encode(nil, "AZ", true):kind(), "uint8")
  lu.assertEquals({letters:encode(nil, "A\200")}, {nil, 2, "\200", false})
  lu.assertEquals(#letters:encode(nil, ""), 0)
end

local TestFiles = {}

function TestFiles.testThereAndBack()
  local path = os.tmpname()
  local text = ("\0\1\255line\r\n"):rep(10000)
  lu.assertTrue(lstm.writefile(path, text))
  lu.assertEquals(lstm.readfile(path), text)
  lu.assertTrue(lstm.writefile(path, ""))
  lu.assertEquals(lstm.readfile(path), "")
  os.remove(path)
end

function TestFiles.testFaults()
  lu.assertEquals({lstm.readfile "/nonexistent"}, {nil, "cannot read /nonexistent: No such file or directory", "io"})
  lu.assertEquals({lstm.readfile "/tmp"}, {nil, "cannot read /tmp: Is a directory", "io"})
  lu.assertEquals(lstm.folder "host/lua/../../examples/gesture/love", {"conf.lua", "main.lua", "strokes.lua"})
  lu.assertEquals({lstm.folder "/nonexistent"}, {nil, "cannot read /nonexistent: No such file or directory", "io"})
  lu.assertStrContains(select(2, lstm.folder "lstm.h"), "cannot read lstm.h: Not a directory")
  lu.assertErrorMsgContains("folder: the path", lstm.folder)
  lu.assertEquals({lstm.writefile("/nonexistent/x", "a")},
    {nil, "cannot write /nonexistent/x: No such file or directory", "io"})
  lu.assertEquals({lstm.writefile("/tmp", "a")}, {nil, "cannot write /tmp: Is a directory", "io"})
  local _, message = lstm.writefile("/dev/full", "a")
  if core.exists "/dev/full" then lu.assertEquals(message, "cannot write /dev/full: No space left on device") end
  lu.assertFalse(core.exists "/nonexistent")
end

os.exit(lu.LuaUnit.new():runSuiteByInstances({
  {"TestMaking", TestMaking}, {"TestElements", TestElements}, {"TestArithmetic", TestArithmetic},
  {"TestGather", TestGather}, {"TestNumbers", TestNumbers}, {"TestFiles", TestFiles},
}), true)
