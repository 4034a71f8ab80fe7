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
  lu.assertEquals(assert(lstm.load(out)).meta.column, "Temp")
end

function TestForecast.testResumeIsTheSameRun()
  local half = path()
  local expected = run("scripts/forecast.lua " .. csv .. quick)
  run("scripts/forecast.lua " .. csv .. quick .. "--epochs 1 --checkpoint " .. half)
  local got, err = run("scripts/forecast.lua " .. csv .. " --resume " .. half .. " --epochs 2 --verbose 0")
  lu.assertEquals(err, "")
  lu.assertEquals(got, expected)
end

function TestForecast.testFailures()
  local bad = with("Date,Temp\na,1\nb,2\nc,hot\n", ".csv")
  check_failure("scripts/forecast.lua " .. bad, bad .. ':4: column "Temp": "hot" is not a number')
  check_failure("scripts/forecast.lua " .. csv .. " --column temp", 'unknown column "temp", did you mean "Temp"?')
  check_failure("scripts/forecast.lua " .. with("a,b\n1,2\n"), "2 columns of numbers (a, b): say which one")
  check_failure("scripts/forecast.lua " .. with("a\n1\n2\n3\n"), "too few")
  check_failure("scripts/forecast.lua no/such/file.csv", "cannot read no/such/file.csv")
  check_failure("scripts/forecast.lua " .. with(""), "is empty")
  check_failure("scripts/forecast.lua " .. csv .. " --epoch 3", "did you mean --epochs?", 2)
  check_failure("scripts/forecast.lua " .. csv .. " --test 0.9999", "too few for --test 0.9999: 0 of them")
  check_failure("scripts/forecast.lua " .. csv .. " --val 0.9999", "too few for --val 0.9999: 0 of them")
  check_failure("scripts/forecast.lua " .. with("a\n1\n2\n3\n") .. " --ahead 200", "too few for --ahead 200")
  check_failure("scripts/forecast.lua " .. with("a,b\nx,1\ny,\n"),
    'column "b": the value is missing (--missing interpolate or --missing drop accepts that)')
  check_failure("scripts/forecast.lua " .. csv .. " --plot tests", "--plot tests is a folder")
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
  lu.assertStrContains(assert(lstm.readfile(svg)), "the last 400 of 730 test rows")
  local few = with("day,T\n" .. ("x,10\n"):rep(12))
  out, err = run("scripts/forecast.lua " .. few .. " --column T --load " .. model)
  lu.assertStrMatches(out, "next value of Temp: %d+%.%d+\n")
  lu.assertStrContains(err, "12 rows, too few to test the model on")
  check_failure("scripts/forecast.lua " .. with("T\n1\n2\n") .. " --column T --load " .. model, "2 rows, too few")
  check_failure(load .. " --epochs 3", "--epochs has no effect with --load")
  check_failure(load .. " --look-back 9", "--look-back 9 conflicts with --look-back 10, which " .. model)
  check_failure("scripts/forecast.lua " .. csv .. " --resume " .. model, "is a model, not a checkpoint of a run")
end

function TestForecast.testResumeWithNothingToDo()
  local saved = path()
  run("scripts/forecast.lua " .. csv .. quick .. "--checkpoint " .. saved)
  local bytes = lstm.readfile(saved)
  local again = "scripts/forecast.lua " .. csv .. " --verbose 0 --resume " .. saved
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

programs.finish{TestForecast = TestForecast}
