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
  lu.assertEquals(p.places, {1, 2, 6, 7, 3, 4, 5, 8, 9, 10})
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
  lu.assertStrContains(message, "/nonexistent/x.encoder")
  lu.assertEquals(status, "io")
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
  fails("freeze and layer_rates are for one model", p.fit, p, {x = {"a"}, y = {"a"}}, {freeze = {1}})
  fails("seq is for texts", p.fit, p, {x = {"a"}, y = {"a"}}, {seq = 3})
  fails("burn_in is for one model", p.fit, p, {x = {"a"}, y = {"a"}}, {burn_in = 3})
  fails('seq2seq: there is no method "trnslate"; did you mean "translate"?', function() return p.trnslate end)
end

local code = lu.LuaUnit.new():runSuiteByInstances{
  {"TestGradient", TestGradient}, {"TestFit", TestFit}, {"TestTranslate", TestTranslate},
  {"TestRefused", TestRefused},
}
for _, name in ipairs{"encoder", "decoder"} do os.remove(path .. "." .. name) end
os.exit(code, true)
