-- scripts/forecast.lua as a user runs it: what it prints, what it leaves behind, the sentence for what goes wrong.
local lu = require "luaunit"
local lstm = require "lstm"
local programs = dofile "tests/lua/support/programs.lua"

local run, path, with, check_failure = programs.run, programs.path, programs.with, programs.check_failure

local csv = "examples/data/daily-min-temperatures.csv"

local TestForecast = {}

local quick = " --hidden 4 --epochs 2 --verbose 0 "

function TestForecast.testLine()
  local out, err, code = run("scripts/forecast.lua " .. csv .. quick)
  lu.assertEquals({err, code}, {"", 0})
  lu.assertStrMatches(out, "next value of Temp: %d+%.%d+\ntest RMSE %d%.%d+ persistence 2%.481\n")
end

function TestForecast.testWindowsOfTheRecipe()
  local _, err = run("scripts/forecast.lua " .. csv .. " --hidden 4 --epochs 1")
  lu.assertStrContains(err, "3650 rows of Temp; 2910 windows to learn from, 730 to test on")
end

function TestForecast.testPlotsAndModel()
  local forecast, loss, out = path(".svg"), path(".svg"), path(".safetensors")
  local _, err = run("scripts/forecast.lua " .. csv .. quick .. "--val 0.1 --column Temp --plot " .. forecast ..
    " --loss-plot " .. loss .. " --out " .. out)
  lu.assertEquals(err, "")
  lu.assertStrContains(assert(lstm.readfile(forecast)), ">measured<")
  lu.assertStrContains(assert(lstm.readfile(loss)), ">validation<")
  lu.assertEquals(assert(lstm.load(out)).pipeline.targets, {"Temp"})
end

function TestForecast.testResumeIsTheSameRun()
  local half = path()
  local expected = run("scripts/forecast.lua " .. csv .. quick)
  run("scripts/forecast.lua " .. csv .. quick .. "--epochs 1 --checkpoint " .. half)
  local got, err = run("scripts/forecast.lua " .. csv .. " --resume " .. half .. " --epochs 2 --verbose 0")
  lu.assertEquals(err, "")
  lu.assertEquals(got, expected)
end

function TestForecast.testHeaderAndColumns()
  local lines = {}
  for i = 1, 60 do lines[i] = ("1981-%d,%d,%d"):format(i, i % 7, 90 + i) end
  local bare = with(table.concat(lines, "\n"))
  local small_run = "scripts/forecast.lua " .. bare .. " --hidden 2 --epochs 1 --column "
  local out, err = run(small_run .. "3 --no-header")
  lu.assertStrContains(out, "next value of column 3: ")
  lu.assertStrContains(err, "60 rows of 3")
  err = select(2, run(small_run .. "3"))
  lu.assertStrContains(err, '"91" in the first line of ' .. bare .. " was taken for a name; --no-header takes")
  lu.assertStrContains(err, "59 rows of 91")
  lu.assertStrContains(select(2, run("scripts/forecast.lua " .. csv .. " --hidden 2 --epochs 1 --column 2")),
    "3650 rows of Temp")
end

function TestForecast.testLoad()
  local model, svg = path(), path(".svg")
  local make = "scripts/forecast.lua " .. csv .. quick .. "--out " .. model
  local said = run(make)
  local load = "scripts/forecast.lua " .. csv .. " --load " .. model
  local out, err, code = run(load .. " --verbose 0 --plot " .. svg)
  lu.assertEquals({out, err, code}, {said, "", 0})
  lu.assertStrContains(assert(lstm.readfile(svg)), "the last 400 of 730")
  local few = with("day,T\n" .. ("x,10\n"):rep(12))
  out, err = run("scripts/forecast.lua " .. few .. " --column T --load " .. model)
  lu.assertStrMatches(out, "next value of Temp: %d+%.%d+\n")
  lu.assertStrContains(err, ('column "T" is taken for "Temp", which %s has learned\n'):format(model))
  check_failure(("scripts/forecast.lua %s --load %s"):format(few, model), ('%s has no column "Temp", which %s has ' ..
    "learned: --target NAME tells which one stands for it\n"):format(few, model))
  local both = with("Temp,Rain\n" .. ("1,3\n2,5\n"):rep(20), ".csv")
  for _, other in ipairs{"Rain", "2"} do
    check_failure(("scripts/forecast.lua %s --target %s --load %s"):format(both, other, model), ('--target %s: %s ' ..
      'forecasts "Temp", which %s has, too: leave --target out, or learn without --load\n'):format(other, model, both))
  end
  lu.assertEquals((run(load .. " --verbose 0 --target 2")), said)
  lu.assertStrContains(err, "12 rows, too few to test the model on")
  check_failure("scripts/forecast.lua " .. with("T\n1\n2\n") .. " --column T --verbose 0 --load " .. model,
    "2 rows, too few")
  check_failure(load .. " --epochs 3", "--epochs has no effect with --load")
  check_failure(load .. " --look-back 9", "--look-back 9 conflicts with --look-back 10, which " .. model)
  check_failure("scripts/forecast.lua " .. csv .. " --resume " .. model, "is a model, not a checkpoint of a run")
end

function TestForecast.testResumeWithNothingToDo()
  local saved = path()
  run("scripts/forecast.lua " .. csv .. quick .. "--checkpoint " .. saved)
  local bytes = lstm.readfile(saved)
  local again = "scripts/forecast.lua " .. csv .. " --verbose 0 --resume " .. saved
  local _, err = run(("scripts/forecast.lua %s --resume %s --epochs 3 --checkpoint %s"):format(csv, saved, path()))
  lu.assertStrMatches(err, ".*\nonly %S+ is written: it does not keep %-%-next, %-%-out, %-%-plot, %-%-loss%-plot, " ..
    "%-%-report, so give again what you want of them\n.*")
  _, err = run(("scripts/forecast.lua %s --resume %s --epochs 3 --next 2 --checkpoint %s"):format(csv, saved, path()))
  lu.assertNil(err:find("is written", 1, true))
  check_failure(again .. " --epochs 1", "is already at epoch 2; --epochs counts from the beginning, so 1 leaves")
  check_failure(again .. " --epochs 3 --hidden 5", "--hidden 5 conflicts with --hidden 4, which " .. saved)
  lu.assertTrue(lstm.readfile(saved) == bytes)
end

function TestForecast.testTellsWhatItMeans()
  local options = "scripts/forecast.lua " .. csv .. " --hidden 4 --epochs 1 "
  local _, err = run(options)
  lu.assertStrContains(err, "no better than persistence (repeating the last value): try --look-back")
  lu.assertStrContains(err, "kept: the weights of the last epoch, 1\n")
  lu.assertStrContains(err, "nothing will be saved")
  _, err = run(options .. "--lr 0.02 --epochs 4 --val 0.1")
  lu.assertStrMatches(err, ".*error is %d+ %% smaller than that of persistence %(repeating the last value%)\n")
  lu.assertStrMatches(err, ".*weights [^\n]*%d.*")
  err = select(2, run(options .. "--lr 0.1 --epochs 12"))                 -- its training loss goes up and down
  lu.assertNil(err:find("best weights"))
  lu.assertStrContains(err, "kept: the weights of the last epoch, 12\n")
end

-- The smallest and the largest x of the path of an SVG with this class.
local function span_of(svg, class)
  local low, high = math.huge, -math.huge
  for d in svg:gmatch('<path class="' .. class .. '" d="([^"]*)"') do
    if not d:find("h22$") then
      for word in d:gmatch("[ML]([%d.]+)") do
        local x = tonumber(word)
        low, high = math.min(low, x), math.max(high, x)
      end
    end
  end
  return low, high
end

-- All rows that come next are drawn, right of the last measured one, which is drawn, too.
function TestForecast.testPictureOfWhatComes()
  local svg = path(".svg")
  run("scripts/forecast.lua " .. csv .. quick .. "--steps 7 --plot " .. svg)
  local text = assert(lstm.readfile(svg))
  lu.assertStrContains(text, ">the next 7 rows</text>")
  lu.assertStrContains(text, "Temp: forecast 1 row ahead, and the next 7 rows, the last 105 of 730<")
  local _, measured = span_of(text, "s muted")
  local _, guessed = span_of(text, "s c1")
  local first, last = span_of(text, "s c3 dash")
  local row = (last - first) / 6
  lu.assertAlmostEquals(guessed, measured, 0.2)
  lu.assertAlmostEquals(first, measured + row, 0.3)
  run(("scripts/forecast.lua %s%s--next 7 --plot %s"):format(csv, quick, svg))
  lu.assertStrContains(assert(lstm.readfile(svg)), ">the next 7 rows</text>")
  local _, err = run("scripts/forecast.lua " .. csv .. " --hidden 4 --epochs 1 --next 7")
  lu.assertStrContains(err, "Temp: the last test rows and what comes next (--plot FILE.svg draws it)\n")
  lu.assertStrContains(err, " measured  o forecast  + the next 7 rows\n")
end

-- A CSV file of `count` rows; cells(i) gives the cells of row i.
local function table_of(header, count, cells, separator)
  local lines = {header}
  for i = 1, count do lines[#lines + 1] = table.concat({cells(i)}, separator or ",") end
  return with(table.concat(lines, "\n") .. "\n", ".csv")
end

-- Two columns of which the second follows the first two rows later.
local function pair(count)
  return table_of("lead;late", count, function(i)
    return ("%.3f"):format(math.sin(i * i)), ("%.3f"):format(math.sin((i - 2) * (i - 2)))
  end, ";")
end

function TestForecast.testSeveralColumns()
  local file, model = pair(300), path()
  local options = "scripts/forecast.lua " .. file .. " --look-back 3 --hidden 16 --epochs 60 --lr 0.01 --seed 2 "
  local out, err = run(options .. "--columns lead,late --target late --out " .. model)
  lu.assertStrContains(err, "300 rows of lead, late, to forecast late; 237 windows to learn from, 60 to test on")
  local rmse, naive = out:match("test RMSE (%S+) persistence (%S+)")
  lu.assertTrue(tonumber(rmse) < 0.3 * tonumber(naive), out)
  local load = "scripts/forecast.lua " .. file .. " --verbose 0 --load " .. model
  lu.assertEquals((run(load)), out)
  check_failure(load .. " --next 4", "--next 4 goes beyond the 1 row that the model forecasts at once")
  check_failure(load .. " --target lead", "--target lead conflicts with --target late, which the model was made with")
  check_failure("scripts/forecast.lua " .. csv .. " --load " .. model, 'unknown column "lead"')
  check_failure(load .. " --columns lead", "--columns has no effect with --load")
  check_failure(options .. "--columns lead,late --target late --next 4 --verbose 0", "forecast.lua: --next 4 goes " ..
    "beyond the 1 row that the model forecasts at once, and it does not forecast all of the columns that it reads " ..
    "(lead, late): train with --steps 4, or with --target lead,late\n")
  local svg = path(".svg")
  run(options .. "--epochs 2 --target lead,late --verbose 0 --plot " .. svg)
  err = select(2, run(options .. "--epochs 2 --target lead,late"))
  for _, name in ipairs{"lead", "late"} do
    lu.assertStrMatches(err, ".*\n" .. name .. ": the model[^\n]+ persistence %(repeating the last value%).*")
    lu.assertStrContains(assert(lstm.readfile(svg)), ">" .. name .. ": forecast 1 row ahead<")
  end
  out, err = run(options .. "--epochs 2 --next 70 --target lead")
  lu.assertStrContains(err, "how far off rows 2 to 70 are is unknown: the test part has 60 rows, too few to measure it")
  lu.assertNil(out:find("each from the forecasts", 1, true))
  out, err = run(options .. "--epochs 2")
  lu.assertStrContains(err, "has 2 columns of numbers (lead, late): forecasting lead from itself; --target NAME")
  lu.assertStrContains(out, "next value of lead: ")
  out = run(options .. "--epochs 2 --target lead,late --next 3 --verbose 0")
  lu.assertStrMatches(out, "next 3 rows of lead, late:\n  %+1  %S+  %S+\n  %+2  %S+  %S+\n  %+3  %S+  %S+\n" ..
    "rows 1 to 3 of lead, each from the forecasts before: RMSE %S+ persistence %S+ %(50 starts in the test part%)\n" ..
    "rows 1 to 3 of late, each [^\n]+\nlate: test RMSE %S+ persistence %S+\n" ..
    "test RMSE %S+ persistence %S+ of lead\n")
end

function TestForecast.testSeveralSteps()
  local model, svg = path(), path(".svg")
  local out, err = run(("scripts/forecast.lua %s%s--steps 5 --val 0.1 --out %s --plot %s"):format(csv, quick, model,
    svg))
  lu.assertEquals(err, "")
  lu.assertEquals(select(2, out:gsub("\n  %S+  %d+%.%d+", "")), 5)
  for _, text in ipairs{"next 5 rows of Temp:\n", "\nstep 1 of Temp: RMSE ", "\nstep 3 of Temp: ",
    "\nstep 4 of Temp: ", "\nstep 5 of Temp: "} do
    lu.assertStrContains(out, text)
  end
  lu.assertStrContains(assert(lstm.readfile(svg)), "</svg>")
  local page = path(".html")
  lu.assertEquals((run("scripts/forecast.lua " .. csv .. " --verbose 0 --load " .. model .. " --report " .. page)), out)
  lu.assertStrContains(assert(lstm.readfile(page)), "<pre>" .. out:gsub("\n$", "</pre>"))
  out = run("scripts/forecast.lua " .. csv .. " --verbose 0 --load " .. model .. " --next 12")
  lu.assertEquals(select(2, out:gsub("\n  %S+  %d+%.%d+", "")), 12)
  out = run("scripts/forecast.lua " .. csv .. quick .. "--ahead 3")
  lu.assertStrMatches(out, "value of Temp, 3 rows after the last: %S+\ntest RMSE .*")
end

function TestForecast.testZerosAndOnes()
  local file = table_of("door", 200, function(i) return i % 3 == 0 and 1 or 0 end)
  local out, err = run("scripts/forecast.lua " .. file .. " --look-back 4 --hidden 8 --epochs 40 --lr 0.02")
  lu.assertStrContains(err, "door has zeros and ones only: forecasting how likely a 1 is (--binary)")
  lu.assertStrMatches(out, "next value of door: %S+ %% likely 1\n" ..
    "test accuracy 100.0 %% F1 1.000 persistence %d+%.%d %%\n")
  err = select(2, run("scripts/forecast.lua " .. file .. " --hidden 2 --epochs 1 --next 5"))
  lu.assertStrContains(err, "how often rows 2 to 5 are right is not measured\n")
  check_failure("scripts/forecast.lua " .. csv .. " --binary", "--binary: column Temp must have zeros and ones")
  local model = path()
  local options = " --verbose 0 --binary --scale zscore --hidden 4 --epochs 2 --out "
  out = run("scripts/forecast.lua " .. file .. options .. model)
  lu.assertEquals((run("scripts/forecast.lua " .. file .. " --verbose 0 --load " .. model)), out)
end

function TestForecast.testTutorial()
  local svg = path(".svg")
  local out, err = run("scripts/forecast.lua --tutorial --epochs 5 --hidden 4 --verbose 0 --plot " .. svg)
  lu.assertEquals(err, "")
  lu.assertStrMatches(out, "epoch 2 loss %S+\nepoch 4 loss %S+\nnext value of sine: %S+\n" ..
    "test RMSE %S+ persistence %S+\n")
  lu.assertStrContains(assert(lstm.readfile(svg)), ">measured<")
  err = select(2, run("scripts/forecast.lua " .. csv .. " --tutorial --epochs 1 --plot " .. svg))
  lu.assertStrContains(err, "2910 windows to learn from, 730 to test on; 10451 parameters")
end

-- What a newcomer's file may look like.
function TestForecast.testRealFiles()
  local small_run = " --hidden 2 --epochs 1 --look-back 3"
  local gaps = table_of("id;when;price", 40, function(i) return i, "x" .. i, i % 9 == 5 and "" or i % 7 + 0.5 end, ";")
  local out, err = run("scripts/forecast.lua " .. gaps .. small_run)
  lu.assertStrContains(err, gaps .. ':6: column "price": the value is missing, as in 3 more rows: gaps are filled on ')
  lu.assertNil(err:find("columns of numbers"))                 -- id only counts rows
  lu.assertStrContains(err, "40 rows of price;")
  lu.assertStrContains(out, "next value of price: ")
  check_failure("scripts/forecast.lua " .. gaps .. small_run .. " --verbose 0 --missing error",
    'column "price": the value is missing (--missing interpolate or drop accepts that)')
  err = select(2, run("scripts/forecast.lua " .. gaps .. small_run .. " --missing drop"))
  lu.assertStrContains(err, "36 rows of price")
  local quoted = with("\239\187\191\"open, \"\"x\"\"\",Close\r\n" .. ("1,2\r\n2,4\r\n"):rep(20))
  err = select(2, run("scripts/forecast.lua " .. quoted .. small_run))
  lu.assertStrContains(err, "40 rows of Close")
end

-- Gaps are counted, and not told of where the file is refused.
function TestForecast.testGaps()
  local options = "--hidden 2 --epochs 1 --look-back 3"
  local function file_of(bad)
    return table_of("day,price", 40, function(i)
      return ("2024-03-%02d"):format(i), i == 35 and bad or (i == 3 or i == 9) and "" or i % 7
    end)
  end
  local file = file_of "6"
  local _, err = run(("scripts/forecast.lua %s %s"):format(file, options))
  lu.assertStrContains(err, file .. ':4: column "price": the value is missing, as in 1 more row: gaps are filled on ' ..
    "the straight line between their neighbours (--missing drop leaves such rows out, error refuses them)\n")
  lu.assertStrContains(err, " parameters, 1 epoch\n")
  file = file_of "hot"
  check_failure(("scripts/forecast.lua %s %s"):format(file, options), file .. ':36: column "price": "hot" is not a ')
end

function TestForecast.testFewRows()
  local out, err = run("scripts/forecast.lua " .. table_of("day,sales", 12, function(i) return i, i * 3 % 17 end) ..
    " --hidden 2 --epochs 1")
  lu.assertStrContains(err, "only 9 rows to learn from: --look-back 2\n")
  lu.assertStrContains(out, "next value of sales: ")
end

function TestForecast.testDates()
  -- the newest first, days before months, semicolons, decimal commas
  local file = table_of("Datum;Wert", 60, function(i)
    return ("%02d.%02d.2024"):format(30 - (i - 1) % 30, i <= 30 and 6 or 4), ("%d,5"):format(i % 7)
  end, ";")
  local svg = path(".svg")
  local out, err = run("scripts/forecast.lua " .. file .. " --hidden 2 --epochs 1 --next 2 --plot " .. svg)
  lu.assertStrContains(err, ('the newest row of %s comes first (column "Datum"): read from its end'):format(file))
  lu.assertStrMatches(out, "next 2 rows of Wert:\n  2024%-07%-01  %S+\n  2024%-07%-02  %S+\n.*")
  lu.assertStrContains(assert(lstm.readfile(svg)), "2024")
end

-- The days that follow: only where rows come at one pace; a month has no more days than it has.
function TestForecast.testDatesGoOn()
  local series = require "lstm.series"
  local function after(first, ...)
    local days, list = {first}, {}
    for i, gap in ipairs{...} do days[i + 1] = days[i] + gap end
    for i, day in ipairs(series.after(days, 3) or {}) do list[i] = series.date(day) end
    return table.concat(list, " ")
  end
  local day = 18444                                                  -- 2020-07-01
  lu.assertEquals(after(day, 31, 31, 30, 31), "2020-12-01 2021-01-01 2021-02-01")
  lu.assertEquals(after(day, 31, 31, 30, 61), "")                    -- November is missing
  lu.assertEquals(after(day + 29, 31, 31, 30, 31, 30), "2021-01-30 2021-02-28 2021-03-30")
  lu.assertEquals(after(day, 365, 365), "2023-07-01 2024-07-01 2025-07-01")
  lu.assertEquals(after(day, 7, 7, 7), "2020-07-29 2020-08-05 2020-08-12")
end

function TestForecast.testHelp()
  programs.check_help("scripts/forecast.lua", {"target", "columns", "binary", "missing", "look-back", "ahead", "steps",
    "next", "hidden", "layers", "dropout", "scale", "epochs", "batch", "lr", "clip", "test", "val", "tutorial", "plot",
    "patience", "seed", "out", "load", "checkpoint", "resume"})
end

local TestWrongUses = {}

function TestWrongUses.testFiles()
  local bad = with("Date,Temp\na,1\nb,2\nc,hot\n", ".csv")
  check_failure("scripts/forecast.lua " .. bad, bad .. ':4: column "Temp": "hot" is not a number')
  check_failure("scripts/forecast.lua no/such/file.csv", "forecast.lua: cannot read no/such/file.csv: No such file")
  check_failure("scripts/forecast.lua tests", "cannot read tests: Is a directory")
  check_failure("scripts/forecast.lua " .. with(""), "is empty")
  check_failure("scripts/forecast.lua " .. with("\n \n"), "is empty")
  check_failure("scripts/forecast.lua " .. with("a,b\nx,y\nz,w\n"), "no column of numbers")
  local diary = with("Dear diary,\ntoday I went out. It was fun.\nBye\n")
  check_failure("scripts/forecast.lua " .. diary,
    diary .. ": no column of numbers; it looks like a text, which lstm chars learns\n")
  local head = with("day,visitors\n")
  check_failure("scripts/forecast.lua " .. head,
    head .. " has a line of column names (day, visitors), but no rows below it\n")
  local noise = with(("\1\0\127\200x"):rep(50))
  check_failure("scripts/forecast.lua " .. noise, noise .. " is binary data, not a CSV file\n")
  check_failure("scripts/forecast.lua " .. with("a\n1\n2\n3\n"), "too few")
  check_failure("scripts/forecast.lua " .. csv .. " --plot tests", "--plot tests is a folder")
  check_failure("scripts/forecast.lua " .. csv .. " --load " .. with("nonsense"),
    "this is not a safetensors file but a text")
end

function TestWrongUses.testPipe()
  local pipe = io.popen(("cat %s | %s scripts/forecast.lua /dev/stdin 2>&1"):format(csv, programs.host))
  lu.assertEquals(pipe:read("a"), "forecast.lua: /dev/stdin is a pipe, which cannot be read twice: save what comes" ..
    " out of it in a file\n")
  pipe:close()
end

function TestWrongUses.testUtf16()
  local file = with("\255\254a\0\n\0001\0\n\0")
  check_failure("scripts/forecast.lua " .. file, file .. " is a text in UTF-16: save it as UTF-8\n")
  check_failure("train " .. file, file .. " is a text in UTF-16: save it as UTF-8 (see lstm --help)\n", 2)
  local noise = with(("\1\0\127\200x"):rep(50))
  check_failure("train " .. noise, noise .. " is binary data, not data to learn (see lstm --help)\n", 2)
end

-- Columns of dates and text, by name, by number and as one of several.
function TestWrongUses.testColumnsWithoutNumbers()
  local lines = {"day,shop,sold,rain"}
  for i = 1, 60 do lines[i + 1] = ("2024-%02d-%02d,north,%d,%d"):format(i % 2 + 1, i % 28 + 1, i % 7, i % 3) end
  local shop = with(table.concat(lines, "\n"), ".csv")
  local dates = shop .. ': column "day" has dates (2024-02-02), not numbers; columns of numbers: sold, rain\n'
  check_failure(("scripts/forecast.lua %s --target day"):format(shop), dates)
  check_failure(("scripts/forecast.lua %s --target 1"):format(shop), dates)
  check_failure(("scripts/anomaly.lua %s --columns day"):format(shop), dates)
  check_failure(("scripts/forecast.lua %s --columns sold,shop"):format(shop),
    shop .. ': column "shop" has text (north), not numbers; columns of numbers: sold, rain\n')
  local _, err, code = run(("scripts/forecast.lua %s --columns day,sold --epochs 1 --hidden 2"):format(shop))
  lu.assertEquals(code, 0)
  lu.assertStrContains(err, 'column "day" has dates, which say when and are not learned from: it is left out\n')
end

-- Models where data are meant, the other way round, and models of other commands.
function TestWrongUses.testSwapped()
  local model = path()
  assert(lstm.model{input = 1, hidden = 2, output = 1, meta = {chars = "x"}}:save(model))
  check_failure("scripts/forecast.lua " .. model,
    model .. " is a model, not a CSV file; programs take it with --load\n")
  check_failure(("scripts/forecast.lua %s --load %s"):format(model, csv),
    ("%s is no model, but %s is one: they are swapped\n"):format(csv, model))
  check_failure(("scripts/forecast.lua %s --load %s"):format(csv, model),
    model .. " is a model of lstm chars, not of lstm forecast\n")
  check_failure(("scripts/translate.lua --load %s --text x"):format(model),
    model .. " is a model of lstm chars, not of lstm translate\n")
  check_failure(("scripts/forecast.lua %s --load %s"):format(csv, csv),
    csv .. ": this is not a safetensors file but a text; a model is a file that --out saved\n")
end

function TestWrongUses.testOptions()
  check_failure(("scripts/forecast.lua %s --target daily ice cream"):format(csv),
    '"ice" is one argument too many; what has spaces needs quotes: --target "daily ice cream"\n', 2)
  check_failure("scripts/forecast.lua", "FILE is missing", 2)
  check_failure("scripts/forecast.lua " .. csv .. " --column temp", 'unknown column "temp", did you mean "Temp"?')
  check_failure("scripts/forecast.lua " .. csv .. " --columns Temp,Rain --target Temp", 'unknown column "Rain"')
  check_failure("scripts/forecast.lua " .. csv .. " --epoch 3", "did you mean --epochs?", 2)
  check_failure("scripts/forecast.lua " .. csv .. " --test 0.9999", "too few for --test 0.9999: 0 of them")
  check_failure("scripts/forecast.lua " .. csv .. " --val 0.9999", "too few for --val 0.9999: 0 of them")
  check_failure("scripts/forecast.lua " .. with("a\n1\n2\n3\n") .. " --ahead 200", "too few for --ahead 200")
  check_failure("scripts/forecast.lua " .. with("a\n1\n2\n3\n") .. " --steps 200", "too few for --steps 200")
end

-- Nothing is written over what is read, nor twice.
function TestWrongUses.testSameFile()
  local text = "T\n" .. ("1\n2\n"):rep(30)
  local file, model, svg = with(text, ".csv"), path(".safetensors"), path(".svg")
  local link = path(".csv")
  os.execute(("ln -s %s %s"):format(file, link))
  for _, option in ipairs{"out", "plot", "loss-plot", "checkpoint", "report"} do
    check_failure(("scripts/forecast.lua %s --%s %s"):format(file, option, link),
      ("forecast.lua: --%s %s would be written over the file that is read: give it another name\n"):format(option,
      link), 2)
  end
  lu.assertEquals(lstm.readfile(file), text)
  check_failure(("scripts/forecast.lua %s --out %s --plot %s"):format(file, svg, svg:gsub("([^/]+)$", "./%1")),
    ("--out %s and --plot %s are the same file: give each its own\n"):format(svg, (svg:gsub("([^/]+)$", "./%1"))), 2)
  local _, err = run("scripts/forecast.lua " .. file .. quick .. " --checkpoint " .. model)
  lu.assertEquals(err, "")
  local bytes = lstm.readfile(model)
  check_failure(("scripts/forecast.lua %s --load %s --plot %s"):format(file, model, model),
    ("--plot %s would be written over --load %s: give it another name\n"):format(model, model), 2)
  check_failure(("scripts/forecast.lua %s --resume %s --out %s"):format(file, model, model),
    ("--out %s would be written over --resume %s: give it another name\n"):format(model, model), 2)
  check_failure(("scripts/info.lua %s --plot %s"):format(model, model),
    ("--plot %s would be written over the file that is read: give it another name\n"):format(model), 2)
  check_failure(("scripts/search.lua %s --file %s"):format(file, file),
    ("--file %s would be written over the file that is read: give it another name\n"):format(file), 2)
  lu.assertEquals(lstm.readfile(model), bytes)
  local again = ("scripts/forecast.lua %s --resume %s --checkpoint %s --epochs 3 --verbose 0"):format(file, model,
    model)
  lu.assertEquals({select(2, run(again))}, {"", 0})
end

function TestWrongUses.testFileOfFolder()
  local folder = path()
  os.execute(("mkdir -p %s/a && echo x > %s/b.txt && echo y > %s/a/c.txt"):format(folder, folder, folder))
  for _, name in ipairs{"b.txt", "a/c.txt"} do
    check_failure(("scripts/classify.lua %s/ --out %s/%s"):format(folder, folder, name), ("--out %s/%s would be " ..
      "written over a file of %s/, which is read: give it another name\n"):format(folder, name, folder), 2)
    lu.assertStrMatches(lstm.readfile(folder .. "/" .. name), "[xy]\n")
  end
  os.execute("rm -r " .. folder)
end

function TestWrongUses.testKindOfPicture()
  local make = "scripts/forecast.lua " .. csv
  check_failure(make .. " --plot a/x.png", "--plot a/x.png: it is written as SVG: name it a/x.svg\n", 2)
  check_failure(make .. " --loss-plot x.PDF", "--loss-plot x.PDF: it is written as SVG: name it x.svg\n", 2)
  check_failure(make .. " --report x.pdf", "--report x.pdf: it is written as HTML: name it x.html\n", 2)
end

programs.finish{TestForecast = TestForecast, TestWrongUses = TestWrongUses}
