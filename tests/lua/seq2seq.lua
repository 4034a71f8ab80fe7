-- Tests of encoder and decoder (host/lua/seq2seq.lua): the gradient through both, learning, and what is refused.

local lu = require "luaunit"
local lstm = require "lstm"

local fails = lu.assertErrorMsgContains
local path = os.tmpname()
os.remove(path)

local letters = lstm.vocab "abcde\n"

local function pair(options)
  options = options or {}
  local hidden = options.hidden or 24
  return lstm.seq2seq{
    encoder = lstm.model{input = letters, lstm.embedding(8), options.encoder or lstm.lstm(hidden), seed = 1},
    decoder = lstm.model{input = letters, lstm.embedding(8), options.decoder or lstm.lstm(hidden), output = letters,
      seed = 2},
  }
end

-- Words and what they are backwards.
local function reversals(n, seed)
  local rng, x, y = lstm.rng(seed), {}, {}
  for i = 1, n do
    local word = {}
    for k = 1, rng:index(4) do word[k] = ("abcde"):sub(rng:index(5), -1):sub(1, 1) end
    x[i] = table.concat(word)
    y[i] = x[i]:reverse()
  end
  return lstm.sequences{x = x, y = y}
end

local TestGradient = {}

-- The chain through both networks, by differences: the loss of the pair as a function of one weight of the encoder.
local function check_chain(encoder, decoder, weights_of)
  local rng = lstm.rng(1)
  local function numbers(t)
    local rows = {}
    for i = 1, t do rows[i] = {rng:uniform() * 2 - 1, rng:uniform() * 2 - 1} end
    return rows
  end
  local p = lstm.seq2seq{encoder = encoder, decoder = decoder}
  local data = {x = {numbers(4), numbers(1), numbers(3)}, y = {numbers(2), numbers(5), numbers(1)}}
  local x, y, extra = p:batch(data)
  local trainer = p:trainer{batch = 3, seq = 6, clip = 0, lr = 1e-20, optimizer = "sgd"}
  local loss = assert(trainer:train(x, y, extra))
  lu.assertAlmostEquals(loss, p:evaluate(data).loss, 1e-6)
  local step = 1e-2
  for name, places in pairs(weights_of) do
    local weights, gradient = encoder:tensor(name), trainer.encoder:gradient(name)
    for _, i in ipairs(places) do
      local was, losses = weights[i][1], {}
      for k, by in ipairs{step, -step} do
        weights[i][1] = was + by
        encoder:tensor(name, weights)
        losses[k] = p:evaluate(data).loss
      end
      weights[i][1] = was
      encoder:tensor(name, weights)
      lu.assertAlmostEquals((losses[1] - losses[2]) / (2 * step), gradient[i][1], 2e-5, name .. " row " .. i)
    end
  end
end

function TestGradient.testChain()
  check_chain(lstm.model{input = 2, hidden = {3, 2}, output = 1, seed = 1},
    lstm.model{input = 2, hidden = {3, 2}, output = 2, read = "all", seed = 2},
    {["rnn.weight_ih_l0"] = {1, 7, 12}, ["rnn1.weight_hh_l0"] = {2, 5, 8}})
end

-- Two directions: h of both is the decoder's h, c of both its c.
function TestGradient.testBidirectional()
  local encoder = lstm.model{input = 2, lstm.lstm{3, bidirectional = true, projection = 2}, output = 1, seed = 1}
  local decoder = lstm.model{input = 2, lstm.lstm{6, projection = 4}, output = 2, read = "all", seed = 2}
  check_chain(encoder, decoder, {["rnn.weight_ih_l0"] = {1, 7, 12}, ["rnn.weight_ih_l0_reverse"] = {2, 5, 8}})
  local p = lstm.seq2seq{encoder = encoder, decoder = decoder}
  lu.assertEquals(p.places:totable(), {1, 2, 6, 7, 3, 4, 5, 8, 9, 10})
  local x = lstm.array{{1, 2}, {3, 4}}
  local state, traced = encoder:state(), encoder:trace(x)
  state:forward(x)
  local values = state:values():totable()
  for k = 1, 2 do lu.assertEquals(values[p.places[k]], traced.h[2][k]) end
  for k = 1, 3 do lu.assertEquals(values[p.places[4 + k]], traced.c[2][k]) end
end

-- The same with level 3 by hand: what flows out of the decoder's beginning flows into the encoder's end.
function TestGradient.testByHand()
  local encoder = lstm.model{input = 1, hidden = 3, output = 1, seed = 1}:trainer{batch = 1, seq = 2, loss = "none"}
  local decoder = lstm.model{input = 1, hidden = 3, output = 1, read = "all", seed = 2}:trainer{batch = 1, seq = 2}
  encoder:forward(lstm.array{{{0.5}}, {{-0.5}}})
  decoder:forward(lstm.array{{{0}}, {{1}}}, {initial = encoder:final()})
  decoder:loss(lstm.array{{{1}}, {{2}}})
  decoder:zero_gradients()
  local flow = decoder:backward()
  lu.assertEquals({flow.d_initial:shape()}, {1, 6})
  encoder:zero_gradients()
  encoder:backward{d_final = flow.d_initial}
  lu.assertTrue(encoder:clip() > 0)
  lu.assertTrue((encoder:gradient "rnn.weight_ih_l0" * encoder:gradient "rnn.weight_ih_l0"):sum() > 0)
end

local TestFit = {}

function TestFit.testLearnsToReverse()
  for _, options in ipairs{{}, {encoder = lstm.gru(24), decoder = lstm.gru(24)}} do
    local p = pair(options)
    local train, validation = reversals(400, 1):split(0.9)
    local history = assert(p:fit(train, {
      validation = validation, epochs = 25, batch = 16, lr = 0.01, seed = 1, verbose = 0,
    }))
    lu.assertTrue(history[#history].val_loss < history[1].val_loss / 4)
    lu.assertTrue(history[#history].accuracy > 0.9)
    lu.assertAlmostEquals(p:evaluate(validation).loss, history[history.best].val_loss, 1e-6)
    local right = 0
    for i = 1, #validation do
      if p:translate(validation.x[i]) == validation.y[i] then right = right + 1 end
    end
    lu.assertTrue(right > 0.7 * #validation)
  end
end

function TestFit.testNumbers()
  local encoder = lstm.model{input = 1, hidden = 12, output = 1, seed = 1}
  local decoder = lstm.model{input = 1, hidden = 12, output = 1, read = "all", seed = 2}
  local p = lstm.seq2seq{encoder = encoder, decoder = decoder}
  local x, y = {}, {}
  for i = 1, 60 do
    local past, future = {}, {}
    for t = 1, 5 + i % 4 do past[t] = math.sin(i + t / 2) end
    for t = 1, 2 + i % 3 do future[t] = math.sin(i + (#past + t) / 2) end
    x[i], y[i] = past, future
  end
  local history = assert(p:fit({x = x, y = y}, {epochs = 80, batch = 12, lr = 0.01, seed = 1, verbose = 0}))
  lu.assertTrue(history[#history].loss < history[1].loss / 5)
  local written = p:translate(x[7], {max = 2})
  lu.assertEquals({written:shape()}, {2, 1})
  lu.assertAlmostEquals(written[1][1], y[7][1], 0.4)
  lu.assertNil(p:evaluate{x = x, y = y}.accuracy)
  fails("a decoder of numbers needs max", p.translate, p, x[1])
end

function TestFit.testBidirectionalEncoder()
  local p = lstm.seq2seq{
    encoder = lstm.model{input = letters, lstm.embedding(8), lstm.lstm{12, bidirectional = true}, seed = 1},
    decoder = lstm.model{input = letters, lstm.embedding(8), lstm.lstm(24), output = letters, seed = 2},
  }
  local history = assert(p:fit(reversals(200, 1), {epochs = 10, batch = 16, lr = 0.01, seed = 1, verbose = 0}))
  lu.assertTrue(history[#history].loss < history[1].loss / 1.5)
  lu.assertEquals(type(p:translate "abc"), "string")
end

function TestFit.testResumeBitForBit()
  local function options(t)
    t.validation, t.batch, t.lr, t.seed, t.verbose = reversals(20, 2), 16, 0.01, 1, 0
    return t
  end
  local function new()
    return pair{hidden = 8, encoder = lstm.lstm{8, dropout = 0.1}, decoder = lstm.lstm{8, dropout = 0.1}}
  end
  local function bytes(p) return p.encoder:bytes() .. p.decoder:bytes() end
  local whole, parts = new(), new()
  assert(whole:fit(reversals(100, 1), options{epochs = 4}))
  assert(parts:fit(reversals(100, 1), options{epochs = 2, checkpoint = path}))
  parts = new()
  local history = assert(parts:fit(reversals(100, 1), options{epochs = 4, checkpoint = path, resume = true}))
  lu.assertEquals(#history, 4)
  lu.assertEquals(bytes(parts) == bytes(whole), true)
  local other = pair{hidden = 9}
  local before = bytes(other)
  local _, message, status = other:fit(reversals(100, 1), options{epochs = 5, resume = path})
  lu.assertStrContains(message, "has other layers than this one")
  lu.assertEquals(status, "mismatch")
  lu.assertEquals(bytes(other) == before, true)
  _, message, status = new():fit(reversals(100, 1), options{epochs = 4, resume = "/nonexistent/x"})
  lu.assertStrContains(message, "/nonexistent/x.decoder")
  lu.assertEquals(status, "io")
end

-- A process that is killed between the two files of a checkpoint leaves a pair that belongs together.
function TestFit.testKilledBetweenTheTwoFiles()
  local function options(t)
    t.batch, t.lr, t.seed, t.verbose, t.checkpoint, t.resume = 16, 0.01, 1, 0, path, true
    return t
  end
  local function read(name) return assert(lstm.readfile(path .. name)) end
  local function write(name, bytes) assert(lstm.writefile(path .. name, bytes)) end
  for _, name in ipairs{".encoder", ".decoder", ".encoder.next"} do os.remove(path .. name) end
  local p = pair{hidden = 8}
  assert(p:fit(reversals(50, 1), options{epochs = 1}))
  local first = {encoder = read ".encoder", decoder = read ".decoder"}
  assert(p:fit(reversals(50, 1), options{epochs = 2}))
  local second = {encoder = read ".encoder", decoder = read ".decoder"}
  local function bytes() return p.encoder:bytes() .. p.decoder:bytes() end
  assert(p:fit(reversals(50, 1), options{epochs = 3}))
  local third = bytes()
  for _, decoder in ipairs{first.decoder, second.decoder} do                -- before and after the decoder's file
    write(".encoder", first.encoder)
    write(".decoder", decoder)
    write(".encoder.next", second.encoder)
    assert(p:fit(reversals(50, 1), options{epochs = 3}))
    lu.assertEquals(bytes() == third, true)
  end
  write(".encoder", first.encoder)
  write(".decoder", second.decoder)
  os.remove(path .. ".encoder.next")
  local _, message, status = p:fit(reversals(50, 1), options{epochs = 4})
  lu.assertEquals(message, ("%s.encoder does not belong to %s.decoder"):format(path, path))
  lu.assertEquals(status, "mismatch")
end

function TestFit.testSavesAndLoads()
  local p = pair{hidden = 8}
  assert(p:save(path))
  local got = lstm.seq2seq{
    encoder = assert(lstm.load(path .. ".encoder")), decoder = assert(lstm.load(path .. ".decoder")),
  }
  lu.assertEquals(got:translate("abc", {max = 9}), p:translate("abc", {max = 9}))
  lu.assertEquals(got:parameters(), p:parameters())
  lu.assertStrContains(tostring(got), "decoder:\n")
  local ok, message, status = p:save "/nonexistent/x"
  lu.assertNil(ok)
  lu.assertStrContains(message, "/nonexistent/x.encoder")
  lu.assertEquals(status, "io")
end

-- How far the weights of a model have moved: squared.
local function moved(model, before)
  local sum = 0
  for _, name in ipairs(model:tensors()) do
    local by = model:tensor(name) - before:tensor(name)
    sum = sum + (by * by):sum()
  end
  return sum
end

-- One norm for both: a step of plain gradient descent is as long as clip says, in the direction of the gradient.
function TestFit.testClipsBothTogether()
  local p = pair{hidden = 6}
  local function step(clip)
    local encoder, decoder = p.encoder:clone(), p.decoder:clone()
    local trainer = p:trainer{batch = 2, seq = 5, clip = clip, lr = 1, optimizer = "sgd"}
    assert(trainer:train(p:batch{x = {"abc", "b"}, y = {"cba", "b"}}))
    local a, b, norm = moved(p.encoder, encoder), moved(p.decoder, decoder), trainer:norm()
    for name, copy in pairs{encoder = encoder, decoder = decoder} do p[name].core:copy_weights(copy.core) end
    return a, b, norm
  end
  local a, b, norm = step(0)
  lu.assertAlmostEquals(math.sqrt(a + b), norm, 1e-4)
  local c, d, same = step(norm / 10)
  lu.assertAlmostEquals(same, norm, 1e-6)
  lu.assertAlmostEquals(math.sqrt(c + d), norm / 10, 1e-4)
  lu.assertAlmostEquals(c / d, a / b, 1e-2)
  local e, f = step(norm * 2)
  lu.assertAlmostEquals(e + f, a + b, 1e-5)
end

function TestFit.testFreeze()
  local p = pair{hidden = 6}
  local before = {encoder = p.encoder:clone(), decoder = p.decoder:clone()}
  p:fit({x = {"abc", "b"}, y = {"cba", "b"}}, {epochs = 3, batch = 2, verbose = 0, freeze = {encoder = {1}},
    layer_rates = {decoder = {0, 1, 0}}})
  local function same(name, tensor) return p[name]:tensor(tensor) == before[name]:tensor(tensor) end
  lu.assertTrue(same("encoder", "embed.weight"))
  lu.assertFalse(same("encoder", "rnn.weight_hh_l0"))
  lu.assertTrue(same("decoder", "embed.weight"))
  lu.assertTrue(same("decoder", "head.weight"))
  lu.assertFalse(same("decoder", "rnn.weight_hh_l0"))
end

local TestTranslate = {}

function TestTranslate.testForms()
  local p = pair{hidden = 8}
  local one = p:translate("abc", {max = 5})
  lu.assertEquals(p:translate(letters:encode "abc", {max = 5}), one)
  lu.assertEquals(p:translate(letters:encode "abc".ids, {max = 5}), one)
  lu.assertEquals(p:translate({1, 2, 3}, {max = 5}), one)
  lu.assertTrue(#p:translate("abc", {max = 3}) <= 3)
  lu.assertEquals(p:translate("abc", {temperature = 1, seed = 4}), p:translate("abc", {temperature = 1, seed = 4}))
  fails("one sequence expected", p.translate, p, 5)
  fails('encode: "z"', p.translate, p, "z")
  fails('unknown option "maxx"', p.translate, p, "a", {maxx = 1})
end

function TestTranslate.testStartAndStop()
  local function ids(n)
    return lstm.model{
      input = n, lstm.embedding(3), lstm.lstm(4), output = n, loss = "cross_entropy", read = "all", seed = 1,
    }
  end
  local p = lstm.seq2seq{encoder = ids(5), decoder = ids(6), start = 6, stop = 6}
  local out = p:translate({0, 1}, {max = 4})
  lu.assertEquals(type(out), "table")
  for _, id in ipairs(out) do lu.assertTrue(id >= 0 and id < 5) end
  assert(p:fit({x = {{0, 1}, {4}}, y = {{2, 3, 4}, {0}}}, {epochs = 1, verbose = 0}))
  fails("start = ", lstm.seq2seq, {encoder = ids(5), decoder = ids(6)})
  fails("start = 7 is no symbol of the decoder", lstm.seq2seq, {encoder = ids(5), decoder = ids(6), start = 7})
end

-- What a sentence begins and ends with belongs to what the decoder has learned: it travels in its file.
function TestTranslate.testStartAndStopAreKept()
  local words = lstm.vocab("a b c d", "words")
  local function network(output)
    return lstm.model{input = words, lstm.embedding(4), lstm.gru(8), output = output, seed = 1}
  end
  local p = lstm.seq2seq{encoder = network(), decoder = network(words), start = "c", stop = "d"}
  assert(p:fit({x = {"a b", "b a"}, y = {"b a", "a b"}}, {epochs = 3, lr = 0.02, verbose = 0}))
  assert(p:save(path))
  local function loaded(more)
    more = more or {}
    more.encoder, more.decoder = assert(lstm.load(path .. ".encoder")), assert(lstm.load(path .. ".decoder"))
    return lstm.seq2seq(more)
  end
  local q = loaded()
  lu.assertEquals({q.start, q.stop}, {words:id "c", words:id "d"})
  lu.assertEquals(q:translate "a b", p:translate "a b")
  lu.assertEquals(loaded{start = "c", stop = "d"}.start, q.start)
  fails('start = "a" (a string), but the decoder belongs to start = "c"', loaded, {start = "a"})
  fails('stop = "a" (a string), but the decoder belongs to stop = "d"', loaded, {stop = "a"})
end

function TestTranslate.testList()
  local p = pair{hidden = 8}
  lu.assertEquals(p:translate({"abc", "d"}, {max = 5}), {p:translate("abc", {max = 5}), p:translate("d", {max = 5})})
end

local TestBeam = {}

local few = lstm.vocab "ab\n"

-- A pair that is sure of nothing, so that all sequences have their chance.
local function unsure(encoder)
  local p = lstm.seq2seq{
    encoder = lstm.model{input = few, lstm.embedding(3), encoder or lstm.lstm(4), seed = 1},
    decoder = lstm.model{input = few, lstm.embedding(3), lstm.lstm(4), output = few, seed = 9},
  }
  p:fit({x = {"ab", "b", "aab", "bb"}, y = {"b", "ba", "ab", "a"}}, {epochs = 8, verbose = 0, batch = 2, lr = 0.03,
    seed = 1})
  return p
end

-- Every sequence of at most `most` symbols that ends, with its score: the definition.
local function all_of(p, source, most, penalty)
  local list = {}
  local encoder = p.encoder:state()
  encoder:forward(few:encode(source).ids)
  local function go_on(state, given, text, log_p, length)
    if length == most then return end
    state:feed(given)
    local y = state:output()
    for id = 0, 2 do
      local sum = log_p + math.log(y[id + 1])
      if id == p.stop then
        list[#list + 1] = {text = text, score = sum / (length + 1) ^ penalty}
      else
        go_on(state:clone(), id, text .. few:symbol(id), sum, length + 1)
      end
    end
  end
  local values = encoder:values()
  go_on(p.decoder:state():set_values(values), p.start, "", 0, 0)
  table.sort(list, function(a, b) return a.score > b.score end)
  return list
end

-- A beam that holds everything is exact.
function TestBeam.testAgainstAllSequences()
  local p = unsure()
  for _, penalty in ipairs{0, 0.6, 1, 2} do
    for _, source in ipairs{"ab", "bbb"} do
      local all = all_of(p, source, 4, penalty)
      lu.assertEquals(#all, 15)
      local texts, scores = p:translate(source, {beam = 32, n = 6, max = 4, length_penalty = penalty})
      for i = 1, 6 do
        lu.assertEquals(texts[i], all[i].text)
        lu.assertAlmostEquals(scores[i], all[i].score, 1e-5)
      end
      lu.assertEquals({p:translate(source, {beam = 32, max = 4, length_penalty = penalty})}, {texts[1]})
      local _, greedy = p:translate(source, {beam = 1, n = 1, max = 4, length_penalty = penalty})
      lu.assertTrue(greedy[1] <= scores[1] + 1e-6)
    end
  end
end

-- The same by lanes of a wider state: the steps are the same bits, only what is followed differs.
function TestBeam.testNarrow()
  local p = unsure()
  local all, scores = {}, {}
  for _, item in ipairs(all_of(p, "ab", 6, 1)) do all[item.text] = item.score end
  for _, beam in ipairs{2, 3, 5, 64} do
    local texts, score = p:translate("ab", {beam = beam, max = 6, n = 1})
    lu.assertAlmostEquals(score[1], all[texts[1]], 1e-5)
    scores[#scores + 1] = score[1]
  end
  for i, score in ipairs(scores) do lu.assertTrue(score <= scores[#scores] + 1e-6, "beam " .. i) end
end

function TestBeam.testOfOneIsGreedy()
  local p = pair()
  p:fit(reversals(200, 1), {epochs = 4, batch = 16, lr = 0.01, seed = 1, verbose = 0})
  for _, source in ipairs{"a", "ab", "ecb", "deda"} do
    lu.assertEquals({p:translate(source)}, p:translate(source, {beam = 1, n = 1}))
  end
end

function TestBeam.testLists()
  local p = unsure(lstm.lstm{2, bidirectional = true})
  local texts, scores = p:translate({"ab", "b"}, {beam = 4, n = 3})
  lu.assertEquals({#texts, #texts[1], #scores[2]}, {2, 3, 3})
  lu.assertEquals(texts[2], (p:translate("b", {beam = 4, n = 3})))
  lu.assertEquals(p:translate({"ab", "b"}, {beam = 4}), {texts[1][1], texts[2][1]})
  for i = 2, 3 do lu.assertTrue(scores[1][i] <= scores[1][i - 1]) end
end

-- Where nothing ends in time, what there is.
function TestBeam.testWithoutAnEnd()
  local p = unsure()
  local texts = p:translate("ab", {beam = 8, n = 4, max = 1})
  lu.assertEquals(#texts, 3)
  lu.assertEquals(texts[1], "")
  for _, text in ipairs(p:translate("ab", {beam = 2, n = 2, max = 3})) do lu.assertTrue(#text <= 3) end
end

function TestBeam.testStoredSeeds()
  local p = unsure()
  local function say(seed, k) return (p:translate("ab", {temperature = 2, seed = seed, max = 30, top_k = k})) end
  lu.assertEquals(say(1), say(1))
  lu.assertEquals(say(5, 1), (p:translate("ab", {max = 30})))
end

local TestLoad = {}

function TestLoad.testBothAtOnce()
  local p = unsure()
  assert(p:save(path))
  local loaded = assert(lstm.load(path))
  os.remove(path .. ".encoder")
  for _, source in ipairs{"ab", "b"} do lu.assertEquals({loaded:translate(source)}, {p:translate(source)}) end
  lu.assertEquals({loaded.start, loaded.stop}, {p.start, p.stop})
  local none, message, status = lstm.load(path)
  lu.assertNil(none)
  lu.assertStrContains(message, path .. ".encoder")
  lu.assertEquals(status, "io")
  assert(lstm.model{input = few, lstm.embedding(3), lstm.lstm(5)}:save(path .. ".encoder"))
  none, message, status = lstm.load(path)
  os.remove(path .. ".encoder")
  os.remove(path .. ".decoder")
  lu.assertNil(none)
  lu.assertEquals(message, path .. ": seq2seq: recurrent layer 1 of the encoder ends as lstm of 5, that of the " ..
    "decoder begins as lstm of 4: type, size and projection must be the same")
  lu.assertEquals(status, "mismatch")
end

local TestWrongUses = {}

function TestWrongUses.testTranslate()
  local p = unsure()
  local function says(sentence, source, options, other)
    local ok, message = pcall(function() (other or p):translate(source, options) end)
    lu.assertFalse(ok)
    lu.assertStrMatches(message, "tests/lua/seq2seq.lua:%d+: .*")
    lu.assertEquals((message:gsub("^[^ ]-:%d+: ", "")), sentence)
  end
  says('translate: option "beam" must be a whole number of at least 1, got 0', "ab", {beam = 0})
  says('translate: option "length_penalty" must be a number of at least 0, got -1', "ab", {length_penalty = -1})
  says("translate: n = 3 needs a beam of at least 3", "ab", {n = 3, beam = 2})
  says("translate: beam looks for the likeliest, temperature draws: give one of them", "ab",
    {beam = 2, temperature = 1})
  says("translate: length_penalty belongs to a beam, which compares whole sequences: beam = 5", "ab",
    {length_penalty = 0.5})
  says("translate: top_k and top_p belong to temperature = 1, which draws", "ab", {top_k = 3})
  says('translate: unknown option "beams", did you mean "beam"? (there are beam, length_penalty, max, n, seed, ' ..
    'temperature, top_k and top_p)', "ab", {beams = 3})
  says('translate: sequence 1: encode: "x" at line 1, column 2 (byte 2) is not in the vocabulary of 3 bytes', "ax")
  says("translate: the sequence is empty", "")
  says("translate: one sequence expected, got nil", nil)
  local function numbers() return lstm.model{input = 1, hidden = 2, output = 1, read = "all"} end
  local q = lstm.seq2seq{encoder = numbers(), decoder = numbers()}
  says("translate: a decoder of numbers needs max, how many steps to write", {1, 2}, {}, q)
  says("translate: temperature, beam and n are for a decoder of tokens", {1, 2}, {max = 2, beam = 2}, q)
  says('translate: option "max" must be a whole number of at least 1, got 0', "ab", {max = 0})
end

local TestRefused = {}

function TestRefused.testModels()
  local function model(...) return lstm.model{input = letters, lstm.embedding(3), ..., output = letters} end
  local four = model(lstm.lstm(4))
  fails("recurrent layer 1 of the encoder ends as lstm of 4, that of the decoder begins as lstm of 5", lstm.seq2seq,
    {encoder = four, decoder = model(lstm.lstm(5))})
  fails("the decoder is bidirectional", lstm.seq2seq,
    {encoder = four, decoder = model(lstm.lstm{2, bidirectional = true})})
  fails('make it with read = "all"', lstm.seq2seq, {encoder = four, decoder = model(lstm.lstm{4, read = "last"})})
  fails("its 6 inputs must be as many as its 2 outputs", lstm.seq2seq, {encoder = four, decoder = lstm.model{
    input = letters, lstm.embedding(3), lstm.lstm(4), output = {"a", "b"}, read = "all"}})
  fails("encoder must be a model, got a table", lstm.seq2seq, {encoder = {}, decoder = four})
  fails('option "decoder" is missing', lstm.seq2seq, {encoder = four})
end

-- The states must be alike layer by layer, not only as many numbers.
function TestRefused.testStates()
  local function model(...) return lstm.model{input = letters, lstm.embedding(3), ...} end
  local function decoder(...)
    local list = {input = letters, lstm.embedding(3), ...}
    list.output = letters
    return lstm.model(list)
  end
  fails("ends as gru of 16, that of the decoder begins as lstm of 8", lstm.seq2seq,
    {encoder = model(lstm.gru(16)), decoder = decoder(lstm.lstm(8))})
  fails("the encoder has 2 recurrent layers, the decoder 1", lstm.seq2seq,
    {encoder = model(lstm.gru(8), lstm.gru(8)), decoder = decoder(lstm.gru(16))})
  fails("ends as lstm of 6, projected to 3, that of the decoder begins as lstm of 6", lstm.seq2seq,
    {encoder = model(lstm.lstm{6, projection = 3}), decoder = decoder(lstm.lstm(6))})
  fails("ends as lstm of 8 (both directions), that of the decoder begins as lstm of 4", lstm.seq2seq,
    {encoder = model(lstm.lstm{4, bidirectional = true}), decoder = decoder(lstm.lstm(4))})
end

function TestRefused.testFit()
  local p = pair{hidden = 4}
  fails("a set {x = list of sequences, y = list of sequences} expected", p.fit, p, {x = {"a"}}, {})
  fails("the set is empty", p.fit, p, {x = {}, y = {}}, {})
  fails("x has 2 sequences, y has targets for 1", p.fit, p, {x = {"a", "b"}, y = {"a"}}, {})
  local function refused(message, options) fails(message, p.fit, p, {x = {"a"}, y = {"a"}}, options) end
  refused("fit: freeze of a pair has a list for each: freeze = {encoder = {1}, decoder = {1, 2}}", {freeze = {1}})
  refused('fit: freeze: unknown model "decodr", did you mean "decoder"?', {freeze = {encoder = {1}, decodr = {1}}})
  refused("fit: encoder: freeze lists the numbers of layers, from 1 to 2, got 3", {freeze = {encoder = {3}}})
  refused("fit: decoder: layer_rates", {layer_rates = {decoder = {1}}})
  fails("seq is for texts", p.fit, p, {x = {"a"}, y = {"a"}}, {seq = 3})
  fails("burn_in is for one model", p.fit, p, {x = {"a"}, y = {"a"}}, {burn_in = 3})
  fails('seq2seq: there is no method "trnslate"; did you mean "translate"?', function() return p.trnslate end)
end

local code = lu.LuaUnit.new():runSuiteByInstances{
  {"TestGradient", TestGradient}, {"TestFit", TestFit}, {"TestTranslate", TestTranslate},
  {"TestBeam", TestBeam}, {"TestLoad", TestLoad}, {"TestWrongUses", TestWrongUses}, {"TestRefused", TestRefused},
}
for _, name in ipairs{"encoder", "decoder"} do os.remove(path .. "." .. name) end
os.exit(code, true)
