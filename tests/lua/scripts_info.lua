-- scripts/info.lua as a user runs it. Its PyTorch modules are run where python3 has torch and safetensors.
local lu = require "luaunit"
local lstm = require "lstm"
local programs = dofile "tests/lua/support/programs.lua"

local path, with, run, check_failure = programs.path, programs.with, programs.run, programs.check_failure

local vocab = lstm.vocab "hello \nworld"

-- A model file of these layers.
local function saved(options)
  local file = path ".safetensors"
  options.seed = 1
  assert(lstm.model(options):save(file))
  return file
end

local TestInfo = {}

function TestInfo.testModel()
  local file = saved{input = vocab, lstm.embedding(8), lstm.lstm(16), output = vocab, meta = {chars = "steps=20"}}
  local out, err, code = run("scripts/info.lua " .. file)
  lu.assertEquals({err, code}, {"", 0})
  for _, text in ipairs{file .. ": 1,825 parameters, ", "1  embedding size=8: 9 -> 8, 72 parameters\n",
    "3  dense size=9: 16 -> 9, 153 parameters\n     output 9, softmax\n     loss cross_entropy\n",
    "vocabulary: 9 symbols of bytes\n" .. [[  "\n" " " "d" "e" "h" "l" "o" "r" "w"]],
    "meta.chars: steps=20\n", "  rnn.weight_hh_l0            [64][16] ", "self.rnn = nn.LSTM(8, 16)\n"} do
    lu.assertStrContains(out, text)
  end
end

function TestInfo.testLabelsAndCheckpoint()
  local model = lstm.model{input = 2, hidden = 3, output = {"up", "down"}, seed = 1}
  local file, svg = path(), path(".svg")
  assert(model:fit(lstm.sequences{x = {{{1, 2}, {3, 4}}, {{4, 3}}}, y = {"up", "down"}},
    {epochs = 9, verbose = 0, checkpoint = file}))
  local out, err = run(("scripts/info.lua %s --rows 3 --plot %s"):format(file, svg))
  lu.assertEquals(err, "plot: " .. svg .. "\n")
  lu.assertStrContains(out, 'labels: "up" "down"\n')
  lu.assertStrContains(out, "checkpoint of a run, after step 9\n")
  lu.assertStrMatches(out, ".*\n  the weights are those of step %d, loss [%d.]+, the best look\n.*")
  lu.assertStrContains(out, 'if not k.startswith("trainer.")}')
  lu.assertStrContains(assert(lstm.readfile(svg)), "</svg>")
  check_failure(("scripts/info.lua %s --plot %s --pytorch x"):format(file, svg), "one argument too many", 2)
end

-- A run whose program keeps the last weights has those in its checkpoint, not those of the best look.
function TestInfo.testWeightsThatTheProgramChose()
  local file = path()
  local function fit(options)
    options.verbose, options.checkpoint, options.lr = 0, file, 5
    assert(lstm.model{input = 2, hidden = 3, output = {"up", "down"}, seed = 1}:fit(
      lstm.sequences{x = {{{1, 2}, {3, 4}}, {{4, 3}}}, y = {"up", "down"}}, options))
    return (run("scripts/info.lua " .. file))
  end
  local function keep(_, _, trainer)
    trainer:keep_best()
    lu.assertEquals(trainer:kept(), trainer:steps())
  end
  lu.assertStrMatches(fit{epochs = 9, on_epoch = keep, min_delta = 100},
    ".*\n  the weights are those of step 9, which the program chose\n  the best look is that of step 1, loss %d.*")
  lu.assertStrMatches(fit{epochs = 9, on_epoch = function() end, min_delta = 100},
    ".*\n  the weights are those of step 1, loss [%d.]+, the best look\n.*")
end

function TestInfo.testBytesThatAreNoCharacters()
  local out = run("scripts/info.lua " .. saved{input = lstm.vocab "a\195\188\\", hidden = 2,
    output = lstm.vocab "a\195\188\\"})
  lu.assertStrContains(out, '\n  "\\\\" "a" "\\xBC" "\\xC3"\n')
  lu.assertNil(require "lstm.utf".broken_at(out))
end

function TestInfo.testPair()
  local pair = path()
  for _, name in ipairs{".encoder", ".decoder"} do
    programs.remove_later(pair .. name)
    assert(lstm.model{input = 2, hidden = 3, seed = 1}:save(pair .. name))
  end
  local out = run("scripts/info.lua " .. pair)
  lu.assertStrContains(out, pair .. ".encoder: ")
  lu.assertStrContains(out, pair .. ".decoder: ")
end

function TestInfo.testWhatPyTorchLacks()
  local out = run("scripts/info.lua --pytorch " .. saved{input = 2, lstm.lstm{3, peephole = true, coupled = true},
    lstm.lstm{3, activation = "relu", forget = "one", zoneout = 0.1, dropout = 0.2},
    lstm.lstm{3, recurrent_dropout = 0.1}, output = 1})
  for _, text in ipairs{"# layer 1: nn.LSTM has no peephole: load_state_dict refuses its tensor\n",
    "# layer 1: nn.LSTM has no coupled: it gives other numbers\n",
    "# layer 2: nn.LSTM has tanh and sigmoid only, not relu and sigmoid: it gives other numbers\n",
    '# layer 2: nn.LSTM has no forget = "one": it gives other numbers\n', "# layer 2: nn.LSTM has no zoneout: ",
    "# layer 3: nn.LSTM has no recurrent_dropout: that matters in training only\n",
    "# rnn: nn.LSTM has one dropout rate for all of its layers, here they differ (training only)\n",
    "self.rnn = nn.LSTM(2, 3, num_layers=3, dropout=0.2)\n"} do
    lu.assertStrContains(out, text)
  end
end

-- Models that PyTorch must load and for which it must give the same numbers.
local models = {
  {input = vocab, lstm.embedding(8), lstm.lstm(16), lstm.dropout(0.2), lstm.lstm(16), output = vocab},
  {input = vocab, lstm.embedding{5, tied = true}, lstm.lstm(5), output = vocab},
  {input = 3, lstm.gru{12, bidirectional = true}, lstm.gru{12, bidirectional = true},
    lstm.dense{7, activation = "hard_sigmoid"}, output = {"a", "b"}},
  {input = 3, lstm.lstm{12, bidirectional = true, merge = "sum"}, lstm.lstm{6, projection = 4, read = "mean",
    name = "en.c"}, output = 2},
  {input = 3, lstm.lstm{5, bidirectional = true, merge = "sum"}, output = 1, loss = "binary_cross_entropy"},
  {input = 3, lstm.lstm{5, bidirectional = true, read = "max"}, lstm.dense{4, activation = "relu"}, output = 2},
  {input = 3, lstm.lstm(4), lstm.gru(6), lstm.dropout(0.1), output = 2},
  {input = 3, lstm.lstm(4), lstm.dense{2, residual = true}},
}

local numbers = {{0.5, -1, 0.25}, {1, 2, -0.5}, {0, 1, 1}, {0.1, 0.2, 0.3}}
local ids = {3, 1, 4, 1, 5}

-- What python prints: the outputs of one sequence, all in one line.
local function program_of(file, takes_ids, output)
  local code = run("scripts/info.lua --pytorch " .. file)
  local x = {}
  for i, row in ipairs(takes_ids and ids or numbers) do
    x[i] = "[" .. (takes_ids and ("%d"):format(row) or "[" .. table.concat(row, ", ") .. "]") .. "]"
  end
  local y = "y"
  if output == "softmax" then y = "torch.softmax(y, -1)" elseif output == "sigmoid" then y = "torch.sigmoid(y)" end
  return code .. ("\ny = model(torch.tensor([%s]))\nprint(*%s.flatten().tolist())\n"):format(table.concat(x, ", "), y)
end

function TestInfo.testPyTorchGivesTheSame()
  local sources, expected = {}, {}
  for i, options in ipairs(models) do
    local file = saved(options)
    local model = assert(lstm.load(file))
    local takes_ids = model.vocab ~= nil
    sources[i] = program_of(file, takes_ids, model.core:output())
    local y
    if takes_ids then y = model:state():forward(lstm.array(ids, "int32")) else
      y = model:predict{x = lstm.array(numbers):reshape{1, #numbers, 3}}
    end
    expected[i] = y:reshape{#y:bytes() // 4}:totable()
  end
  local out = io.popen("python3 -W ignore " .. with(table.concat(sources, "\n"), ".py") .. " 2>&1"):read("a")
  lu.skipIf(out:find("not found") or out:find("ModuleNotFoundError"), "python3 has no torch or safetensors")
  local i = 0
  for line in out:gmatch("[^\n]+") do
    i = i + 1
    local got = {}
    for word in line:gmatch("%S+") do got[#got + 1] = assert(tonumber(word), out) end
    lu.assertEquals(#got, #expected[i])
    for k, value in ipairs(got) do lu.assertAlmostEquals(value, expected[i][k], 2e-6) end
  end
  lu.assertEquals(i, #models)
end

local TestWrongUses = {}

function TestWrongUses.testFiles()
  check_failure("scripts/info.lua no/such.model", "info.lua: cannot read no/such.model: No such file")
  check_failure("scripts/info.lua .", "info.lua: cannot read .: Is a directory")
  check_failure("scripts/info.lua " .. with(""), "info.lua: ")
  check_failure("scripts/info.lua " .. with("date,temp\n1,2\n"), "this is not a safetensors file")
  local bytes = lstm.model{input = 2, hidden = 3, seed = 1}:bytes()
  check_failure("scripts/info.lua " .. with(bytes:sub(1, #bytes - 7)), "info.lua: ")
  check_failure("scripts/info.lua " .. with(bytes .. "x"), "info.lua: ")
  check_failure("scripts/info.lua " .. with((bytes:gsub("lstm hidden", "lsym hidden", 1))), "lsym")
  local model = saved{input = 2, hidden = 3}
  check_failure(("scripts/info.lua %s --plot tests"):format(model), "--plot tests is a folder")
end

function TestWrongUses.testUsage()
  check_failure("scripts/info.lua", "info.lua: MODEL is missing", 2)
  check_failure("scripts/info.lua a --row 3", "unknown option --row, did you mean --rows?", 2)
  check_failure("scripts/info.lua a --rows -1", '--rows must be a whole number of at least 0, got "-1"', 2)
  check_failure("scripts/info.lua a b", '"b" is one argument too many', 2)
end

function TestWrongUses.testNoRunToDraw()
  local out, err, code = run(("scripts/info.lua %s --plot %s"):format(saved{input = 2, hidden = 3}, path(".svg")))
  lu.assertEquals(code, 1)
  lu.assertStrContains(err, "is no checkpoint of a run, so there are no losses to draw")
  lu.assertStrContains(out, "parameters")
end

programs.finish{TestInfo = TestInfo, TestWrongUses = TestWrongUses}
