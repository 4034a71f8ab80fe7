-- The progress line on a terminal that the test plays, and in a log.
local lu = require "luaunit"
local progress = require "lstm.progress"

-- A sink with a clock that the test moves.
local function sink(fields)
  local s = {tty = true, color = false, utf8 = false, time = 0, width = 80, out = {}}
  for k, v in pairs(fields or {}) do s[k] = v end
  s.write = function(text) s.out[#s.out + 1] = text end
  s.now = function() return s.time end
  s.columns = function() return s.width end
  s.text = function() return table.concat(s.out) end
  return s
end

-- Updates 1..n, dt seconds apart.
local function run(s, n, dt, opts)
  opts = opts or {}
  opts.sink, opts.total = s, n
  local bar = progress.new(opts)
  for i = 1, n do
    s.time = s.time + dt
    bar:update(i, {loss = 2 - i / n, val_loss = 1.5})
  end
  bar:close()
  return bar
end

local TestTerminal = {}

function TestTerminal.testAtMostTenUpdatesASecond()
  local s = sink()
  run(s, 1000, 0.001)
  lu.assertTrue(#s.out <= 13, #s.out)
end

function TestTerminal.testShowsWhatMatters()
  local s = sink{width = 100}
  run(s, 100, 0.1, {title = "training"})
  local text = s.text()
  lu.assertStrContains(text, "training")
  lu.assertStrContains(text, "100/100 steps")
  lu.assertStrContains(text, "loss 1.0000  val 1.5000")
  lu.assertStrContains(text, "10/s")
  lu.assertStrContains(text, "100%")
  lu.assertEquals(text:sub(-1), "\n")
end

function TestTerminal.testNeverWiderThanTheTerminal()
  for width = 20, 140, 7 do
    local s = sink{width = width, utf8 = width % 2 == 0}
    run(s, 30, 0.2, {title = "training"})
    for _, line in ipairs(s.out) do
      local _, continuation = line:gsub("[\128-\191]", "")
      lu.assertTrue(#line:gsub("[\r\n]", "") - continuation < width, line)
    end
  end
end

function TestTerminal.testLossesStayLongest()
  local s = sink()
  local bar = progress.new{sink = s, total = 2000, title = "training"}
  for i = 1, 3 do
    s.time = i
    bar:update(i * 400, {epoch = 12, norm = 1, loss = 1.25, val_loss = 1.5})
  end
  lu.assertStrContains(s.out[3], "loss 1.2500  val 1.5000")
  lu.assertNil(s.out[3]:find("norm"))
  s.width = 66
  s.time = 4
  bar:update(1600)
  lu.assertStrContains(s.out[4], "loss 1.2500  val 1.5000")
  lu.assertNil(s.out[4]:find("training"))
end

function TestTerminal.testRatesAreWhole()
  local s = sink()
  local bar = progress.new{sink = s, total = 10000}
  s.time = 1
  bar:update(1250)
  lu.assertStrContains(s.out[1], ", 1250/s]")
end

function TestTerminal.testEta()
  local s = sink()
  local bar = progress.new{sink = s, total = 100}
  for i = 1, 50 do
    s.time = i
    bar:update(i)
  end
  lu.assertStrContains(s.out[#s.out], "[0:50<0:50, 1/s]")
end

function TestTerminal.testAShorterLineCoversTheLongerOne()
  local s = sink()
  local bar = progress.new{sink = s}
  bar:update(1, {loss = 1, longname = 123.25})
  s.time = 1
  bar.values = {}
  bar:update(2)
  lu.assertTrue(#s.out[2] >= #s.out[1])
end

function TestTerminal.testColorAndAscii()
  local s = sink{color = true, utf8 = true}
  run(s, 3, 0.2)
  lu.assertStrContains(s.text(), "\27[36m")
  s = sink()
  run(s, 3, 0.2)
  lu.assertNil(s.text():find("[\128-\255\27]"))
  lu.assertStrContains(s.text(), "###")
end

function TestTerminal.testResumedRun()
  local s = sink()
  local bar = progress.new{sink = s, total = 100, start = 90}
  s.time = 1
  bar:update(91)
  lu.assertStrContains(s.out[1], "<0:09, 1/s")
end

function TestTerminal.testBudgetFollowsTheClock()
  local s = sink()
  local bar = progress.new{sink = s, budget = 60}
  s.time = 30
  bar:update(12345)
  lu.assertStrContains(s.out[1], " 50% ")
  lu.assertStrContains(s.out[1], "[0:30<0:30")
  lu.assertEquals(bar:elapsed(), 30)
  lu.assertFalse(bar:over())
  s.time = 60
  lu.assertTrue(bar:over())
  lu.assertFalse(progress.new{sink = s}:over())
end

function TestTerminal.testSayStandsAboveTheLine()
  local s = sink()
  local bar = progress.new{sink = s, total = 2}
  bar:update(1)
  bar:say("saved")
  lu.assertStrMatches(s.out[2], "\rsaved *\n")
end

local TestLog = {}

function TestLog.testNoControlCharacters()
  local s = sink{tty = false}
  run(s, 1000, 0.1, {title = "t"})
  lu.assertNil(s.text():gsub("\n", ""):find("%c"))
  lu.assertEquals(#s.out, 4)              -- 30, 60, 90 seconds and the end
end

function TestLog.testALineForEachReport()
  local s = sink{tty = false}
  local bar = progress.new{sink = s, total = 4}
  for i = 1, 4 do
    s.time = 2 * i
    bar:report(i, {loss = 1, val_loss = 2})
  end
  bar:close()
  lu.assertEquals(#s.out, 4)
  lu.assertStrContains(s.out[4], "4/4 steps")
end

function TestLog.testFastReportsAreThinned()
  local s = sink{tty = false}
  local bar = progress.new{sink = s, total = 100}
  for i = 1, 100 do
    s.time = s.time + 0.01
    bar:report(i, {loss = 1})
  end
  bar:close()
  lu.assertTrue(#s.out <= 3)
  lu.assertStrContains(s.out[#s.out], "100/100")
end

function TestLog.testVerbose()
  local s = sink{tty = false}
  local bar = run(s, 100, 1, {verbose = 0})
  bar:report(100)
  bar:say("x")
  lu.assertEquals(#s.out, 0)
  s = sink()
  bar = progress.new{sink = s, total = 10, verbose = 2}
  for i = 1, 10 do bar:report(i, {loss = i}) end
  local _, lines = s.text():gsub("\n", "")
  lu.assertEquals(lines, 10)
end

local TestUse = {}

function TestUse.testIterator()
  local core = package.loaded["lstm.core"]
  package.loaded["lstm.core"] = {isatty = function() return false end, columns = function() return 80 end,
    now = function() return 0 end, eprint = function() end}
  local seen = {}
  for i in progress(3, "counting") do seen[#seen + 1] = i end
  package.loaded["lstm.core"] = core
  lu.assertEquals(seen, {1, 2, 3})
end

function TestUse.testUnknownOption()
  lu.assertErrorMsgContains('did you mean "title"', progress.new, {titel = "x"})
end

function TestUse.testNan()
  local s = sink()
  progress.new{sink = s, total = 2}:update(1, {loss = 0 / 0})
  lu.assertStrContains(s.text(), "loss nan")
end

-- What a narrow terminal leaves out: first the rate, then the times; the losses stay.
function TestTerminal.testNarrow()
  local function last_line(width)
    local s = sink{width = width}
    local bar = run(s, 100, 0.1, {title = "training"})
    return (bar:line(s.time, width - 1, true):gsub(" +$", ""))
  end
  lu.assertEquals(last_line(62), "100% 100/100 steps [0:10, 10/s]  loss 1.0000  val 1.5000")
  lu.assertEquals(last_line(50), "100% 100/100 [0:10]  loss 1.0000  val 1.5000")
  lu.assertEquals(last_line(38), "100% 100/100  loss 1.0000  val 1.5000")
end

-- A small curve of the losses, where there is room, and only as wide as that.
function TestTerminal.testCurve()
  local lstm = require "lstm"
  if not pcall(function() return assert(lstm.spark) end) then lu.skip "there is no lstm.spark" end
  local function last_line(fields)
    local s = sink(fields)
    local bar = progress.new{sink = s, total = 30}
    for i = 1, 30 do
      s.time = s.time + 1
      bar:report(i, {loss = math.exp(-i)})
    end
    bar:close()
    return s.out[#s.out - 1]
  end
  local drawn = lstm.spark{12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1}
  lu.assertStrContains(last_line{utf8 = true, width = 120}, drawn)
  lu.assertNotStrContains(last_line{utf8 = true, width = 45}, drawn)
  lu.assertNotStrContains(last_line{utf8 = false, width = 120}, drawn)
end

local TestWrongUses = {}

function TestWrongUses.testSentences()
  local function sees(expected, f, ...)
    local arguments = {...}
    local ok, message = pcall(function() local result = f(table.unpack(arguments)) return result end)
    lu.assertFalse(ok)
    lu.assertStrMatches(message, "^tests/lua/progress.lua:%d+: .*$")
    lu.assertEquals((message:gsub("^[^:]*:%d+: ", "")), expected)
  end
  local known = "(there are budget, sink, start, title, total, unit and verbose)"
  sees('progress: unknown option "totl", did you mean "total"? ' .. known, progress.new, {totl = 3})
  sees('progress: option "total" must be a number of at least 0, got -1', progress.new, {total = -1})
  sees('progress: option "title" must be a string, got 3', progress.new, {title = 3})
  sees('progress: option "verbose" must be a whole number from 0 to 2, got 3', progress.new, {verbose = 3})
  sees('progress: option "budget" must be a number above 0, got 0', progress.new, {budget = 0})
  sees('progress: option "unit" must be a string, got true', progress.new, {unit = true})
  sees('progress: option "start" must be a number, got "0" (a string)', progress.new, {start = "0"})
  sees("progress: options must be a table, as in {name = value}; got 100", progress.new, 100)
  local bar = progress.new{verbose = 0}
  sees('progress: there is no method "updat"; did you mean "update"?', function() bar:updat(1) end)
  sees("progress: how many are done must be a number, got nil", bar.update, bar)
  sees('progress: how many are done must be a number, got "3" (a string)', bar.report, bar, "3")
end

os.exit(lu.LuaUnit.new():runSuiteByInstances{
  {"TestTerminal", TestTerminal},
  {"TestLog", TestLog},
  {"TestUse", TestUse}, {"TestWrongUses", TestWrongUses},
}, true)
