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
  lu.assertEquals(numbers("a,b\r1,2\r3,4\r"), {{1, 2}, {3, 4}})
  lu.assertEquals(numbers('a\n1\n\n""\n3\n', {missing = "interpolate"}), {{1}, {2}, {3}})
  lu.assertEquals(message("a\r1\r2\rx\r"), 't.csv:4: column "a": "x" is not a number')
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

-- What takes a time that grows with the square of the columns would take minutes.
function TestReading.testManyColumns()
  local names, ones = {}, {}
  for j = 1, 60000 do names[j], ones[j] = "c" .. j, "1" end
  local row = table.concat(ones, ",") .. "\n"
  local rows = assert(parse(table.concat(names, ",") .. "\n" .. row .. row))
  lu.assertEquals({#rows, rows.width, rows.columns[60000], rows.data:sum()}, {2, 60000, "c60000", 120000})
end

local TestMissing = {}

function TestMissing.testErrorIsTheDefault()
  lu.assertEquals(message("a,b\n1,2\n,3\n"),
    't.csv:3: column "a": the value is missing (missing = "interpolate", "fill" or "drop" accepts that)')
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
  lu.assertStrContains(message("a;b\n1.5;2\n1,5;2\n"),
    '"1,5" is not a number (the decimal sign must be a point, or say decimal = ",")')
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

local TestDates = {}

local function parts(text, what) return assert(parse("d\n" .. text .. "\n", {dates = {d = what}})).data[1]:totable() end

function TestDates.testParts()
  lu.assertEquals(parts("1970-01-01", "days"), {0})
  lu.assertEquals(parts("2000-03-01", "days"), {11017})
  lu.assertEquals(parts("1969-12-31", "days"), {-1})
  lu.assertEquals(parts("1981-02-03T06:30:15", {"year", "month", "day", "weekday", "yearday", "hour", "seconds"}),
    {1981, 2, 3, 2, 34, core.array{6.5 + 15 / 3600}[1], 23415})
  lu.assertEquals(parts("1970-01-02 12:00", "days"), {1.5})
  lu.assertEquals(parts("2024-12-31", "yearday"), {366})
  lu.assertEquals(parts("2023-01-01", "weekday"), {7})
end

function TestDates.testForms()
  for _, form in ipairs{"1981-01-31", "19810131", "1981/1/31", "1981.01.31", "31.1.1981", "31/01/1981", "1/31/1981",
    "31-Jan-1981", "31 January 1981", "Jan 31 1981", "January 31, 1981", "1981-01-31T00:00:00Z", " 1981-Jan-31 ",
    "1981-01-31 00:00:00.000+02:00"} do
    lu.assertEquals(parts('"' .. form .. '"', "days"), {4048}, form)
  end
  lu.assertEquals(parts("1981-01", "days"), {4018})
  lu.assertEquals(parts("3/4/2020", {"month dmy", "day mdy"}), {4, 4})
end

function TestDates.testAgreesWithTheSystem()
  for days = -30000, 30000, 997 do
    local text = os.date("!%Y-%m-%d", days * 86400)
    lu.assertEquals(parts(text, {"days", "yearday"}), {days, tonumber(os.date("!%j", days * 86400))})
  end
end

function TestDates.testPlaces()
  local text = "t,d,a\nx,1981-01-31,5\ny,1981-02-01,6\n"
  local rows = assert(parse(text, {dates = {d = {"month", "day"}}}))
  lu.assertEquals({rows.columns, rows.data:totable()}, {{"d.month", "d.day", "a"}, {{1, 31, 5}, {2, 1, 6}}})
  lu.assertEquals(assert(parse(text, {columns = {"a"}, dates = {d = "month"}})).columns, {"a", "d"})
  lu.assertEquals(assert(parse(text, {columns = {"d", "a"}, dates = {d = "month"}})).columns, {"d", "a"})
end

function TestDates.testRefused()
  for _, form in ipairs{"31.2.1981", "1981-13-01", "hot", "1981-01-31 25:00", "1981-01-31x", "-5", "1981-02-29"} do
    lu.assertEquals(message("d\n" .. form .. "\n", {dates = {d = "days"}}),
      ('t.csv:2: column "d": "%s" is not a date'):format(form))
  end
  lu.assertEquals(message("d\n3/4/2020\n", {dates = {d = "days"}}),
    't.csv:2: column "d": "3/4/2020" has two readings: name the order, as in "days dmy" or "days mdy"')
end

local TestText = {}

function TestText.testColumns()
  local rows = assert(parse('name,v,"no te"\n Ann ,1,"say ""a"", b"\n"",2,\nBob,3,x\n', {text = {"name", "no te"}}))
  lu.assertEquals(rows.columns, {"v"})
  lu.assertEquals(rows:texts "name", {"Ann", "", "Bob"})
  lu.assertEquals(rows:text("no te", 1), 'say "a", b')
  lu.assertEquals(rows:slice(2, 3):texts "name", {"", "Bob"})
  lu.assertEquals(rows:pick{3, 1}:texts "name", {"Bob", "Ann"})
  lu.assertEquals(rows:derive("w", function(r) return r:column "v" end):text("name", 3), "Bob")
end

function TestText.testDroppedRows()
  local rows = assert(parse("name,v\na,1\nb,\nc,3\n", {text = {"name"}, missing = "drop"}))
  lu.assertEquals(rows:texts "name", {"a", "c"})
end

function TestText.testTextOnly()
  local rows = assert(parse("name\nAnn\nBob\n", {text = {"name"}}))
  lu.assertEquals({#rows, rows.width, rows:texts "name"}, {2, 0, {"Ann", "Bob"}})
end

local TestMore = {}

function TestMore.testFill()
  lu.assertEquals(numbers("a,b\n,1\nna,2\n3,\n", {missing = "fill"}), {{0, 1}, {0, 2}, {3, 0}})
  lu.assertEquals(numbers("a,b\n,1\n2,2\n", {missing = "fill", fill = -1}), {{-1, 1}, {2, 2}})
end

function TestMore.testDecimalComma()
  lu.assertEquals(numbers("a;b\n1,5;-0,25\n", {decimal = ","}), {{1.5, -0.25}})
  lu.assertEquals(numbers("Datum;Temp\n31.12.2020;1,5\n1.1.2021;-2\n", {dates = {Datum = "day"}}), {{31, 1.5}, {1, -2}})
  lu.assertEquals(numbers("1,5\t2\n3\t4,5\n"), {{1.5, 2}, {3, 4.5}})
  lu.assertEquals(numbers("a;b\n1.5;2\n"), {{1.5, 2}})
  lu.assertStrContains(message("a;b\n1,5;2\n1.5;2\n", {decimal = ","}),
    '"1.5" is not a number (the decimal sign must be a comma)')
end

function TestMore.testExactNumbers()
  local rng, lines, want = core.rng(5), {"a"}, {}
  for i = 1, 2000 do
    local exponent = math.floor(rng:uniform() * 70) - 36
    lines[i + 1] = ("%s%.9ge%d"):format(i % 2 == 0 and "-" or "", rng:uniform() + 0.1, exponent)
    want[i] = {core.array{tonumber(lines[i + 1])}[1]}
  end
  lu.assertEquals(numbers(table.concat(lines, "\n")), want)
  lu.assertEquals(numbers("a\n123456789012345678901234567890\n0." .. ("0"):rep(44) .. "1\n1e-99\n"),
    {{core.array{123456789012345678901234567890}[1]}, {core.array{1e-45}[1]},
    {0}})
end

-- A file is read in pieces; a string in one.
function TestMore.testPieces()
  local rng, lines = core.rng(9), {"name,a,b"}
  for i = 2, 40000 do
    local name = ("x"):rep(rng:index(9))
    if i % 3 == 0 then name = '"' .. name .. ',""\n"' end
    if i % 5000 == 0 then name = '"' .. ("long\n"):rep(100000) .. '"' end
    lines[i] = ("%s,%d,%.3f"):format(name, i, rng:uniform())
  end
  local text, path = table.concat(lines, "\r\n"), os.tmpname()
  assert(core.writefile(path, text))
  local a, b = assert(parse(text, {text = {"name"}})), assert(csv(path, {text = {"name"}}))
  assert(core.writefile(path, text .. "\nx,bad,1\n"))
  local _, why = csv(path)
  os.remove(path)
  lu.assertTrue(a.data == b.data)
  lu.assertEquals(#b, 39999)
  for i = 1, 39999, 7 do lu.assertTrue(a:text("name", i) == b:text("name", i)) end
  local _, newlines = text:gsub("\n", "")
  lu.assertEquals(why, ('%s:%d: column "a": "bad" is not a number'):format(path, newlines + 2))
end

-- Neither the text nor the numbers are in Lua's heap.
function TestMore.testHeap()
  local path, line = os.tmpname(), ("%d,2.5,3,4,5,6,7,8\n"):format(123456)
  assert(core.writefile(path, line:rep(100000)))
  collectgarbage()
  local before = collectgarbage "count"
  local rows = assert(csv(path))
  local after = collectgarbage "count"
  os.remove(path)
  lu.assertEquals(#rows, 100000)
  lu.assertTrue(after - before < 100, ("%.0f KB"):format(after - before))
end

-- No bytes do harm.
function TestMore.testAnyBytes()
  local rng, pieces = core.rng(3), {'"', ",", "\n", "\r", "1", "a", ";", "\0", "\255", " ", "-", "e", ".", '""', "\t"}
  for _ = 1, 3000 do
    local text = {}
    for i = 1, rng:index(40) do text[i] = pieces[rng:index(#pieces)] end
    local rows, why, status = csv.parse(table.concat(text), {missing = "drop"})
    if rows then lu.assertTrue(#rows > 0 and rows.width > 0) end
    if not rows then lu.assertEquals({type(why), status}, {"string", "format"}) end
  end
end

local TestWrongUses = {}

local function raises(sentence, ...)
  local ok, why = pcall(...)
  lu.assertFalse(ok)
  lu.assertEquals((why:gsub("^[^\n]-:%d+: ", "")), sentence)
end

function TestWrongUses.testCalls()
  raises('csv: unknown option "colums", did you mean "columns"? (there are columns, dates, decimal, fill, header, '
    .. 'missing, separator and text)', csv, "x.csv", {colums = {"a"}})
  raises("csv: the path must be a string, got nil", csv)
  raises("csv: options must be a table, as in {name = value}; got \"Temp\" (a string)", csv, "x.csv", "Temp")
  raises('csv: option "columns" must be a table, got "Temp" (a string)', csv, "x.csv", {columns = "Temp"})
  raises("csv: columns must be a list of names; number 1 is 7", csv, "x.csv", {columns = {7}})
  raises('csv: option "missing" must be one of "error", "interpolate", "drop" and "fill", got "skip" (a string)', csv,
    "x.csv", {missing = "skip"})
  raises('csv: option "separator" must be one of ",", ";", "\t" and "|", got "::" (a string)', csv, "x.csv",
    {separator = "::"})
  raises('csv: fill belongs to missing = "fill"', csv, "x.csv", {fill = 0})
  raises('csv: dates: unknown part of a date "moth", did you mean "month"? (there are days, year, month, day, weekday, '
    .. 'yearday, hour and seconds)', csv, "x.csv", {dates = {Date = "moth"}})
  raises('csv: dates must name columns, as in dates = {Date = "days"}', csv, "x.csv", {dates = {"Date"}})
  raises('csv: dates: Date = 5: a part such as "days" or "month" is needed, perhaps with "dmy" or "mdy" behind it', csv,
    "x.csv", {dates = {Date = 5}})
  raises("csv.parse: the text must be a string, got nil", csv.parse)
  local rows = assert(parse("n,v\na,1\n", {text = {"n"}}))
  raises('text: unknown column of text "m", did you mean "n"? (there is n)', rows.text, rows, "m", 1)
  raises("text: row 2, there are 1 to 1", rows.text, rows, "n", 2)
  rows = assert(parse("v\n1\n"))
  raises('texts: no column was read as text: lstm.csv(path, {text = {"Name"}})', rows.texts, rows, "n")
end

function TestWrongUses.testFiles()
  local function fails(sentence, text, opts) lu.assertEquals(message(text, opts), sentence) end
  fails('t.csv: unknown column "Tmep", did you mean "Temp"? (there are Date and Temp)', "Date,Temp\nx,1\n",
    {columns = {"Tmep"}})
  fails('t.csv: unknown column "Dat", did you mean "Date"? (there are Date and Temp)', "Date,Temp\nx,1\n",
    {dates = {Dat = "days"}})
  fails('t.csv: unknown column "Nam" (there are Date and Temp)', "Date,Temp\nx,1\n", {text = {"Nam"}})
  fails('t.csv: two columns are called "a"', "a,a\n1,2\n")
  fails('t.csv: two columns are called "a"', "a,a,v\nx,y,2\n", {text = {"1", "2"}})
  fails("t.csv:1: there are column names, but no rows", "Date,Temp\n")
  fails("t.csv: the file is empty", "")
  fails('t.csv:1: a quote is opened and never closed', '"a,b\n1,2\n')
end

-- A file that begins and cannot be read on must not look like one that ends.
function TestWrongUses.testReadErrors()
  local path = "/proc/self/mem"
  local f = io.open(path)
  if not f or f:read(1) then lu.skip("no file here that cannot be read") end
  f:close()
  local wanted = {"cannot read /proc/self/mem: Input/output error", "io"}
  lu.assertEquals({select(2, csv(path))}, wanted)
  lu.assertEquals({select(2, core.readfile(path))}, wanted)
  lu.assertEquals({select(2, require "lstm".text(path))}, wanted)
end

os.exit(lu.LuaUnit.new():runSuiteByInstances{
  {"TestReading", TestReading},
  {"TestMissing", TestMissing},
  {"TestErrors", TestErrors}, {"TestDates", TestDates}, {"TestText", TestText}, {"TestMore", TestMore},
  {"TestWrongUses", TestWrongUses},
}, true)
