-- scripts/classify.lua as a user runs it: what it prints, what it leaves behind, the sentence for what goes wrong.
local lu = require "luaunit"
local lstm = require "lstm"
local programs = dofile "tests/lua/support/programs.lua"
local path, with, run, check_failure = programs.path, programs.with, programs.run, programs.check_failure

local script = "scripts/classify.lua "
local quick = " --hidden 16 --epochs 20 --lr 0.01 --verbose 0 "

-- A folder of files {name = text}; names may have a folder before them.
local function folder(files)
  local top = path()
  os.execute("mkdir " .. top)
  local made = {}
  for name, text in pairs(files) do
    local inner = name:match("^(.*)/")
    if inner and not made[inner] then os.execute("mkdir " .. top .. "/" .. inner) end
    if inner then made[inner] = true end
    assert(lstm.writefile(programs.remove_later(top .. "/" .. name), text))
  end
  for inner in pairs(made) do programs.remove_later(top .. "/" .. inner) end
  programs.remove_later(top)
  return top
end

-- Words that end in a vowel, and words that do not.
local function words()
  local open, shut = {}, {}
  for i = 1, 60 do
    local stem = ("bcdfg"):sub(i % 5 + 1, i % 5 + 1) .. ("aeiou"):sub(i % 4 + 1, i % 4 + 1) ..
      ("lmnrs"):sub(i % 3 + 1, i % 3 + 1) .. ("t"):rep(i % 7)
    open[i], shut[i] = stem .. "o" .. ("i"):rep(i % 2), stem .. "x" .. ("k"):rep(i % 2)
  end
  return folder{["Open.txt"] = table.concat(open, "\n") .. "\n\n  \n", ["Shut.txt"] = table.concat(shut, "\r\n"),
    [".hidden"] = "x", ["notes.md"] = "not a class"}
end

-- Rising and falling lines of two columns, a file each.
local function slopes(first)
  local files = {}
  for i = 1, 12 do
    for name, sign in pairs{rising = 1, falling = -1} do
      local lines = {"a,b"}
      for t = 1, 4 + i % 5 do lines[t + 1] = ("%g,%g"):format(sign * t * (1 + i % 3) + i, 100 + t % 2) end
      files[name .. "/" .. i .. ".csv"] = table.concat(lines, "\n")
    end
  end
  for name, text in pairs(first or {}) do files[name] = text end
  return folder(files)
end

local TestClassify = {}

function TestClassify.testTexts()
  local data, model, svg = words(), path(), path(".svg")
  local out, err, code = run(script .. data .. quick .. "--out " .. model .. " --plot " .. svg)
  lu.assertEquals({err, code}, {"", 0})
  lu.assertStrContains(out, "confusion: 2 classes, ")
  lu.assertStrMatches(out, ".*\ntest accuracy 100.0 %% F1 1.000\n")
  lu.assertStrContains(assert(lstm.readfile(svg)), "</svg>")
  out, err = run(script .. "--load " .. model .. " --text calo")
  lu.assertEquals(err, "")
  lu.assertStrMatches(out, "Open %d+%.%d %%, Shut %d+%.%d %%\n")
  lu.assertEquals((run(script .. "--load " .. model .. " --top 1 --text 'calo#'")):match("^%a+ "), "Open ")
  out = run(script .. "--load " .. model .. " " .. with("cax\n\nbalo\n") .. " --top 1")
  lu.assertStrMatches(out, "cax\tShut %d+%.%d %%\nbalo\tOpen %d+%.%d %%\n")
  out = run(script .. "--load " .. model .. " " .. data)
  lu.assertStrMatches(out, ".*accuracy 1, F1 1.*test accuracy 100.0 %% F1 1.000\n")
  check_failure(script .. "--load " .. model .. " --text '###'", 'no character of "###" is one that the model has')
  check_failure(script .. "--load " .. model .. " --text ' '", "--text is empty")
  check_failure(script .. "--load " .. model .. " " .. slopes(), "the model reads texts")
  check_failure(script .. "--load " .. model .. " --epochs 3 --text a", "--epochs has no effect with --load")
end

function TestClassify.testFilesOfNumbers()
  local data, model, svg = slopes(), path(), path(".svg")
  local out, err = run(("%s%s%s --bidirectional --val 0.2 --out %s --loss-plot %s"):format(script, data, quick, model,
    svg))
  lu.assertEquals(err, "")
  lu.assertStrMatches(out, ".*\ntest accuracy 100.0 %% F1 1.000\n")
  lu.assertStrContains(assert(lstm.readfile(svg)), ">validation<")
  -- the scaler travels in the model
  out = run(script .. "--load " .. model .. " --top 1 " .. with("a,b\n8,101\n11,100\n14,101\n17,100\n20,101\n", ".csv"))
  lu.assertStrMatches(out, "rising %d+%.%d %%\n")
  out = run(script .. "--load " .. model .. " " .. data)
  lu.assertTrue(tonumber(out:match("test accuracy (%S+) %%")) > 90, out)
  check_failure(script .. "--load " .. model .. " " .. with("a\n1\n2\n", ".csv"), "has 1 number for each step, the")
  check_failure(script .. "--load " .. model .. " --text up", "reads numbers, not texts: give a .csv file")
end

function TestClassify.testResumeIsTheSameRun()
  local data, half = words(), path()
  local options = script .. data .. " --hidden 8 --dropout 0.1 --verbose 0 "
  local whole = run(options .. "--epochs 4")
  run(options .. "--epochs 2 --checkpoint " .. half)
  local again, err = run(script .. data .. " --verbose 0 --epochs 4 --resume " .. half)
  lu.assertEquals({again, err}, {whole, ""})
  local resume = script .. data .. " --verbose 0 --resume " .. half
  check_failure(resume .. " --epochs 4", "is already at epoch 4; --epochs counts from the beginning, so 4 leaves")
  check_failure(resume .. " --epochs 5 --hidden 9", "--hidden 9 conflicts with --hidden 8")
  check_failure(script .. slopes() .. " --verbose 0 --epochs 5 --resume " .. half, "does not have the classes that")
end

function TestClassify.testVowels()
  local train, test = programs.data "vowels/JapaneseVowels_TRAIN.ts", programs.data "vowels/JapaneseVowels_TEST.ts"
  local out, err = run(("%s %s %s --scale none --epochs 25 --clip 1 --hidden 50 --lr 4e-3"):format(script, train, test))
  lu.assertStrContains(err, "270 sequences of 7 to 26 steps of 12 numbers; 9 classes; 270 to learn from, 370 to")
  lu.assertTrue(tonumber(out:match("test accuracy (%S+) %%")) > 85, out)
  check_failure(script .. train .. " " .. words() .. quick, 'has the class "Open", which')
end

function TestClassify.testHelp()
  programs.check_help(script, {"hidden", "layers", "bidirectional", "read", "dropout", "embed", "scale", "lr", "batch",
    "clip", "test", "val", "plot", "seed", "out", "load", "checkpoint", "resume", "init", "top", "text"})
end

local TestWrongUses = {}

function TestWrongUses.testPlaces()
  check_failure(script .. "no/such/folder", "classify.lua: cannot read no/such/folder: No such file or directory")
  check_failure(script .. "lstm.h", "lstm.h is neither a folder of classes nor a .ts file")
  check_failure(script .. "no/such.ts", "cannot read no/such.ts")
  check_failure(script .. with("", ".ts"), "this is no .ts file")
  check_failure(script .. with("hello\n", ".ts"), "there is no line @data")
  check_failure(script .. folder{["readme.md"] = "x"}, "holds no classes: a class is a file NAME.txt")
  check_failure(script .. folder{["a/x.md"] = "x"}, "/a has no .csv, .npy or .txt files")
  check_failure(script .. folder{["a.txt"] = "x\ny\nz\n"}, "has one class only (a): there is nothing to tell apart")
  check_failure(script .. folder{["a.txt"] = "x\ny\n", ["b.txt"] = "z\n"}, 'has one sequence of "b": at least two')
  check_failure(script .. folder{["a.txt"] = "x\ny\n", ["b.txt"] = ""}, "has one class only (a)")
end

function TestWrongUses.testContents()
  check_failure(script .. folder{["a.txt"] = "x\ny\n", ["b.txt"] = "good\nb\255d\n"}, "b.txt:2: this is not UTF-8 text")
  check_failure(script .. slopes{["rising/1.csv"] = "a,b\n1,2\n3,x\n"}, '1.csv:3: column "b": "x" is not a number')
  check_failure(script .. slopes{["rising/13.csv"] = "a\n1\n2\n"}, "13.csv has 1 column, but ")
  check_failure(script .. slopes{["rising/1.csv"] = ""}, "1.csv")
end

function TestWrongUses.testUsage()
  check_failure(script, "DATA is missing", 2)
  check_failure(script .. "--text a", "--text needs --load MODEL", 2)
  check_failure(script .. "x --hiden 3", "did you mean --hidden?", 2)
  check_failure(script .. "x --scale log", '--scale must be one of', 2)
  check_failure(script .. "a b c", '"c" is one argument too many', 2)
  check_failure(script .. "x --test 1", "--test must be", 2)
  check_failure(script .. words() .. " --plot tests", "--plot tests is a folder")
  check_failure(script .. "--load no/such.model --text a", "cannot read no/such.model")
  local other = path()
  assert(lstm.model{input = 2, hidden = 3, seed = 1}:save(other))
  check_failure(script .. "--load " .. other .. " --text a",
    other .. " was not made by lstm classify: use it in Lua, with lstm.load and model:classify")
  check_failure(script .. words() .. " --resume " .. other,
    other .. " was not made by lstm classify: use it in Lua, with lstm.load and model:classify")
end

programs.finish{TestClassify = TestClassify, TestWrongUses = TestWrongUses}
