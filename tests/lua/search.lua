-- Tests of the search for options (host/lua/search.lua, space.lua, trials.lua).

local lu = require "luaunit"
local lstm = require "lstm"
local space = require "lstm.space"

local path = os.tmpname()

local function sine(n)
  local values = {}
  for i = 1, n do values[i] = {math.sin(i / 5)} end
  return lstm.table(lstm.array(values), {"y"})
end

local set = sine(60):windows{look_back = 4, target = "y"}

local function options(more)
  local o = {
    space = {lr = {1e-3, 1e-2}, hidden = {2, 3}}, data = set, folds = 2, seed = 1, verbose = 0,
    model = {input = 1, output = 1}, fit = {epochs = 1, batch = 16},
  }
  for key, value in pairs(more or {}) do o[key] = value end
  return o
end

local function file_of(name)
  os.remove(path .. name)
  return path .. name
end

local function read(name) return assert(lstm.readfile(name)) end

-- The file without the seconds.
local function without_seconds(text) return (text:gsub("\n([^,]*,[^,]*,[^,]*,[^,]*,[^,]*),[^,]*,", "\n%1,,")) end

local TestSpace = {}

function TestSpace.testGrid()
  local names = space.names{b = {"x", "y"}, a = lstm.range(1, 100, {log = true, steps = 3})}
  lu.assertEquals(names, {"a", "b"})
  local words = {}
  for i, trial in ipairs(space.grid({b = {"x", "y"}, a = lstm.range(1, 100, {log = true, steps = 3})}, names)) do
    words[i] = space.words(names, trial)
  end
  lu.assertEquals(words, {"a 1, b x", "a 1, b y", "a 10, b x", "a 10, b y", "a 100, b x", "a 100, b y"})
end

function TestSpace.testWholeGrid()
  local values = {}
  local grid = space.grid({n = lstm.range(1, 4, {whole = true, steps = 9})}, {"n"})
  for i, trial in ipairs(grid) do values[i] = trial.n end
  lu.assertEquals(values, {1, 2, 3, 4})
end

-- Draws are spread as they should be: uniform, uniform in the logarithm, whole numbers with equal shares.
function TestSpace.testRandom()
  local given = {
    a = lstm.range(1e-4, 1, {log = true}), b = lstm.range(0, 10), c = lstm.range(1, 4, {whole = true}),
    d = {"x", true, {64, 32}},
  }
  local names = space.names(given)
  local trials = space.random(given, names, 2000, 7)
  local counts, logs, middle = {}, 0, 0
  for _, trial in ipairs(trials) do
    lu.assertTrue(trial.a >= 1e-4 and trial.a <= 1 and trial.b >= 0 and trial.b <= 10)
    logs, middle = logs + math.log(trial.a) / math.log(10), middle + trial.b
    counts[trial.c] = (counts[trial.c] or 0) + 1
  end
  lu.assertEquals(#trials, 2000)
  lu.assertAlmostEquals(logs / 2000, -2, 0.1)
  lu.assertAlmostEquals(middle / 2000, 5, 0.25)
  for c = 1, 4 do lu.assertAlmostEquals(counts[c], 500, 75) end
  local again = space.random(given, names, 10, 7)
  for i = 1, 10 do lu.assertEquals(space.words(names, again[i]), space.words(names, trials[i])) end
end

-- None twice, and no more than there are.
function TestSpace.testNoneTwice()
  local trials, seen = space.random({a = {1, 2, 3}, b = {1, 2}}, {"a", "b"}, 50, 1), {}
  lu.assertEquals(#trials, 6)
  for _, trial in ipairs(trials) do
    local text = space.words({"a", "b"}, trial)
    lu.assertNil(seen[text])
    seen[text] = true
  end
end

local TestSearch = {}

function TestSearch.testGrid()
  local found = assert(lstm.search(options()))
  lu.assertEquals(#found, 4)
  lu.assertEquals(found.best, found[1])
  for i = 2, 4 do lu.assertTrue(found[i].score >= found[i - 1].score) end
  lu.assertEquals(#found[1].folds, 2)
  lu.assertAlmostEquals(found[1].score, (found[1].folds[1] + found[1].folds[2]) / 2, 1e-12)
  lu.assertEquals(found.best.options.lr, 0.01)                    -- the larger rate learns more in one epoch
end

-- A score is what fit says on that fold, with the seed of the search.
function TestSearch.testScores()
  local found = assert(lstm.search(options{space = {lr = {0.005}}, model = {input = 1, output = 1, hidden = 3}}))
  local trial = found[1]
  for fold, train, validation in set:folds(2) do
    lstm.seed(1 + fold)
    local m = lstm.model{input = 1, output = 1, hidden = 3}
    local h = assert(m:fit(train, {validation = validation, lr = 0.005, epochs = 1, batch = 16, verbose = 0}))
    lu.assertEquals(trial.folds[fold], h.best_value)
  end
end

function TestSearch.testMonitorsOfBothDirections()
  local x, y = {}, {}
  for i = 1, 40 do x[i], y[i] = {i % 2, 0.1}, i % 2 == 0 and "even" or "odd" end
  local found = assert(lstm.search(options{
    data = lstm.sequences{x = x, y = y}, folds = {2, by = "stratified"}, monitor = "accuracy",
    space = {lr = {1e-9, 0.1}}, model = {input = 1, hidden = 4, output = {"even", "odd"}},
    fit = {epochs = 8, batch = 4},
  }))
  lu.assertEquals(found.best.options.lr, 0.1)
  lu.assertEquals(found.best.score, 1)
end

-- Functions read the values; rows are scaled and cut within each fold.
function TestSearch.testPrepare()
  local rows, seen = sine(80), {}
  local found = assert(lstm.search(options{
    data = rows, folds = {3, by = "expanding"}, space = {look_back = {3, 6}, cells = {2}},
    prepare = function(train, validation, o)
      local scale, shape = lstm.zscore(train), {look_back = o.look_back, target = "y"}
      seen[#seen + 1] = #train
      return scale:apply(train):windows(shape), scale:apply(validation):windows(shape)
    end,
    model = function(o) return lstm.model{input = 1, hidden = o.cells, output = 1} end,
  }))
  lu.assertEquals(#found, 2)
  lu.assertEquals(seen, {20, 40, 60, 20, 40, 60})
end

function TestSearch.testValidationInsteadOfFolds()
  local train, validation = set:split(0.7)
  local o = options{data = train, validation = validation}
  o.folds = nil
  local found = assert(lstm.search(o))
  lu.assertEquals({#found, #found[1].folds, found[1].spread}, {4, 1, 0})
end

-- The seeds that a script draws after a search do not depend on it.
function TestSearch.testLeavesTheSeeds()
  local seeds = require "lstm.seeds"
  lstm.seed(5)
  local before = seeds.state()
  assert(lstm.search(options()))
  lu.assertEquals(seeds.state(), before)
end

function TestSearch.testTable()
  local found = assert(lstm.search(options{space = {hidden = {2, 3}}}))
  local lines = {}
  for line in tostring(found):gmatch "[^\n]+" do lines[#lines + 1] = line end
  lu.assertEquals(#lines, 3)
  lu.assertStrMatches(lines[1], "trial +val_loss +seconds +hidden")
  lu.assertStrMatches(lines[2], " +%d +[%d.e-]+ %+%- [%d.e-]+ +[%d.]+ +%d")
end

-- A trial that fails is recorded, comes last, and ends nothing.
function TestSearch.testFailing()
  local file = file_of(".failing.csv")
  local found = assert(lstm.search(options{
    space = {how = {"raises", "fine", "diverges"}}, file = file,
    model = function(o)
      if o.how == "raises" then error "this cannot be, \"really\"" end
      local m = lstm.model{input = 1, hidden = 2, output = 1}
      if o.how == "diverges" then m:tensor("head.bias", lstm.array{math.huge}) end
      return m
    end,
  }))
  lu.assertEquals({#found, found.best.options.how}, {3, "fine"})
  lu.assertEquals({found[2].status, found[3].status}, {"failed", "failed"})
  lu.assertStrContains(found[2].message, 'this cannot be, "really"')
  lu.assertStrContains(found[3].message, "not finite, again")
  lu.assertStrContains(tostring(found), "failed")
  local again = assert(lstm.search(options{
    space = {how = {"raises", "fine", "diverges"}}, file = file, model = function() error "not called" end,
  }))
  lu.assertEquals(tostring(again), tostring(found))
  lu.assertEquals(again[2].message, found[2].message)
  os.remove(file)
end

local TestFile = {}

-- A search that was ended goes on, with the same results; a torn last line is made again.
function TestFile.testGoesOn()
  local whole, part = file_of(".whole.csv"), file_of(".part.csv")
  local function o(file)
    return options{kind = "random", trials = 6, space = {lr = lstm.range(1e-3, 1e-1, {log = true}), hidden = {2, 3}},
      file = file}
  end
  local found = assert(lstm.search(o(whole)))
  local lines = {}
  for line in read(whole):gmatch "[^\n]*\n" do lines[#lines + 1] = line end
  lu.assertEquals(#lines, 7)
  assert(lstm.writefile(part, table.concat(lines, "", 1, 4) .. lines[5]:sub(1, 30)))
  local rest = assert(lstm.search(o(part)))
  lu.assertEquals(without_seconds(read(part)), without_seconds(read(whole)))
  for i = 1, 6 do lu.assertEquals({rest[i].number, rest[i].score}, {found[i].number, found[i].score}) end
  local more = o(part)                                            -- more trials begin with the same ones
  more.trials = 8
  lu.assertEquals(#assert(lstm.search(more)), 8)
  os.remove(whole)
  os.remove(part)
end

function TestFile.testRefusesAnotherSearch()
  local file = file_of(".other.csv")
  assert(lstm.search(options{file = file}))
  local before = read(file)
  local function refused(message, more)
    more.file = file
    local found, said, status = lstm.search(options(more))
    lu.assertNil(found)
    lu.assertEquals(said, ("search: cannot go on with %s: %s: choose another file, or remove it"):format(file, message))
    lu.assertEquals(status, "mismatch")
    lu.assertEquals(read(file), before)
  end
  refused("it has other columns: another space, or another number of folds", {space = {lr = {1e-3, 1e-2}}})
  refused("it has other columns: another space, or another number of folds", {folds = 3})
  refused("trial 2 had lr = 0.01 in that search and has 0.02 now", {space = {lr = {1e-3, 2e-2}, hidden = {2, 3}}})
  local others = "the space, the folds, the data, the seed, the monitor or the options of fit were others"
  refused(others, {seed = 2})
  refused(others, {fit = {epochs = 2, batch = 16}})
  refused(others, {monitor = "rmse"})
  refused(others, {data = set:slice(1, 50)})
  refused("it has a trial 3, this search has 2", {space = {hidden = {2}, lr = {1e-3, 1e-2}}})
  assert(lstm.writefile(file, "Date,Temp\n"))
  before = "Date,Temp\n"
  refused("it is no file of a search", {})
  os.remove(file)
  local _, message, status = lstm.search(options{file = "/nonexistent/x.csv"})
  lu.assertEquals({message, status}, {"cannot write /nonexistent/x.csv: No such file or directory", "io"})
end

-- A process with a search, which a signal ends in its third trial; then it goes on. Equal to one that was left alone.
local function process(file, signal)
  local script = os.tmpname()
  assert(lstm.writefile(script, ([[
    local lstm = require "lstm"
    local values = {}
    for i = 1, 60 do values[i] = {math.sin(i / 5)} end
    local set = lstm.table(lstm.array(values), {"y"}):windows{look_back = 4, target = "y"}
    local count = 0
    local found, message, status, part = lstm.search{
      space = {lr = {1e-3, 1e-2}, hidden = {2, 3}}, data = set, folds = 2, seed = 1, verbose = 0, file = %q,
      model = function(o)
        count = count + 1
        if count == 6 and arg[1] then io.popen("kill -" .. arg[1] .. " $PPID"):close() end
        return lstm.model{input = 1, hidden = o.hidden, output = 1}
      end,
      fit = {epochs = 2, batch = 16},
    }
    if not found then print(status, #part, message) os.exit(0) end
    print(count, found.best.words)
  ]]):format(file)))
  local out = os.tmpname()
  local _, _, code = os.execute(("{ %s %s %s; exit $?; } >%s 2>/dev/null"):format(os.getenv "LSTM" or "./lstm", script,
    signal or "", out))
  local said = read(out)
  os.remove(script)
  os.remove(out)
  return code, said
end

function TestFile.testSignals()
  local whole = file_of(".whole.csv")
  lu.assertEquals({process(whole)}, {0, "8\thidden 2, lr 0.01\n"})
  for _, signal in ipairs{"KILL", "INT"} do
    local file = file_of("." .. signal .. ".csv")
    local code, said = process(file, signal)
    local told = ("interrupted\t2\tsearch interrupted after trial 2 of 4, the same call goes on with %s\n"):format(file)
    lu.assertEquals({code, said}, signal == "KILL" and {137, ""} or {0, told})
    lu.assertEquals({process(file)}, {0, "4\thidden 2, lr 0.01\n"})       -- the first two trials are in the file
    lu.assertEquals(without_seconds(read(file)):gsub("^.-\n", ""), without_seconds(read(whole)):gsub("^.-\n", ""))
    os.remove(file)
  end
  os.remove(whole)
end

local TestWrongUses = {}

local function sees(expected, f, ...)
  local arguments = {...}
  local ok, message = pcall(function() local result = f(table.unpack(arguments)) return result end)
  lu.assertFalse(ok)
  lu.assertStrMatches(message, "^tests/lua/search.lua:%d+: .*$")
  lu.assertEquals((message:gsub("^[^:]*:%d+: ", "")), expected)
end

function TestWrongUses.testRanges()
  sees("range: two numbers expected, the smaller one first, as in lstm.range(0, 0.5)", lstm.range, 3, 1)
  sees("range: two numbers expected, the smaller one first, as in lstm.range(0, 0.5)", lstm.range, 3)
  sees("range: two whole numbers expected, the smaller one first, as in lstm.range(0, 0.5)", lstm.range, 1, 2.5,
    {whole = true})
  sees("range: log = true needs numbers above 0", lstm.range, 0, 1, {log = true})
  sees('range: unknown option "logs", did you mean "log"? (there are log, steps and whole)', lstm.range, 1, 2,
    {logs = true})
end

function TestWrongUses.testOptions()
  local function refuses(expected, more) sees(expected, lstm.search, options(more)) end
  sees('search: option "data" is missing', lstm.search, {space = {}, model = {}})
  refuses('search: unknown option "spaces", did you mean "space"? (there are data, file, fit, folds, kind, model, ' ..
    "monitor, prepare, seed, space, trials, validation and verbose)", {spaces = {}})
  refuses("search: the space is empty", {space = {}})
  refuses("search: space: lr must be a list of values or lstm.range(low, high), got 0.01", {space = {lr = 0.01}})
  refuses("search: space names options, as in space = {lr = {1e-3, 1e-2}}; got a value without a name",
    {space = {{1, 2}}})
  refuses("search: space: a grid needs steps for the range of lr: lstm.range(low, high, {steps = 5})",
    {space = {lr = lstm.range(0, 1)}})
  refuses('search: fit: unknown option "epoch", did you mean "epochs"? (there are ' ..
    "accumulate, alpha, batch, beta1, beta2, bucket, burn_in, checkpoint, class_weights, clip, clip_value, csv, " ..
    "epochs, epsilon, freeze, huber_delta, init, label_smoothing, layer_rates, loss, lr, metrics, min_delta, mode, " ..
    "momentum, monitor, nesterov, on_epoch, on_step, optimizer, patience, plateau, pre_emphasis, restore_best, " ..
    "resume, schedule, schedule_factor, schedule_steps, seconds, seed, seq, shuffle, steps, threads, title, " ..
    "validate_every, validation, verbose, warmup and weight_decay)", {fit = {epoch = 3}})
  refuses("search: fit = {checkpoint = ...}: the search itself decides on checkpoint", {fit = {checkpoint = "x"}})
  refuses("search: lr is both in space and in fit", {fit = {lr = 1}})
  refuses("search: hidden is both in space and in model", {model = {input = 1, output = 1, hidden = 2}})
  refuses("search: give folds or validation, not both", {validation = set})
  refuses('search: folds = 3 or {3, by = "random"}: a whole number of at least 2 is needed, got 1', {folds = 1})
  refuses("search: these data have no folds (windows, tables and sequences do): give validation = data instead",
    {data = {x = lstm.zeros{3, 2, 1}, y = lstm.zeros{3, 1}}})
  refuses("search: a table of rows must become windows: give prepare = function(train, validation, o) that " ..
    "returns both as windows", {data = sine(30)})
  refuses('search: the grid has 4 trials, trials = 2 are for kind = "random"', {trials = 2})
end

-- What only the first trials find out.
function TestWrongUses.testTheScriptsMistakes()
  local ok, message = pcall(lstm.search, options{
    space = {cells = {2, 3, 4, 5}}, model = function(o) return lstm.model{input = 1, hidden = o.cels, output = 1} end})
  lu.assertFalse(ok)
  lu.assertStrContains(message, 'search: unknown name in the space "cels", did you mean "cells"? (there is cells)\n' ..
    "(the same in each of the first 3 trials of the search)")
  ok, message = pcall(lstm.search, options{
    space = {cells = {2}, hidde = {2}},
    model = function(o) return lstm.model{input = 1, hidden = o.cells, output = 1} end})
  lu.assertFalse(ok)
  lu.assertStrContains(message, 'search: nothing uses "hidde" of the space: neither fit nor the model has such an ' ..
    "option, and no function reads it")
  local file = file_of(".mistake.csv")
  ok = pcall(lstm.search, options{file = file, model = function() error "typo" end})
  lu.assertFalse(ok)
  lu.assertEquals(#assert(lstm.search(options{file = file})), 4)  -- such trials are not kept
  os.remove(file)
end

local code = lu.LuaUnit.new():runSuiteByInstances{
  {"TestSpace", TestSpace}, {"TestSearch", TestSearch}, {"TestFile", TestFile}, {"TestWrongUses", TestWrongUses},
}
os.remove(path)
os.exit(code, true)
