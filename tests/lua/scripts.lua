-- The scripts as a user runs them: what they print, what they leave behind, and the sentence for what goes wrong.
local lu = require "luaunit"
local lstm = require "lstm"

local host = os.getenv "LSTM" or "./lstm"
if not host:find("/") then host = "./" .. host end
local csv = "examples/data/daily-min-temperatures.csv"
local made = {}

-- A path for a file of this test; it is removed at the end.
local function path(extension)
  local name = os.tmpname()
  os.remove(name)
  made[#made + 1] = name .. (extension or "")
  return made[#made]
end

local function with(text, extension)
  local name = path(extension)
  assert(lstm.writefile(name, text))
  return name
end

-- Runs a script. Returns what it wrote to stdout and to stderr, and its exit code.
local function run(command)
  local errors = path()
  local pipe = assert(io.popen(host .. " " .. command .. " 2>" .. errors))
  local out = pipe:read("a")
  local _, _, code = pipe:close()
  return out, lstm.readfile(errors) or "", code or 0
end

-- One plain sentence, no traceback, and the exit code.
local function check_failure(command, sentence, code)
  local out, err, got = run(command)
  lu.assertStrContains(err, sentence)
  lu.assertEquals(select(2, err:gsub("\n", "")), 1, err)
  lu.assertNil(err:find("traceback"))
  lu.assertNil(err:find("%.lua:%d"), err)
  lu.assertEquals(out, "")
  lu.assertEquals(got, code or 1)
end

local verse = ("the quick brown fox jumps over the lazy dog.\n"):rep(60)
local small = " --hidden 8 --embed 4 --seq 8 --batch 4 --validate-every 10 --steps 20 --verbose 0 --sample 40 "

-- Sentences about numbers, and the same in a made-up language: name, tab, translation.
local function sentences(columns)
  local lines, words = {}, {"one", "two", "three", "four"}
  local theirs = {one = "un", two = "deux", three = "trois", four = "quatre"}
  for i = 1, 240 do
    local a, b = words[i % 4 + 1], words[math.floor(i / 4) % 4 + 1]
    local part = i % 10 == 0 and "test" or i % 10 == 1 and "val" or "train"
    local pair = ("i see %s and %s .\tje vois %s et %s ."):format(a, b, theirs[a], theirs[b])
    lines[i] = columns == 3 and part .. "\t" .. pair or pair
  end
  return table.concat(lines, "\n") .. "\n"
end

local short = " --hidden 24 --embedding 8 --batch 8 --lr 0.02 --verbose 0 --epochs 4 "

local TestTranslate = {}

function TestTranslate.testLearnsAndTranslates()
  for _, columns in ipairs{2, 3} do
    local out = path()
    local command = "scripts/translate.lua " .. with(sentences(columns), ".tsv")
    local said, err, code = run(command .. short .. "--epochs 8 --sentences 3 --out " .. out)
    made[#made + 1], made[#made + 2] = out .. ".encoder", out .. ".decoder"
    lu.assertEquals(code, 0, err)
    lu.assertEquals(err, "")
    local losses = {}
    for loss in said:gmatch("validation (%d%.%d+) nats/word") do losses[#losses + 1] = tonumber(loss) end
    lu.assertEquals(#losses, 8)
    lu.assertTrue(losses[8] < losses[1] / 3)
    lu.assertEquals(select(2, said:gsub("\n  given:   je vois [^\n]*\n  network: je vois ", "")), 3)
    lu.assertStrMatches(said, ".*\ntest %d%.%d+ nats/word\n")
    check_failure(command .. " --resume " .. out, "is a pair of networks, not a checkpoint of a run")
    check_failure(command .. " --load " .. out .. " --lr 1", "--lr has no effect with --load")
    local again, problem = run(command .. " --load " .. out .. " --sentences 3")
    lu.assertEquals(problem, "")
    lu.assertEquals(again:match("\ntest .*"), said:match("\ntest .*"))
    local given, network = again:match("\n(i see[^\n]*)\n  given:[^\n]*\n  network: ([^\n]*)")
    for _, suffix in ipairs{"", ".encoder", ".decoder"} do
      local one = run(("scripts/translate.lua --load %s%s --text '%s'"):format(out, suffix, given))
      lu.assertEquals(one, network .. "\n")
    end
    local _, unknown = run(("scripts/translate.lua --load %s --text 'i see xyz'"):format(out))
    lu.assertStrContains(unknown, '"xyz" is no word that was learned')
    check_failure(command .. " --text x --load " .. out, "FILE has no effect with --text")
  end
end

function TestTranslate.testResumeIsTheSameRun()
  local run_path, pairs_path = path(), with(sentences(3), ".tsv")
  made[#made + 1], made[#made + 2] = run_path .. ".encoder", run_path .. ".decoder"
  local command = "scripts/translate.lua " .. pairs_path
  local whole = run(command .. short .. "--sentences 0 --dropout 0.1 --epochs 3")
  run(command .. short .. "--sentences 0 --dropout 0.1 --epochs 2 --checkpoint " .. run_path)
  local resume = command .. " --verbose 0 --sentences 0 --resume " .. run_path
  local resumed, err = run(resume .. " --epochs 3")
  lu.assertEquals(err, "")
  lu.assertStrMatches(resumed, "epoch 3: .*")
  lu.assertStrContains(whole, resumed)
  check_failure(resume .. " --epochs 3", "is already at epoch 3; --epochs counts from the beginning")
  check_failure(resume .. " --epochs 4 --hidden 25", "--hidden 25 conflicts with --hidden 24")
end

function TestTranslate.testFailures()
  check_failure("scripts/translate.lua /nonexistent", "translate.lua: cannot read /nonexistent")
  check_failure("scripts/translate.lua " .. with("a b\n", ".tsv"), ":1: a sentence, a tab and its translation expected")
  check_failure("scripts/translate.lua " .. with("train\ta\tb\nx\ta\tb\n", ".tsv"), ":2: a sentence, a tab")
  check_failure("scripts/translate.lua " .. with("train\ta\tb\n", ".tsv"), "has no pairs for val")
  check_failure("scripts/translate.lua " .. with("a\tb\n", ".tsv"), "has 1 pair, too few: without a first column")
  check_failure("scripts/translate.lua " .. with(("a\tb\n"):rep(9), ".tsv"), "so 10 are needed")
  for _, file in ipairs{with(sentences(2), ".tsv"), "/no/pairs"} do
    check_failure("scripts/translate.lua " .. file .. " --load /nonexistent", "cannot read /nonexistent.encoder")
  end
  check_failure("scripts/translate.lua x --text a", "--text needs --load PATH", 2)
  check_failure("scripts/translate.lua x --hiden 3", "unknown option --hiden, did you mean --hidden?", 2)
  check_failure("scripts/translate.lua", "FILE is missing", 2)
end

local TestChars = {}

function TestChars.testLearnsAndWrites()
  local out, err, code = run("scripts/chars.lua " .. with(verse) .. small)
  lu.assertEquals(code, 0, err)
  lu.assertStrMatches(out, ".*\nvalidation %d%.%d+ nats/char\n")
  lu.assertTrue(#out > 60)
  lu.assertEquals(err, "")
end

function TestChars.testOneSeedOneResult()
  local text = with(verse)
  local first = run("scripts/chars.lua " .. text .. small .. "--seed 7 --init pytorch")
  lu.assertEquals(run("scripts/chars.lua " .. text .. small .. "--seed 7 --init pytorch"), first)
  lu.assertNotEquals(run("scripts/chars.lua " .. text .. small .. "--seed 8 --init pytorch"), first)
end

function TestChars.testOldSpellings()
  local out, err = run("scripts/chars.lua " .. with(verse) ..
    " -rnn_size 8 --embed 4 -seq_length 8 -batch_size 4 --steps 5 --verbose 0" ..
    " -temperature 0.5 -primetext the -length 9")
  lu.assertEquals(err, "")
  lu.assertStrMatches(out, "the.*\nvalidation %d%.%d+ nats/char\n")
end

function TestChars.testSampleZeroPrintsOneLine()
  local out = run("scripts/chars.lua " .. with(verse) .. small .. "--sample 0")
  lu.assertStrMatches(out, "validation %d%.%d+ nats/char\n")
end

function TestChars.testUtf8AndSeveralLayers()
  local out, err = run("scripts/chars.lua " .. with(verse .. "é€") .. small ..
    "--vocab utf8 --layers 2 --dropout 0.1 --clip 0 --patience 3 --optimizer rmsprop")
  lu.assertEquals(err, "")
  lu.assertStrContains(out, "validation ")
end

function TestChars.testOutLoads()
  local out = path(".safetensors")
  local said, err = run("scripts/chars.lua " .. with(verse) .. small .. "--out " .. out)
  lu.assertEquals(err, "")
  local model = assert(lstm.load(out))
  local tokens = model.vocab:encode(verse)
  local _, validation = tokens:split(0.9)
  local loss = model:evaluate(validation).loss
  lu.assertStrContains(said, ("validation %.4f nats/char"):format(loss))
end

function TestChars.testResumeIsTheSameRun()
  local text, half, whole, resumed = with(verse), path(), path(), path()
  local options = "scripts/chars.lua " .. text .. small .. "--dropout 0.2 "
  local expected = run(options .. "--steps 20 --out " .. whole)
  run(options .. "--steps 10 --checkpoint " .. half)
  local got, err = run("scripts/chars.lua " .. text .. " --resume " .. half ..
    " --steps 20 --verbose 0 --sample 40 --out " .. resumed)
  lu.assertEquals(err, "")
  lu.assertEquals(got, expected)
  local a, b = assert(lstm.load(whole)), assert(lstm.load(resumed))
  for _, name in ipairs(a:tensors()) do
    lu.assertTrue(a:tensor(name):bytes() == b:tensor(name):bytes())
  end
end

function TestChars.testCtrlCKeepsTheRun()
  local text, whole, resumed, saved, said = with(verse), path(), path(), path(), path()
  local options = "scripts/chars.lua " .. text .. " --hidden 16 --embed 8 --seq 16 --batch 4 --steps 1000" ..
    " --validate-every 100 --dropout 0.1 --verbose 0 --sample 20 "
  local expected = run(options .. "--out " .. whole)
  -- waits for the first checkpoint, then interrupts
  local pipe = assert(io.popen(('%s %s --steps 100000000 --checkpoint %s 2>%s & p=$!; n=0\n' ..
    'while [ ! -s %s ] && [ $n -lt 600 ]; do n=$((n + 1)); sleep 0.05; done; kill -INT $p; wait $p; echo $?'):format(
    host, options, saved, said, saved)))
  local code = pipe:read("a")
  pipe:close()
  lu.assertEquals(code, "130\n")
  local message = lstm.readfile(said)
  lu.assertStrMatches(message, "chars%.lua: interrupted after step %d+ of 100000000; go on with " ..
    "%S+ scripts/chars%.lua %S+ %-%-resume %S+ %-%-sample 20 %-%-verbose 0\n")
  local done = tonumber(message:match("after step (%d+)"))
  lu.skipIf(done > 1000, "the machine was too fast for this test")
  local got, err = run("scripts/chars.lua " .. text .. " --resume " .. saved ..
    " --steps 1000 --verbose 0 --sample 20 --out " .. resumed)
  lu.assertEquals(err, "")
  lu.assertEquals(got, expected)
  local a, b = assert(lstm.load(whole)), assert(lstm.load(resumed))
  for _, name in ipairs(a:tensors()) do lu.assertTrue(a:tensor(name):bytes() == b:tensor(name):bytes()) end
end

function TestChars.testFailures()
  check_failure("scripts/chars.lua no/such/file.txt", "cannot read no/such/file.txt: No such file")
  check_failure("scripts/chars.lua .", "cannot read .: Is a directory")
  check_failure("scripts/chars.lua " .. with(""), "is empty, there is nothing to learn from")
  check_failure("scripts/chars.lua " .. with("short"), "too few")
  check_failure("scripts/chars.lua " .. with(verse .. "\255") .. " --vocab utf8", "not UTF-8 at line 61, column 1")
  check_failure("scripts/chars.lua " .. with(verse) .. small .. "--out no/such/folder/x", "no/such/folder/x")
  check_failure("scripts/chars.lua " .. with(verse) .. " --resume " .. with("nonsense"),
    "this is not a safetensors file")
  local model = path()
  run("scripts/chars.lua " .. with(verse) .. small .. "--out " .. model)
  check_failure("scripts/chars.lua " .. with(verse) .. " --verbose 0 --resume " .. model, "not a checkpoint of a run")
  local saved = path()
  run("scripts/chars.lua " .. with(verse) .. small .. "--checkpoint " .. saved)
  check_failure("scripts/chars.lua " .. with(verse .. "#") .. " --verbose 0 --steps 30 --resume " .. saved,
    "is not the text that")
  check_failure("scripts/chars.lua " .. with(verse) .. small .. "--val 0.99", "--val 0.99 leaves")
end

function TestChars.testMistakesAreFoundBeforeTraining()
  local text = with(verse)
  local long = "scripts/chars.lua " .. text .. " --steps 100000000 "
  check_failure(long .. "--prime 'the \195\132'", '--prime: "\195\132" does not occur in the text')
  check_failure(long .. "--vocab utf8 --prime X", '--prime: "X" does not occur in the text')
  for _, name in ipairs{"--out", "--checkpoint", "--loss-plot"} do
    check_failure(long .. name .. " tests", name .. " tests is a folder")
  end
end

function TestChars.testResumeWithNothingToDo()
  local text, saved = with(verse), path()
  run("scripts/chars.lua " .. text .. small .. "--checkpoint " .. saved)
  local bytes = lstm.readfile(saved)
  local again = "scripts/chars.lua " .. text .. " --resume " .. saved
  check_failure(again .. " --steps 10", "is already at step 20; --steps counts from the beginning, so 10 leaves")
  check_failure(again, "so 20 leaves nothing to do")
  check_failure(again .. " --steps 30 --hidden 9", "--hidden 9 conflicts with --hidden 8, which " .. saved)
  check_failure(again .. " --steps 30 --lr 0.5", "--lr 0.5 conflicts with --lr 0.002")
  lu.assertTrue(lstm.readfile(saved) == bytes)
  local _, err, code = run(again .. " --steps 30 --hidden 8 --patience 9 --verbose 0")
  lu.assertEquals({err, code}, {"", 0})
end

function TestChars.testLoadWrites()
  local text, model = with(verse), path()
  local said = run("scripts/chars.lua " .. text .. small .. "--seed 3 --out " .. model)
  local load = "scripts/chars.lua --load " .. model
  local out, err, code = run(load .. " --sample 40 --seed 3")
  lu.assertEquals({err, code}, {"", 0})
  lu.assertEquals(said:sub(1, #out), out)
  lu.assertStrMatches((run(load .. " --sample 3 --prime 'the q' --temperature 0")), "the q...\n")
  check_failure(load .. " --prime X", '--prime: "X" does not occur in the text that ' .. model)
  check_failure(load .. " --steps 10", "--steps has no effect with --load")
  check_failure("scripts/chars.lua " .. text .. " --load " .. model, "FILE has no effect with --load")
  check_failure("scripts/chars.lua --load no/such.model", "cannot read no/such.model")
  local other, vocab = path(), lstm.vocab "ab"
  assert(lstm.model{input = vocab, hidden = 2, output = vocab}:save(other))
  check_failure("scripts/chars.lua --load " .. other, other .. " was not made by this script")
end

-- Without progress lines, which depend on the time.
local function notes(command)
  local _, err = run(command)
  return (err:gsub("training [^\n]*\n", ""))
end

function TestChars.testTellsWhatIsKept()
  local text = with(verse)
  local options = "scripts/chars.lua " .. text .. small .. "--verbose 1 "
  local err = notes(options)
  lu.assertStrContains(err, "nothing will be saved: --out FILE keeps the model, --checkpoint FILE the run\n")
  lu.assertStrContains(err, "kept: the weights of the last step, 20, the best of 2 looks\n")
  lu.assertNil(err:find("guessing"))
  lu.assertNil(notes(options .. "--checkpoint " .. path()):find("nothing will be saved"))
  lu.assertStrContains(notes(options .. "--lr 30 --clip 0"), "no better than guessing")
end

-- Interrupts a run once it has drawn or saved something; returns what it wrote to stderr.
local function interrupted(options, file)
  local said = path()
  local pipe = assert(io.popen(('%s %s 2>%s & p=$!; n=0\n' ..
    'while [ ! -s %s ] && [ $n -lt 600 ]; do n=$((n + 1)); sleep 0.05; done; kill -INT $p; wait $p; echo $?'):format(
    host, options, said, file or said)))
  lu.assertEquals(pipe:read("a"), "130\n")
  pipe:close()
  return lstm.readfile(said)
end

function TestChars.testCtrlCTellsWhatIsSaved()
  local options = "scripts/chars.lua " .. with(verse) .. small .. "--steps 100000000 "
  lu.assertStrContains(interrupted(options .. "--verbose 1"), "; nothing was saved: --out keeps the model")
  local out, saved, svg = path(), path(), path(".svg")
  lu.assertStrContains(interrupted(("%s --checkpoint %s --out %s --loss-plot %s"):format(options, saved, out, svg),
    saved), ("--resume %s --out %s --sample 40 --loss-plot %s --verbose 0\n"):format(saved, out, svg))
  lu.assertStrContains(assert(lstm.readfile(svg)), "</svg>")
  lu.assertTrue(lstm.load(out) ~= nil)
end

function TestChars.testUsage()
  check_failure("scripts/chars.lua a.txt --hiden 32", "unknown option --hiden, did you mean --hidden?", 2)
  check_failure("scripts/chars.lua a.txt --hidden many", '--hidden must be a whole number of at least 1, got "many"', 2)
  check_failure("scripts/chars.lua", "FILE is missing", 2)
  local out, err, code = run("scripts/chars.lua --help")
  lu.assertEquals({err, code}, {"", 0})
  for _, name in ipairs{"steps", "seq", "batch", "embed", "hidden", "layers", "dropout", "lr", "clip", "init", "seed",
    "out", "checkpoint", "resume", "sample", "temperature", "prime", "vocab", "optimizer", "patience"} do
    lu.assertStrContains(out, "  --" .. name .. " ")
  end
end

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

local TestDemo = {}

function TestDemo.testShort()
  local folder = path()
  os.execute("mkdir " .. folder)
  local out, err, code = run("scripts/demo.lua --short --seconds 1 --folder " .. folder)
  lu.assertEquals(code, 0, err)
  lu.assertStrContains(out, "It writes:")
  lu.assertStrContains(out, "persistence (repeating the last value)")
  lu.assertStrContains(out, "assert(require")
  for line in out:gsub(folder, "build/demo"):gmatch("[^\n]+") do lu.assertTrue(#line <= 78, line) end
  lu.assertStrContains(assert(lstm.readfile(folder .. "/forecast.svg")), ">Dec 1, 1990<")
  for _, name in ipairs{"c.safetensors", "temperature.safetensors", "forecast.svg", "loss.svg"} do
    local file = folder .. "/" .. name
    lu.assertTrue(lstm.readfile(file) ~= nil, file)
    lu.assertStrContains(out, name)
    os.remove(file)
  end
end

local failures = lu.LuaUnit.new():runSuiteByInstances{
  {"TestChars", TestChars}, {"TestForecast", TestForecast}, {"TestDemo", TestDemo},
  {"TestTranslate", TestTranslate},
}
for _, name in ipairs(made) do os.remove(name) end
os.exit(failures, true)
