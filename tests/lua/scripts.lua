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
  lu.assertStrMatches(message, "chars%.lua: interrupted after step %d+ of 100000000; go on with %-%-resume .*\n")
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
  check_failure("scripts/chars.lua " .. with(verse .. "#") .. " --verbose 0 --resume " .. model, "is not the text that")
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
  lu.assertStrMatches(out, "forecast of Temp, 1 after the last row: %d+%.%d+\ntest RMSE %d%.%d+ persistence 2%.481\n")
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
end

local TestDemo = {}

function TestDemo.testShort()
  local folder = path()
  os.execute("mkdir " .. folder)
  local out, err, code = run("scripts/demo.lua --short --seconds 1 --folder " .. folder)
  lu.assertEquals(code, 0, err)
  lu.assertStrContains(out, "It writes:")
  lu.assertStrContains(out, "persistence")
  for _, name in ipairs{"c.safetensors", "temperature.safetensors", "forecast.svg", "loss.svg"} do
    local file = folder .. "/" .. name
    lu.assertTrue(lstm.readfile(file) ~= nil, file)
    lu.assertStrContains(out, name)
    os.remove(file)
  end
end

local failures = lu.LuaUnit.new():runSuiteByInstances{
  {"TestChars", TestChars}, {"TestForecast", TestForecast}, {"TestDemo", TestDemo},
}
for _, name in ipairs(made) do os.remove(name) end
os.exit(failures, true)
