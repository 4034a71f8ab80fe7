-- Reading CSV: what RFC 4180 allows, what people really have, and the sentence for what is wrong.
local lu = require "luaunit"
local csv = require "lstm.csv"
local core = require "lstm.core"

local function parse(text, opts) return csv.parse(text, opts, "t.csv") end

-- The table's numbers, or a failure of the test.
local function numbers(text, opts) return assert(parse(text, opts)).data:totable() end

local function message(text, opts)
  local rows, why, status = parse(text, opts)
  lu.assertNil(rows)
  lu.assertEquals(status, "format")
  return why
end

local TestReading = {}

function TestReading.testPlain()
  local rows = assert(parse("a,b\n1,2\n3,4\n"))
  lu.assertEquals(rows.kind, "table")
  lu.assertEquals(rows.columns, {"a", "b"})
  lu.assertEquals(rows.width, 2)
  lu.assertEquals(#rows, 2)
  lu.assertEquals(rows.data:totable(), {{1, 2}, {3, 4}})
end

function TestReading.testLineEnds()
  lu.assertEquals(numbers("a,b\r\n1,2\r\n3,4"), {{1, 2}, {3, 4}})
  lu.assertEquals(numbers("a\n\n1\n\n2\n\n"), {{1}, {2}})
end

function TestReading.testQuotes()
  lu.assertEquals(numbers('"a","b"\n"1",2\n'), {{1, 2}})
  local rows = assert(parse('"say ""a"", twice\nand again",b\n1,2\n'))
  lu.assertEquals(rows.columns[1], 'say "a", twice\nand again')
  lu.assertEquals(numbers('d,v\n"x, y",1\n"",2\n'), {{1}, {2}})
end

function TestReading.testSeparators()
  lu.assertEquals(numbers("a;b\n1;2\n"), {{1, 2}})
  lu.assertEquals(numbers("a\tb\n1\t2\n"), {{1, 2}})
  lu.assertEquals(numbers('"a,b,c";d\n1;2\n'), {{1, 2}})
  lu.assertEquals(numbers("a,b;c\n1,2\n", {separator = ",", columns = {"a"}}), {{1}})
end

function TestReading.testByteOrderMark()
  lu.assertEquals(parse("\239\187\191a\n1\n").columns, {"a"})
end

function TestReading.testNumbers()
  lu.assertEquals(numbers("a\n 1.5 \n-2\n+3\n.5\n5.\n1e2\n-25E-2\n"), {{1.5}, {-2}, {3}, {0.5}, {5}, {100}, {-0.25}})
end

function TestReading.testHeader()
  local rows = assert(parse("1,2\n3,4\n"))
  lu.assertEquals(rows.columns, {"1", "2"})
  lu.assertEquals(#rows, 2)
  lu.assertEquals(#assert(parse("1,2\n3,4\n", {header = true})), 1)
  lu.assertEquals(#assert(parse("1,2\n", {header = false})), 1)
end

function TestReading.testColumnsByNumber()
  local rows = assert(parse("Date,Temp\nx,1\n", {columns = {"2"}}))
  lu.assertEquals({rows.columns, rows.header}, {{"Temp"}, true})
  lu.assertEquals(numbers("2,b\n1,3\n", {columns = {"2"}, header = true}), {{1}})         -- a name comes first
  lu.assertFalse(assert(parse("1,2\n3,4\n")).header)
  lu.assertStrContains(message("Date,Temp\nx,1\n", {columns = {"3"}}), 'unknown column "3"')
end

function TestReading.testColumns()
  lu.assertEquals(parse("Date,Temp\n1981-01-01,20.7\n").columns, {"Temp"})
  lu.assertEquals(numbers("a,b,c\n1,2,3\n", {columns = {"c", "a"}}), {{3, 1}})
end

local TestMissing = {}

function TestMissing.testErrorIsTheDefault()
  lu.assertEquals(message("a,b\n1,2\n,3\n"),
    't.csv:3: column "a": the value is missing (missing = "interpolate" or "drop" accepts that)')
end

function TestMissing.testInterpolate()
  local text = "a,b\n,1\n2,1\nNA,1\n?,1\n5,1\nnan,1\n"
  lu.assertEquals(numbers(text, {columns = {"a"}, missing = "interpolate"}), {{2}, {2}, {3}, {4}, {5}, {5}})
end

function TestMissing.testDrop()
  lu.assertEquals(numbers("a,b\n1,\n2,2\n,3\n4,4\n", {missing = "drop"}), {{2, 2}, {4, 4}})
end

function TestMissing.testNothingLeft()
  lu.assertStrContains(message("a,b\n,1\n,2\n", {columns = {"a"}, missing = "drop"}), 'column "a" has no values')
  lu.assertStrContains(message("a,b\n1,\n,2\n", {missing = "drop"}), "every row misses a value")
end

local TestErrors = {}

function TestErrors.testAWordInANumberColumn()
  lu.assertEquals(message("Date,Temp\nx,1\ny,hot\n"), 't.csv:3: column "Temp": "hot" is not a number')
  lu.assertStrContains(message("a\n1\n0x10\n"), '"0x10" is not a number')
  lu.assertStrContains(message("a\n1\ninf\n"), '"inf" is not a number')
  lu.assertStrContains(message("a\n1\n1e\n"), '"1e" is not a number')
  lu.assertStrContains(message("a\n1\n1e39\n"), '"1e39" is not a number')
  lu.assertStrContains(message("a;b\n1;2\n1,5;2\n"), '"1,5" is not a number (the decimal sign must be a point)')
end

function TestErrors.testTheLineIsThatOfTheFile()
  lu.assertStrContains(message('a,b\n"x\ny",1\n\nz,bad\n', {columns = {"b"}}), "t.csv:5:")
end

function TestErrors.testColumnThatIsNotThere()
  lu.assertEquals(message("Date,Temp\nx,1\n", {columns = {"temp"}}),
    't.csv: unknown column "temp", did you mean "Temp"? (there are Date and Temp)')
  lu.assertStrContains(message("a,a\n1,2\n"), 'two columns are called "a"')
end

function TestErrors.testBrokenFiles()
  lu.assertEquals(message(" \n"), "t.csv: the file is empty")
  lu.assertStrContains(message("a,b\n"), "no rows")
  lu.assertEquals(message("a,b\n1,2\n3\n"), "t.csv:3: 1 cell, but there are 2 columns")
  lu.assertEquals(message("a\n1\n2,3\n"), "t.csv:3: 2 cells, but there is 1 column")
  lu.assertEquals(message('a,b\n1,"2\n3,4\n'), "t.csv:2: a quote is opened and never closed")
  lu.assertEquals(message('a,b\n1,"2"x\n'), 't.csv:2: text follows the closing quote of "2"')
  lu.assertEquals(message("a\nx\n"), "t.csv: no column of numbers")
end

function TestErrors.testFiles()
  local rows, why = csv("no/such/file.csv")
  lu.assertNil(rows)
  lu.assertStrContains(why, "cannot read no/such/file.csv")
  rows, why = csv(".")
  lu.assertNil(rows)
  lu.assertStrContains(why, "irectory")
end

function TestErrors.testOptions()
  lu.assertErrorMsgContains('did you mean "columns"', parse, "a\n1\n", {colums = {"a"}})
  lu.assertErrorMsgContains("one of", parse, "a\n1\n", {missing = "skip"})
  lu.assertErrorMsgContains("number 1 is 7", parse, "a\n1\n", {columns = {7}})
end

function TestErrors.testFromDisk()
  local path = os.tmpname()
  assert(core.writefile(path, "a\n1\nbad\n"))
  local rows, why = csv(path)
  os.remove(path)
  lu.assertNil(rows)
  lu.assertEquals(why, path .. ':3: column "a": "bad" is not a number')
end

os.exit(lu.LuaUnit.new():runSuiteByInstances{
  {"TestReading", TestReading},
  {"TestMissing", TestMissing},
  {"TestErrors", TestErrors},
}, true)
