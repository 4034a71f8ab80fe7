-- scripts/search.lua as a user runs it: what it prints, what it leaves behind, the sentence for what goes wrong.
local lu = require "luaunit"
local lstm = require "lstm"
local programs = dofile "tests/lua/support/programs.lua"
local path, with, run, check_failure = programs.path, programs.with, programs.run, programs.check_failure

local script = "scripts/search.lua "

local function wave(count)
  local lines = {"time,level,other"}
  for i = 1, count do lines[i + 1] = ("x%02d,%.3f,%d"):format(i % 28 + 1, math.sin(i / 3), i % 5) end
  return with(table.concat(lines, "\n") .. "\n", ".csv")
end

-- Rising and falling lines as a .ts file.
local function slopes()
  local lines = {"@problemName slopes", "@classLabel true up down", "@data"}
  for i = 1, 40 do
    local values = {}
    for t = 1, 5 + i % 4 do values[t] = ("%g"):format((i % 2 == 0 and t or -t) * (1 + i % 3) + i % 7) end
    lines[#lines + 1] = table.concat(values, ",") .. ":" .. (i % 2 == 0 and "up" or "down")
  end
  return with(table.concat(lines, "\n") .. "\n", ".ts")
end

local TestSearch = {}

function TestSearch.testSeries()
  local data, model, file, svg = wave(240), path(), path(".csv"), path(".svg")
  local command = script .. data .. " --target level --epochs 4 --batch 8 --folds 2 --verbose 0 --try lr=1e-5,1e-2" ..
    " --try look_back=4,8 --file " .. file
  local out, err, code = run(command .. " --out " .. model .. " --plot " .. svg)
  lu.assertEquals({err, code}, {"", 0})
  lu.assertStrMatches(out, "trial +val_loss +seconds +look_back +lr\n.*\nbest: look_back [48], lr 0.01\n" ..
    "test RMSE %S+ persistence %S+\n")
  lu.assertEquals(select(2, out:gsub("%+%-", "")), 4)
  lu.assertStrContains(assert(lstm.readfile(svg)), ">measured<")
  lu.assertEquals(select(2, assert(lstm.readfile(file)):gsub("\n", "")), 5)
  -- the best is a model that forecast.lua takes
  local again = run(("scripts/forecast.lua %s --verbose 0 --load %s"):format(data, model))
  lu.assertEquals(again:match("test RMSE.*"), out:match("test RMSE.*"))
  -- a search that was ended goes on: its trials are read, not run again
  local lines = assert(lstm.readfile(file))
  assert(lstm.writefile(file, lines:match("^[^\n]*\n[^\n]*\n[^\n]*\n")))
  lu.assertEquals((run(command)):gsub(" +%d%.%d ", ""), (out:gsub(" +%d%.%d ", "")))
  check_failure(command .. " --epochs 5", "cannot go on with " .. file)
end

function TestSearch.testSteps()
  local data, model, svg = wave(240), path(), path(".svg")
  local options = " --columns level,other --target level --epochs 2 --folds 2 --verbose 0 --try lr=1e-3,1e-2 --out "
  local out, err, code = run(script .. data .. options .. model .. " --steps 3 --plot " .. svg)
  lu.assertEquals({err, code}, {"", 0})
  lu.assertStrContains(assert(lstm.readfile(svg)), ">measured<")
  local again = run(("scripts/forecast.lua %s --verbose 0 --load %s --next 3"):format(data, model))
  lu.assertEquals(again:match("test RMSE.*"), out:match("test RMSE.*"))
  lu.assertStrContains(again, "next 3 rows of level:\n")
  check_failure(("scripts/forecast.lua %s --verbose 0 --load %s --next 4"):format(data, model), "--next 4 goes " ..
    "beyond the 3 rows that the model forecasts at once, and it does not forecast all of the columns that it reads " ..
    "(level, other): train with --steps 4, or with --target level,other\n")
  check_failure(script .. data .. options .. model .. " --steps 60", "--steps 60 needs as many rows in the share " ..
    "--test 0.2, which has 48\n")
  check_failure(script .. slopes() .. " --steps 2", "--steps is for a series, not for classes\n", 2)
end

function TestSearch.testClasses()
  local data, model = slopes(), path()
  local out, err = run(script .. data .. " --try hidden=4..16 --try cell=lstm,gru --random 3 --folds 2 --epochs 30" ..
    " --lr 0.02 --batch 8 --monitor accuracy --verbose 0 --out " .. model)
  lu.assertEquals(err, "")
  lu.assertStrMatches(out, "trial +accuracy +seconds +cell +hidden\n.*\nbest: cell %a+, hidden %d+\n" ..
    "test accuracy %d+.%d %% F1 %S+\n")
  lu.assertTrue(tonumber(out:match("test accuracy (%S+)")) > 80, out)
  lu.assertStrMatches((run(("scripts/classify.lua --load %s %s"):format(model, data))), ".*test accuracy %d+.%d %%.*")
end

function TestSearch.testHelp()
  programs.check_help(script, {"try", "random", "folds", "monitor", "file", "test", "target", "columns", "look-back",
    "hidden", "layers", "cell", "dropout", "epochs", "batch", "lr", "plot", "seed", "out"})
end

local TestWrongUses = {}

function TestWrongUses.testSpace()
  local data = wave(100)
  check_failure(script .. data .. " --try lr", "--try lr: NAME=A,B or NAME=A..B is needed", 2)
  check_failure(script .. data .. " --try hiden=3", '--try hiden=3: unknown option "hiden", did you mean "hidden"?', 2)
  check_failure(script .. data .. " --try hidden=3.5", "hidden=3.5: hidden must be a whole number of at least 1", 2)
  check_failure(script .. data .. " --try lr=fast", "--try lr=fast: lr must be a number of at least 0", 2)
  check_failure(script .. data .. " --try cell=rnn", "--try cell=rnn: cell must be one of lstm, gru", 2)
  check_failure(script .. data .. " --try bidirectional=maybe", "bidirectional must be true or false", 2)
  check_failure(script .. data .. " --try hidden=9..3", "a range goes from a smaller to a larger number", 2)
  check_failure(script .. data .. " --try lr=1 --try lr=2", "--try names lr twice", 2)
  check_failure(script .. data .. " --try lr=1 --lr 2", "--lr and --try lr=1: give one of them", 2)
  check_failure(script .. data .. " --trial lr=1", "unknown option --trial", 2)
end

function TestWrongUses.testData()
  check_failure(script, "DATA is missing", 2)
  check_failure(script .. "no/such.csv", "search.lua: cannot read no/such.csv: No such file or directory")
  check_failure(script .. "no/such", "cannot read no/such: No such file or directory")
  check_failure(script .. "lstm.h", "lstm.h is neither a folder of classes nor a .ts file")
  check_failure(script .. with("", ".csv"), "is empty")
  check_failure(script .. wave(40) .. " --target level", "has 40 rows, too few for a search")
  check_failure(script .. wave(100) .. " --target levle", 'unknown column "levle", did you mean "level"?')
  check_failure(script .. wave(100) .. " --monitor f1", "--monitor f1 is for classes, not for a series", 2)
  check_failure(script .. slopes() .. " --try look_back=3", "look_back is for a series, not for classes", 2)
  check_failure(script .. slopes() .. " --folds 20", 'sequences of "down", too few for --folds 20 and a test')
  check_failure(script .. wave(100) .. " --out tests", "--out tests is a folder")
end

programs.finish{TestSearch = TestSearch, TestWrongUses = TestWrongUses}
