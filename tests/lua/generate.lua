-- Tests of texts that a model writes (host/lua/generate.lua) and of what it chooses by (host/choose.c).

local lu = require "luaunit"
local lstm = require "lstm"
local core = require "lstm.core"

local fails = lu.assertErrorMsgContains

local TestGenerate = {}
local vocab = lstm.vocab "hello world\n"
local text = lstm.model{input = vocab, hidden = 6, output = vocab, seed = 2}

local function all(options)
  local pieces = {}
  for piece in text:generate(options) do pieces[#pieces + 1] = piece end
  return pieces
end

function TestGenerate.testPrimeAndLength()
  local pieces = all{prime = "hello", length = 20, seed = 1}
  lu.assertEquals(#pieces, 21)
  lu.assertEquals(pieces[1], "hello")
  lu.assertEquals(table.concat(all{prime = "hello", length = 20, seed = 1}), table.concat(pieces))
  lu.assertNotEquals(table.concat(all{prime = "hello", length = 20, seed = 2}), table.concat(pieces))
  lu.assertEquals(text:sample{prime = "hello", length = 20, seed = 1}, table.concat(pieces))
  lu.assertEquals(#all{length = 3}, 3)
  lu.assertEquals(#all{length = 0}, 0)
  lu.assertEquals(text:sample{prime = "he", length = 9, temperature = 0}, text:sample{prime = "he", length = 9,
    temperature = 0})
end

function TestGenerate.testGoesOnFromAState()
  local state = text:state()
  local first = text:sample{prime = "h", length = 5, temperature = 0, state = state}
  local more = text:sample{length = 5, temperature = 0, state = state}
  lu.assertEquals(first .. more, text:sample{prime = "h", length = 10, temperature = 0})
end

function TestGenerate.testUtf8PiecesAreCharacters()
  local letters = lstm.vocab("äöü€", "utf8")
  local m = lstm.model{input = letters, hidden = 4, output = letters}
  for piece in m:generate{prime = "ä", length = 30} do lu.assertEquals(utf8.len(piece), 1) end
end

function TestGenerate.testWithoutALineEnd()
  local letters = lstm.vocab "abc"
  local m = lstm.model{input = letters, hidden = 4, output = letters}
  lu.assertEquals(#m:sample{length = 5}, 6)                      -- the first symbol was drawn too
end

function TestGenerate.testRefused()
  fails('"z" at line 1, column 2', text.generate, text, {prime = "hz"})
  fails('option "temperature" must be a number of at least 0', text.generate, text, {temperature = -1})
  fails('unknown option "lenght", did you mean "length"', text.generate, text, {lenght = 5})
  local m = lstm.model{input = 1, hidden = 2, output = 1}
  fails("no vocabulary to write with", m.generate, m, {})
end

-- A model of `order` symbols that says them one after the other: 1 2 3 1 2 3 ...
local function parrot(symbols, kind)
  local v = lstm.vocab(symbols, kind)
  local m = lstm.model{input = v, hidden = 24, output = v, seed = 1}
  m:fit(v:encode((symbols .. (kind == "words" and " " or "")):rep(60)), {steps = 120, seq = 12, batch = 4, lr = 0.03,
    verbose = 0, seed = 1})
  return m
end

local function pieces_of(model, options)
  local pieces = {}
  for piece in model:generate(options) do pieces[#pieces + 1] = piece end
  return pieces
end

local TestStop = {}

function TestStop.testOverSeveralSymbols()
  local m = parrot "abcdef"
  local function say(stop, length)
    return m:sample{prime = "ab", temperature = 0, length = length or 12, stop = stop}
  end
  lu.assertEquals(say(nil), "abcdefabcdefab")
  lu.assertEquals(say "f", "abcde")
  lu.assertEquals(say "efa", "abcd")
  lu.assertEquals(say{"fa", "de"}, "abc")                        -- the first one counts
  lu.assertEquals(say{"bcde", "fab"}, "abcde")                   -- the first ends only in what was given
  lu.assertEquals(say "xyz", "abcdefabcdefab")
  lu.assertEquals(say("fax", 5), "abcdefa")                      -- the beginning of one at the end is text
  lu.assertEquals(say "c", "ab")
end

function TestStop.testPiecesWait()
  local m = parrot "abcdef"
  lu.assertEquals(pieces_of(m, {prime = "a", temperature = 0, length = 7, stop = "cdx"}),
    {"a", "b", "cde", "f", "a", "b"})
end

function TestStop.testWords()
  local m = parrot("one two three four", "words")
  local function say(stop) return m:sample{prime = "one", temperature = 0, length = 6, stop = stop} end
  lu.assertEquals(say(nil), "one two three four one two three")
  lu.assertEquals(say "four one", "one two three ")
  lu.assertEquals(say "ee", "one two thr")
end

function TestStop.testUtf8()
  local m = parrot("äöü€ß", "utf8")
  lu.assertEquals(m:sample{prime = "ä", temperature = 0, length = 9, stop = "€ß"}, "äöü")
end

local TestChoice = {}

local function shares(n, ...)
  local p, rng, counts = core.array{0.05, 0.4, 0.05, 0.2, 0.3}, lstm.rng(3), {0, 0, 0, 0, 0}
  for _ = 1, n do
    local i = core.sample(p, 1, rng, ...)
    counts[i] = counts[i] + 1
  end
  for i, count in ipairs(counts) do counts[i] = count / n end
  return counts
end

function TestChoice.testTopK()
  lu.assertEquals(shares(50, 1), {0, 1, 0, 0, 0})
  local two = shares(4000, 2)
  lu.assertEquals({two[1], two[3], two[4]}, {0, 0, 0})
  lu.assertAlmostEquals(two[2], 4 / 7, 0.03)
  lu.assertAlmostEquals(shares(4000, 99)[5], 0.3, 0.03)
end

function TestChoice.testTopP()
  local counts = shares(4000, nil, 0.65)                         -- 0.4 and 0.3: the first sets with 0.65
  lu.assertEquals({counts[1], counts[3], counts[4]}, {0, 0, 0})
  lu.assertAlmostEquals(counts[2], 4 / 7, 0.03)
  lu.assertEquals(shares(50, nil, 0.1), {0, 1, 0, 0, 0})
  lu.assertAlmostEquals(shares(4000, nil, 1)[4], 0.2, 0.03)
  lu.assertEquals(shares(50, 1, 0.9), {0, 1, 0, 0, 0})
end

function TestChoice.testEqualOnesInOrder()
  local p, rng = core.array{0.25, 0.25, 0.25, 0.25}, lstm.rng(1)
  for _ = 1, 40 do lu.assertTrue(core.sample(p, 1, rng, 2) <= 2) end
end

-- A state chooses as an array of its outputs does.
function TestChoice.testStates()
  local state = text:state()
  for _, symbol in ipairs{"h", "e", "l"} do
    local y = state:step(symbol)
    for seed = 1, 5 do
      local place, p = state:sample(0.7, lstm.rng(seed), 3, 0.9)
      lu.assertEquals(place, core.sample(y, 0.7, lstm.rng(seed), 3, 0.9))
      lu.assertEquals(p, y[place])
    end
  end
end

function TestChoice.testGreedyAndSeeds()
  local function say(options)
    options.prime, options.length = "h", 40
    return text:sample(options)
  end
  lu.assertEquals(say{top_k = 1, seed = 4}, say{temperature = 0})
  lu.assertEquals(say{top_p = 1e-9, seed = 4}, say{temperature = 0})
  lu.assertEquals(say{top_p = 0.8, top_k = 5, seed = 4}, say{top_p = 0.8, top_k = 5, seed = 4})
  lu.assertNotEquals(say{top_p = 0.8, seed = 4}, say{top_p = 0.8, seed = 5})
  lu.assertEquals(say{top_p = 1, top_k = 1000, seed = 4}, say{seed = 4})
end

function TestChoice.testTop()
  local places, values = core.top(core.array{{0.1, 0.7, 0.2}, {0.5, 0, 0.5}}, 2)
  lu.assertEquals(places:totable(), {{2, 3}, {1, 3}})
  lu.assertAlmostEquals(values[1][2], 0.2, 1e-6)
  places, values = core.top(core.array{0.25}, 5)                 -- of one output: 0, 1
  lu.assertEquals(places:totable(), {1, 2})
  lu.assertEquals(values:totable(), {0.75, 0.25})
  lu.assertEquals({core.top(core.zeros{0, 3}, 2):shape()}, {0, 2})
end

function TestChoice.testABreakLeavesNothingBehind()
  local state = text:state()
  for piece in text:generate{prime = "he", state = state, seed = 1} do
    if piece ~= "he" then break end
  end
  lu.assertEquals(#text:sample{length = 4, state = state, seed = 1}, 4)
end

local TestWrongUses = {}

-- What a user sees, behind the place in the script.
local function says(sentence, options, model)
  local ok, message = pcall(function() (model or text):generate(options) end)
  lu.assertFalse(ok)
  lu.assertStrMatches(message, "tests/lua/generate.lua:%d+: .*")
  lu.assertEquals((message:gsub("^[^ ]-:%d+: ", "")), sentence)
end

function TestWrongUses.testGenerate()
  says('generate: encode: "z" at line 1, column 2 (byte 2) is not in the vocabulary of 9 bytes', {prime = "hz"})
  says('generate: option "top_k" must be a whole number of at least 1, got 0', {top_k = 0})
  says('generate: option "top_k" must be a whole number of at least 1, got 2.5', {top_k = 2.5})
  says('generate: option "top_p" must be a number above 0 and at most 1, got 1.1', {top_p = 1.1})
  says('generate: option "top_p" must be a number above 0 and at most 1, got 0', {top_p = 0})
  says('generate: unknown option "topk", did you mean "top_k"? (there are length, prime, seed, state, stop, ' ..
    'temperature, top_k and top_p)', {topk = 3})
  says("generate: stop must be a string or a list of strings, none of them empty; number 2 is 7", {stop = {"a", 7}})
  says('generate: stop must be a string or a list of strings, none of them empty; number 1 is "" (a string)',
    {stop = ""})
  says('generate: option "length" must be a whole number of at least 0, got "ten" (a string)', {length = "ten"})
  says("generate: state must be a state of this model: model:state()", {state = text:clone():state()})
  says("generate: the state has 2 lanes, one is needed", {state = text:state(2)})
  says("generate: state must be a state of this model: model:state()", {state = lstm.zeros(3)})
  says("generate: the model has no vocabulary to write with", {}, lstm.model{input = 1, hidden = 2, output = 1})
  says("generate: the model writes with another vocabulary than it reads, so it cannot read what it wrote", {},
    lstm.model{input = lstm.vocab "abc", hidden = 2, output = lstm.vocab "abd"})
  says("generate: a bidirectional model reads a text from both ends, so it cannot write on", {},
    lstm.model{input = vocab, lstm.embedding(2), lstm.lstm{2, bidirectional = true}, output = vocab})
end

os.exit(lu.LuaUnit.new():runSuiteByInstances{
  {"TestGenerate", TestGenerate},
  {"TestStop", TestStop},
  {"TestChoice", TestChoice},
  {"TestWrongUses", TestWrongUses},
}, true)
