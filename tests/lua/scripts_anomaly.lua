-- scripts/anomaly.lua as a user runs it: what it prints, what it leaves behind, the sentence for what goes wrong.
local lu = require "luaunit"
local lstm = require "lstm"
local programs = dofile "tests/lua/support/programs.lua"
local path, with, run, check_failure = programs.path, programs.with, programs.run, programs.check_failure

local script = "scripts/anomaly.lua "
local quick = " --hidden 12 --look-back 8 --epochs 20 --verbose 0 "

-- A wave with a jump in these rows, and a column that tells which they are.
local function stream(faults, count)
  local lines, bad = {"time,level,fault"}, {}
  for _, row in ipairs(faults or {}) do bad[row] = true end
  for i = 1, count or 600 do
    local value = math.sin(i / 5) + 0.05 * math.sin(i * i) + (bad[i] and 2 or 0)
    local hour, minute = math.floor(i / 60) % 24, i % 60
    lines[i + 1] = ("2024-01-01T%02d:%02d:00,%.4f,%d"):format(hour, minute, value, bad[i] and 1 or 0)
  end
  return with(table.concat(lines, "\n") .. "\n", ".csv")
end

local TestAnomaly = {}

function TestAnomaly.testExample()
  local svg = path(".svg")
  local out, err = run(script .. "--plot " .. svg)
  lu.assertStrContains(err, "a made-up example: 3000 rows, ")
  local precision, recall = out:match("\nprecision (%S+) recall (%S+) F1 %S+\n$")
  lu.assertTrue(tonumber(precision) >= 0.8 and tonumber(recall) >= 0.8, out)
  lu.assertStrMatches(out, ".*\n%d+ of 1500 rows stand out, in %d+ places\n.*")
  local picture = assert(lstm.readfile(svg))
  for _, text in ipairs{">measured<", ">forecast<", ">score<", ">limit "} do lu.assertStrContains(picture, text) end
end

function TestAnomaly.testStream()
  local file, model = stream{400, 401, 500}, path()
  local out, err, code = run(script .. file .. quick .. "--truth fault --out " .. model)
  lu.assertEquals({err, code}, {"", 0})
  lu.assertStrContains(out, "row 400")
  lu.assertStrContains(out, "rows 400 (2024-01-01 06:40) to ")
  lu.assertStrContains(out, ", row 500: level 1.44")
  lu.assertStrMatches(out, ".*\n2 of 2 faults found, 0 of 2 places are none\nprecision 1.000 recall 1.000 F1 1.000\n")
  -- the saved model scores all rows of another file
  local load = script .. "--load " .. model .. " --verbose 0 "
  check_failure(load .. stream({300}, 350) .. " --columns level", "--columns has no effect with --load")
  out, err = run(load .. stream({300}, 350))
  lu.assertEquals(err, "")
  lu.assertStrContains(out, "row")
  lu.assertStrMatches(out, "rows? 300.*%d+ of 342 rows stand out, in 1 place\n")
  check_failure(load .. with("x\n1\n2\n", ".csv"), 'unknown column "level"')
  check_failure(load .. with("level\n1\n2\n", ".csv"), "has 2 rows, too few: the model looks at the last 8")
end

function TestAnomaly.testRules()
  local file = stream({450, 520}, 600)
  local function places(options)
    return tonumber(run(script .. file .. quick .. "--columns level " .. options):match("in (%d+) places?\n"))
  end
  lu.assertEquals(places "", 2)
  lu.assertEquals(places "--factor 1000", 0)
  lu.assertTrue(places "--rule quantile --quantile 0.99" > 2)
  local out = run(script .. file .. quick .. "--columns level --show 1")
  lu.assertEquals(select(2, out:gsub("score", "")), 1)
end

function TestAnomaly.testResumeIsTheSameRun()
  local file, half = stream{400}, path()
  local options = script .. file .. " --hidden 6 --look-back 8 --verbose 0 "
  local whole = run(options .. "--epochs 4")
  run(options .. "--epochs 2 --checkpoint " .. half)
  lu.assertEquals((run(script .. file .. " --verbose 0 --epochs 4 --resume " .. half)), whole)
  check_failure(script .. file .. " --verbose 0 --epochs 2 --resume " .. half, "is already at epoch 4; --epochs counts")
end

function TestAnomaly.testHelp()
  programs.check_help(script, {"columns", "truth", "learn", "val", "rule", "factor", "quantile", "look-back", "hidden",
    "epochs", "plot", "seed", "out", "load", "checkpoint", "resume"})
end

local TestWrongUses = {}

function TestWrongUses.testFiles()
  check_failure(script .. "no/such/file.csv", "anomaly.lua: cannot read no/such/file.csv: No such file or directory")
  check_failure(script .. ".", "cannot read .: Is a directory")
  check_failure(script .. with(""), "is empty")
  check_failure(script .. with("a,b\nx,y\n"), "no column of numbers")
  check_failure(script .. with("a\n1\n2\nx\n"), 'column "a": "x" is not a number')
  check_failure(script .. stream({}, 40), "has 40 rows, too few: --learn 0.5 and --val 0.2 leave 16 to learn")
  check_failure(script .. stream() .. " --plot tests", "--plot tests is a folder")
end

function TestWrongUses.testOptions()
  check_failure(script .. stream() .. " --verbose 0 --columns levle", 'unknown column "levle", did you mean "level"?')
  check_failure(script .. stream() .. " --verbose 0 --truth falt", 'unknown column "falt", did you mean "fault"?')
  check_failure(script .. "--truth fault", "--truth names a column of FILE, which is missing", 2)
  check_failure(script .. "--rule mean", "--rule must be one of", 2)
  check_failure(script .. "--factr 3", "did you mean --factor?", 2)
  check_failure(script .. "--load no/such.model", "cannot read no/such.model")
  local other = path()
  assert(lstm.model{input = 2, hidden = 3, seed = 1}:save(other))
  check_failure(script .. "--load " .. other,
    other .. " was not made by lstm anomaly: use it in Lua, with lstm.load and model:forecast")
end

programs.finish{TestAnomaly = TestAnomaly, TestWrongUses = TestWrongUses}
