-- Tests of models: making, looking, saving, predicting, generating (host/model.c, host/lua/model.lua and its helpers).

local lu = require "luaunit"
local lstm = require "lstm"

local fails = lu.assertErrorMsgContains
local function refused(message, options) fails(message, lstm.model, options) end

local TestMaking = {}

function TestMaking.testShortForm()
  local m = lstm.model{input = 1, hidden = 50, output = 1}
  lu.assertEquals(m:parameters(), 4 * 50 * (1 + 50 + 2) - 4 * 50 + 50 + 1)
  lu.assertEquals(m.loss, "mse")
  lu.assertEquals(m.core:describe().layers[1].read, "last")
  local two = lstm.model{input = 2, hidden = {5, 4}, output = 1, dropout = 0.1}
  lu.assertEquals(#two.core:describe().layers, 5)
  lu.assertEquals(lstm.model{input = 2, hidden = 5, layers = 3, output = 1}.core:describe().layers[3].size, 5)
end

function TestMaking.testVocabulary()
  local vocab = lstm.vocab "hello world"
  local m = lstm.model{input = vocab, lstm.embedding(8), lstm.lstm(16), output = vocab}
  local layers = m.core:describe().layers
  lu.assertEquals({layers[1].type, layers[2].type, layers[3].type}, {"embedding", "lstm", "dense"})
  lu.assertEquals(layers[3].size, #vocab)
  lu.assertEquals(layers[2].read, "all")
  lu.assertEquals(m.loss, "cross_entropy")
  lu.assertEquals(m.core:output(), "softmax")
  lu.assertEquals(lstm.model{input = vocab, hidden = 4, output = vocab}.core:describe().layers[1].type, "embedding")
end

function TestMaking.testLayersKeepTheirOptions()
  local layers = {lstm.lstm{6, read = "all", name = "encoder"}, lstm.dense{5, activation = "tanh"}, lstm.dropout(0.25)}
  local m = lstm.model{input = 3, layers[1], layers[2], layers[3], output = 2}
  local got = m.core:describe().layers
  lu.assertEquals(got[1], {type = "lstm", size = 6, read = "all", name = "encoder", activation = "tanh",
    gate_activation = "sigmoid"})
  lu.assertEquals(got[2].activation, "tanh")
  lu.assertAlmostEquals(got[3].rate, 0.25, 1e-7)
  lu.assertEquals(m:tensors()[1], "encoder.weight_ih_l0")
  lu.assertEquals(tostring(layers[1]), "lstm 6, read all, name encoder")
  lu.assertEquals(tostring(layers[3]), "dropout 0.25")
end

function TestMaking.testSeeds()
  local function weights(options)
    options.input, options.hidden, options.output = 2, 3, 1
    return lstm.model(options):tensor "rnn.weight_ih_l0"
  end
  lu.assertEquals(weights{seed = 5}, weights{seed = 5})
  lu.assertNotEquals(weights{seed = 5}, weights{seed = 6})
  lstm.seed(9)
  local first, second = weights{}, weights{}
  lu.assertNotEquals(first, second)
  lu.assertEquals(first, weights{seed = 9})
  lstm.seed(9)
  lu.assertEquals(first, weights{})
  lu.assertNotEquals(weights{seed = 5, init = "pytorch"}, weights{seed = 5})
  lu.assertEquals(weights{init = "zero"}:sum(), 0)
  fails("a seed must be a whole number", lstm.seed, 1.5)
end

function TestMaking.testFromAModel()
  local a = lstm.model{input = 2, hidden = 3, output = 1}
  local b = lstm.model{input = 2, hidden = 3, output = 1, init = a}
  lu.assertEquals(a:tensor "rnn.weight_hh_l0", b:tensor "rnn.weight_hh_l0")
  refused("another architecture", {input = 2, hidden = 4, output = 1, init = a})
  refused("must be a name or a model", {input = 2, hidden = 4, output = 1, init = {}})
end

function TestMaking.testRefused()
  refused('unknown option "hiden", did you mean "hidden"?', {input = 1, hiden = 32, output = 1})
  refused('option "input" is missing', {hidden = 3})
  refused('option "hidden" must be', {input = 1, hidden = 0, output = 1})
  refused('option "dropout" must be', {input = 1, hidden = 2, output = 1, dropout = 1})
  refused('option "read" must be', {input = 1, hidden = 2, output = 1, read = "first"})
  refused('option "loss" must be', {input = 1, hidden = 2, output = 1, loss = "mad"})
  refused('model: unknown init "glorot" (there are default, pytorch and zero)', {input = 1, hidden = 2, output = 1,
    init = "glorot"})
  refused('model: unknown init "pytroch", did you mean "pytorch"?', {input = 1, hidden = 2, output = 1,
    init = "pytroch"})
  refused('option "numerics" must be one of "fused" and "portable", got "portabel" (a string), did you mean ' ..
    '"portable"?', {input = 1, hidden = 2, output = 1, numerics = "portabel"})
  refused("give hidden = cells", {input = 1, output = 1})
  refused("hidden lists 2 layers, layers says 3", {input = 1, hidden = {2, 2}, layers = 3, output = 1})
  refused('"hidden" is for models without a list of layers', {input = 1, hidden = 2, lstm.lstm(2)})
  refused("layer 1 must be made by", {input = 1, {50}})
  refused("needs an embedding first", {input = lstm.vocab "ab", lstm.lstm(2)})
  refused("input is a vocabulary or a number", {input = {"a", "b"}, hidden = 2})
  refused("at least two labels", {input = 1, hidden = 2, output = {"a"}})
  refused("label 2 must be a string", {input = 1, hidden = 2, output = {"a", 2}})
  refused("no recurrent layer", {input = 1, lstm.dense(3)})
  refused('unknown instruction set "mmx"', {input = 1, hidden = 2, output = 1, isa = "mmx"})
  fails("the size must be a whole number", lstm.lstm, "x")
  fails('unknown option "raed", did you mean "read"', lstm.lstm, {3, raed = "all"})
  fails("the rate must be a number", lstm.dropout, 1)
  fails('option "activation" must be one of', lstm.dense, {3, activation = "gelu"})
  fails("the size must be", lstm.embedding, 0)
end

local TestLooking = {}

function TestLooking.testText()
  local text = tostring(lstm.model{input = 2, hidden = 3, output = {"a", "b"}})
  lu.assertStrContains(text, [[
input 2
 1  lstm hidden=3 read=last   2 -> 3  72 parameters
 2  dense size=2              3 -> 2   8 parameters
output 2, softmax: a and b
loss cross_entropy; 80 parameters, 320 bytes, runs on ]])
end

function TestLooking.testTextOfAPipeline()
  local rows = lstm.table(lstm.array{{0, 5}, {1, 5}, {4, 9}, {2, 7}, {3, 6}}, {"temp", "load"})
  local m = lstm.model{input = 2, hidden = 3, output = 2, meta = {note = "x"}}
  m:fit(lstm.minmax(rows):apply(rows):windows{look_back = 2, steps = 2, target = "load"}, {epochs = 1, verbose = 0})
  local text = tostring(m)
  for _, line in ipairs{"input 2: temp and load\n", "output 2, linear: load of 2 rows\n", "\nmeta: note",
    "\npipeline: look_back 2, ahead 1, steps 2; scaler minmax: temp 0 to 4, load 5 to 9\n"} do
    lu.assertStrContains(text, line)
  end
  local vocab = lstm.vocab "abc"
  text = tostring(lstm.model{input = vocab, hidden = 3, output = vocab})
  lu.assertStrContains(text, "input 3 tokens: vocabulary of 3 bytes\n")
  lu.assertStrContains(text, " read=all ")
end

function TestLooking.testTensors()
  local m = lstm.model{input = 2, hidden = 3, output = 1}
  local name = m:tensors()[1]
  lu.assertEquals(name, "rnn.weight_ih_l0")
  lu.assertEquals({m:tensor(name):shape()}, {12, 2})
  local before = m:predict(lstm.array{{1, 2}})[1]
  m:tensor(name, m:tensor(name) * 2)
  lu.assertNotEquals(m:predict(lstm.array{{1, 2}})[1], before)
  fails('no tensor "rnn.weight"', m.tensor, m, "rnn.weight")
  fails("shape [12][2] expected, got [2][12]", m.tensor, m, name, lstm.zeros{2, 12})
end

function TestLooking.testLabels()
  local m = lstm.model{input = 1, hidden = 2, output = {"circle", "slash"}}
  lu.assertEquals({m:label(1), m:label(2)}, {"circle", "slash"})
  lu.assertEquals({m:index "slash", m:index "zigzag"}, {2})
  lu.assertEquals(lstm.model{input = 1, hidden = 2, output = 3}:label(3), 3)
end

function TestLooking.testClone()
  local m = lstm.model{input = 2, hidden = 3, output = 1, meta = {a = 1}}
  local copy = m:clone()
  lu.assertEquals(copy:tensor "head.weight", m:tensor "head.weight")
  copy:tensor("head.weight", copy:tensor "head.weight" + 1)
  copy.meta.a = 2
  lu.assertNotEquals(copy:tensor "head.weight", m:tensor "head.weight")
  lu.assertEquals(m.meta.a, 1)
end

function TestLooking.testIsa()
  local x = lstm.zeros{4, 2} + 0.3
  local reference
  for _, isa in ipairs(lstm.isas()) do
    local m = lstm.model{input = 2, hidden = 20, output = 2, seed = 3, isa = isa}
    lu.assertEquals(m:isa(), isa)
    if isa ~= "sse2" then                                        -- sse2 has no fused operations
      reference = reference or m:predict(x)
      lu.assertEquals(m:predict(x), reference)
    end
  end
end

function TestLooking.testNumerics()
  local x = lstm.zeros{4, 2} + 0.3
  local function make(isa)
    return lstm.model{input = 2, hidden = 20, output = 2, seed = 3, isa = isa, numerics = "portable"}
  end
  local m = make()
  local reference = m:predict(x)
  lu.assertEquals(m:numerics(), "portable")
  lu.assertStrContains(tostring(m), ", portable numerics")
  for _, isa in ipairs(lstm.isas()) do lu.assertEquals(make(isa):predict(x), reference) end    -- sse2 as well
  lu.assertEquals(m:clone():numerics(), "portable")
  lu.assertEquals(lstm.load{data = m:bytes()}:numerics(), "portable")
  lu.assertEquals(lstm.load{data = m:bytes()}:predict(x), reference)
  local fused = lstm.load{data = m:bytes(), numerics = "fused"}
  lu.assertEquals(fused:numerics(), "fused")
  lu.assertEquals(lstm.load{data = fused:bytes(), numerics = "portable"}:predict(x), reference)
  local plain = lstm.model{input = 2, hidden = 20, output = 2, seed = 3}
  lu.assertEquals(plain:numerics(), "fused")
  lu.assertNil(tostring(plain):find "numerics")
  lu.assertNil(plain:bytes():find "numerics")
  fails('option "numerics" must be one of "fused" and "portable"', lstm.model,
    {input = 1, hidden = 2, numerics = "portabel"})
  fails('option "numerics" must be one of "fused" and "portable"', lstm.load, {data = m:bytes(), numerics = "fussed"})
end

local TestFiles = {}
local path = os.tmpname()

function TestFiles.testEverythingTravels()
  local vocab = lstm.vocab "hello\nworld\200"
  local scale = lstm.minmax(lstm.table(lstm.array{{1, 2}, {3, 4}}, {"a", "b"}))
  local m = lstm.model{input = vocab, hidden = 4, output = vocab, meta = {
    text = "@plain = \\ text\n", number = 0.1, whole = 12, yes = true, bytes = "\255\0", scale = scale,
    window = {look_back = 10, target = "Temp", nested = {1, 2, {3}}},
  }}
  lu.assertTrue(m:save(path))
  local got = assert(lstm.load(path))
  lu.assertTrue(got.vocab == vocab and got.output_vocab == vocab)
  lu.assertEquals(got.loss, "cross_entropy")
  lu.assertEquals(got.meta.text, "@plain = \\ text\n")
  lu.assertEquals({got.meta.number, got.meta.whole, got.meta.yes, got.meta.bytes}, {0.1, 12, true, "\255\0"})
  lu.assertEquals(got.meta.scale:tometa(), scale:tometa())
  lu.assertEquals(got.meta.window, {look_back = 10, target = "Temp", nested = {1, 2, {3}}})
  lu.assertEquals(got:predict(vocab:encode "hello"), m:predict(vocab:encode "hello"))
  lu.assertEquals(got:bytes(), m:bytes())
end

function TestFiles.testLabelsAndLoss()
  local m = assert(lstm.load{data = lstm.model{input = 1, hidden = 2, output = {"a", "b=\nc"}}:bytes()})
  lu.assertEquals(m.labels, {"a", "b=\nc"})
  m = assert(lstm.load{data = lstm.model{input = 1, hidden = 2, output = 2, loss = "binary_cross_entropy"}:bytes()})
  lu.assertEquals(m.loss, "binary_cross_entropy")
end

function TestFiles.testFaults()
  lu.assertEquals({lstm.load "/nonexistent"}, {nil, "cannot read /nonexistent: No such file or directory", "io"})
  lu.assertEquals({lstm.load "/tmp"}, {nil, "cannot read /tmp: Is a directory", "io"})
  local m = lstm.model{input = 1, hidden = 2, output = 1}
  lu.assertEquals({m:save "/nonexistent/x"}, {nil, "cannot write /nonexistent/x: No such file or directory", "io"})
  local bytes = m:bytes()
  local got, message, status = lstm.load{data = bytes:sub(1, -2)}
  lu.assertEquals({got, status}, {nil, "format"})
  lu.assertStrContains(message, "data: ")
  assert(lstm.writefile(path, "not a model"))
  got, message, status = lstm.load(path)
  lu.assertEquals({got, status}, {nil, "format"})
  lu.assertStrContains(message, path .. ": ")
end

function TestFiles.testNotFinite()
  local m = lstm.model{input = 1, hidden = 2, output = 1}
  local bias = m:tensor "head.bias"
  bias[1] = 0 / 0
  m:tensor("head.bias", bias)
  local got, message, status = lstm.load{data = m:bytes()}
  lu.assertEquals({got, status}, {nil, "not_finite"})
  lu.assertStrContains(message, "head.bias")
  lu.assertNotNil(lstm.load{data = m:bytes(), allow_not_finite = true})
end

function TestFiles.testMistakes()
  fails("give a path", lstm.load)
  fails("the path must be a string", lstm.load, 5)
  fails('unknown option "isaa"', lstm.load, "x", {isaa = "scalar"})
  local m = lstm.model{input = 1, hidden = 2, output = 1, meta = {f = print}}
  fails('"f" cannot be kept in a file', m.save, m, path)
  m.meta = {[1] = "x"}
  fails("keys are strings", m.save, m, path)
end

local TestRunning = {}

function TestRunning.testPredictEqualsSteps()
  for _, read in ipairs{"all", "last"} do
    local m = lstm.model{input = 2, hidden = 5, output = 3, read = read}
    local x = lstm.zeros{7, 4, 2}
    local rng = lstm.rng(1)
    for i = 1, 7 do
      for t = 1, 4 do x[i][t] = {rng:uniform(), rng:uniform()} end
    end
    local y = m:predict(x, {batch = 3})
    lu.assertEquals({y:shape()}, read == "all" and {7, 4, 3} or {7, 3})
    for i = 1, 7 do
      local state = m:state()
      for t = 1, 4 do
        local out = state:step(x[i][t])
        if read == "all" then lu.assertEquals(y[i][t], out) elseif t == 4 then lu.assertEquals(y[i], out) end
      end
      lu.assertEquals(m:predict(x[i]), y[i])
    end
  end
end

function TestRunning.testThreadsDoNotChangeBits()
  local m = lstm.model{input = 1, hidden = 40, output = 2}
  local x, before, reference = lstm.zeros{100, 5, 1} + 0.5, lstm.threads(), nil
  for _, n in ipairs{1, 2, 3, 7} do
    lstm.threads(n)
    reference = reference or m:predict(x)
    lu.assertEquals(m:predict(x), reference)
  end
  lstm.threads(before)
end

function TestRunning.testEvaluate()
  local m = lstm.model{input = 1, hidden = 3, output = {"a", "b"}}
  local result = m:evaluate{x = lstm.zeros{5, 4, 1}, y = {"a", "b", 1, 2, 2}}
  lu.assertEquals(result.count, 5)
  lu.assertAlmostEquals(result.loss, math.log(2), 1e-3)
  lu.assertTrue(result.accuracy == 0.4 or result.accuracy == 0.6)
  local r = lstm.model{input = 1, hidden = 3, output = 1, init = "zero"}
  lu.assertAlmostEquals(r:evaluate{x = lstm.zeros{3, 2, 1}, y = lstm.array{1, 2, 3}}.loss, 14 / 3, 1e-5)
end

function TestRunning.testEvaluateText()
  local vocab = lstm.vocab(("abcdefgh"):rep(100))
  local m = lstm.model{input = vocab, hidden = 3, output = vocab, init = "zero"}
  local result = m:evaluate(vocab:encode(("abcdefgh"):rep(100)))
  lu.assertEquals(result.count, 799)
  lu.assertAlmostEquals(result.loss, math.log(8), 1e-5)
end

function TestRunning.testMismatches()
  local m = lstm.model{input = 2, hidden = 3, output = 1}
  local vocab = lstm.vocab "abc"
  local text = lstm.model{input = vocab, hidden = 3, output = vocab}
  fails("the model takes 2 inputs, x has 3", m.predict, m, lstm.zeros{3, 7, 3})
  fails("the model takes numbers, not tokens", m.predict, m, vocab:encode "abc")
  fails("from another vocabulary", text.predict, text, lstm.vocab("abcd"):encode "abcd")
  fails("use rows:windows", m.predict, m, lstm.table(lstm.zeros{4, 2}))
  fails("the model has no vocabulary to read strings with", m.predict, m, "abc")
  fails('unknown field "z"', m.predict, m, {x = lstm.zeros{3, 7, 2}, z = 1})
  fails("the set has no targets", m.evaluate, m, {x = lstm.zeros{3, 7, 2}})
  fails("x has 3 sequences, y has 2", m.evaluate, m, {x = lstm.zeros{3, 7, 2}, y = lstm.zeros{2, 1}})
  fails("the model gives 1 output, y has 2", m.evaluate, m, {x = lstm.zeros{3, 7, 2}, y = lstm.zeros{3, 2}})
  fails('make it with read = "all"', m.evaluate, m, {x = lstm.zeros{3, 7, 2}, y = lstm.zeros{3, 7, 1}})
  fails("the set is empty", m.predict, m, lstm.zeros{0, 7, 2})
  fails('unknown option "bach", did you mean "batch"', m.predict, m, lstm.zeros{3, 7, 2}, {bach = 1})
  local rows = lstm.table(lstm.zeros{9, 3})
  fails("the model takes 2 inputs, the windows have 3 columns", m.predict, m, rows:windows{look_back = 2})
end

local TestClassify = {}

local sizes = {"small", "middle", "large"}

function TestClassify.testOnce()
  local m = lstm.model{input = 2, hidden = 4, output = sizes, seed = 1}
  local x = lstm.array{{{0, 1}, {2, 3}}, {{4, 5}, {6, 7}}}
  local labels, p = m:classify(x)
  local y = m:predict(x)
  for i = 1, 2 do
    lu.assertEquals(labels[i], sizes[y[i]:argmax()])
    lu.assertEquals(p[i], y[i]:max())
  end
  local label, share = m:classify(x[1])
  lu.assertEquals({label, share}, {labels[1], p[1]})
  lu.assertEquals(m:classify{{0, 1}, {2, 3}}, label)             -- one sequence as a table
  lu.assertEquals(m:classify{lstm.array{{0, 1}, {2, 3}}, lstm.array{{4, 5}}}[1], label)
  lu.assertEquals({p:shape()}, {2})
end

-- A saturated sigmoid and a linear output have places for all classes, too; NaN has none.
function TestClassify.testWhatIsNoProbability()
  local one = lstm.model{input = 1, hidden = 2, output = 1, loss = "binary_cross_entropy"}
  one:tensor("head.bias", lstm.array{500})
  local x = lstm.array{{1}, {2}}
  lu.assertEquals(one:classify(x, {top = 2}), {{label = 1, p = 1}, {label = 0, p = 0}})
  local linear = lstm.model{input = 1, hidden = 2, output = sizes, loss = "mse", init = "zero"}
  linear:tensor("head.bias", lstm.array{-5, -1, -3})
  lu.assertEquals({linear:classify(x)}, {"middle", -1})
  lu.assertEquals(linear:classify(x, {top = 3})[3], {label = "small", p = -5})
  lu.assertErrorMsgContains("classify: an output is not a number", linear.classify, linear,
    lstm.array{{0 / 0}, {2}})
end

function TestClassify.testTop()
  local m = lstm.model{input = 2, hidden = 4, output = sizes, seed = 1}
  local x = lstm.array{{{0, 1}, {2, 3}}, {{4, 5}, {6, 7}}}
  local labels, p = m:classify(x)
  local top = m:classify(x, {top = 2})
  lu.assertEquals({#top, #top[1]}, {2, 2})
  lu.assertEquals(top[2][1], {label = labels[2], p = p[2]})
  lu.assertTrue(top[1][1].p >= top[1][2].p)
  local one, sum = m:classify(x[2], {top = 9}), 0
  lu.assertEquals(#one, 3)
  for _, item in ipairs(one) do sum = sum + item.p end
  lu.assertAlmostEquals(sum, 1, 1e-5)
end

function TestClassify.testStrings()
  local words = lstm.vocab("good bad film a", "words")
  local m = lstm.model{input = words, hidden = 4, output = {"up", "down"}, read = "last", seed = 1}
  local label, p = m:classify "a good film"
  lu.assertEquals({label, p}, {m:label(m:predict("a good film"):argmax()), m:predict("a good film"):max()})
  local labels, shares = m:classify{"a good film", "bad"}
  lu.assertEquals({labels[1], #labels, #shares}, {label, 2, 2})
  lu.assertAlmostEquals(shares[1], p, 1e-6)
  lu.assertEquals(m:classify({"bad", "a bad film"}, {top = 1})[1][1].label, m:classify "bad")
end

function TestClassify.testEveryStep()
  local letters = lstm.vocab "abc"
  local m = lstm.model{input = letters, hidden = 4, output = sizes, read = "all", seed = 1}
  local labels, p = m:classify "abca"
  lu.assertEquals({#labels, #p}, {4, 4})
  local lists, shares = m:classify{"abca", "b"}
  lu.assertEquals({lists[1], #lists[2], #shares[2]}, {labels, 1, 1})
  lu.assertEquals(m:classify({"abca", "b"}, {top = 2})[1][4][1].label, labels[4])
  local grid, array = m:classify(lstm.array({{0, 1}, {1, 2}, {2, 2}}, "int32"))
  lu.assertEquals({#grid, #grid[1]}, {3, 2})
  lu.assertEquals({array:shape()}, {3, 2})
end

-- A single probability: 1 against 0.
function TestClassify.testOneProbability()
  local m = lstm.model{input = 1, hidden = 3, output = 1, loss = "binary_cross_entropy", seed = 1}
  local x = lstm.array{{{9}}, {{-9}}}
  local labels, p = m:classify(x)
  for i = 1, 2 do
    local y = m:predict(x)[i][1]
    lu.assertEquals(labels[i], y > 0.5 and 1 or 0)
    lu.assertAlmostEquals(p[i], math.max(y, 1 - y), 1e-6)
  end
  lu.assertEquals(#m:classify(x, {top = 3})[1], 2)
end

-- A flat table of numbers, an array [T] or ids [T]: one sequence.
function TestClassify.testFlatTables()
  local m = lstm.model{input = 1, hidden = 3, output = sizes, seed = 1}
  local wanted = m:predict(lstm.array{{4}, {2}, {1}})
  lu.assertEquals({wanted:shape()}, {3})
  lu.assertEquals(m:predict{4, 2, 1}, wanted)
  lu.assertEquals(m:predict(lstm.array{4, 2, 1}), wanted)
  lu.assertEquals(m:classify{4, 2, 1}, m:label(wanted:argmax()))
  lu.assertEquals(#m:classify{{4, 2, 1}, {3, 3}}, 2)
  local letters = lstm.model{input = lstm.vocab "abc", hidden = 3, output = sizes, read = "last"}
  lu.assertEquals(letters:predict{0, 2, 1}, letters:predict "acb")
  for _, kind in ipairs{"int32", "uint8", "float32"} do
    lu.assertEquals(letters:predict(lstm.array({0, 2, 1}, kind)), letters:predict "acb")
  end
  lu.assertEquals(letters:state():forward(lstm.array({0, 2, 1}, "uint8")), letters:predict "acb")
end

local TestWrongUses = {}

local function says(sentence, f, ...)
  local ok, message = pcall(f, ...)
  lu.assertFalse(ok)
  lu.assertEquals((message:gsub("^[^ ]-:%d+: ", "")), sentence)
end

function TestWrongUses.testUse()
  local m = lstm.model{input = 2, hidden = 3, output = sizes}
  local numbers = lstm.model{input = 2, hidden = 3, output = 1}
  local letters = lstm.model{input = lstm.vocab "abc", hidden = 3, output = sizes, read = "last"}
  says('classify: the model gives numbers, not classes (its loss is "mse"): use predict', numbers.classify, numbers,
    lstm.zeros{3, 2})
  says('classify: option "top" must be a whole number of at least 1, got 0', m.classify, m, lstm.zeros{3, 2}, {top = 0})
  says('classify: unknown option "tops", did you mean "top"? (there are batch and top)', m.classify, m,
    lstm.zeros{3, 2}, {tops = 1})
  says("classify: the model has no vocabulary to read strings with", m.classify, m, "abc")
  says('classify: sequence 1: encode: "x" at line 1, column 3 (byte 3) is not in the vocabulary of 3 bytes',
    letters.classify, letters, "abx")
  says("predict: sequence 1 is empty", letters.predict, letters, "")
  says("predict: the model takes 2 inputs, x has 3", m.predict, m, lstm.zeros{4, 5, 3})
  says("predict: windows, tokens, sequences or {x =, y =} expected, got nil", m.predict, m)
  says("predict: windows, tokens, sequences or {x =, y =} expected, got a table without x", m.predict, m, {})
  says("predict: the set is empty", m.predict, m, {x = {}})
  says("predict: the model takes numbers, not tokens: give it input = vocab", m.predict, m,
    lstm.vocab("abc"):encode "abc")
  says('predict: option "batch" must be a whole number of at least 1, got 0', m.predict, m, lstm.zeros{3, 2},
    {batch = 0})
  says("fit: a model expected before the colon, as in model:fit(data, {...})", m.fit, {x = {}}, {epochs = 1})
  says('model: "cross_entropy" needs at least two outputs: for one there is "binary_cross_entropy"', lstm.model,
    {input = 1, hidden = 2, output = 1, loss = "cross_entropy"})
  says('model: "embedding" is for a vocabulary as input', lstm.model,
    {input = 2, hidden = 2, embedding = 4, output = 1})
end

local TestStrings = {}

-- The strings of a file as the manual page describes them to programs in C (FILES): they stay as they are.
function TestStrings.testAreThoseOfTheManual()
  local rows = lstm.table({{1, 10}, {2, 20}, {3, 30}, {4, 40}}, {"a", "b"})
  local text = lstm.model{input = lstm.vocab "ba\255", lstm.embedding(2), lstm.lstm(1), output = {"up", "a=b\\\n"},
    meta = {rate = 44100, on = true, at = "@x", odd = "\255", plain = "x", t = {a = 1}}}
  local strings = assert(lstm.load{data = text:bytes()}).core:meta()
  local wanted = {
    vocab = "bytes-hex 6162ff", labels = "@table\n@number 1=up\n@number 2=a\\eb\\\\\\n", loss = "cross_entropy",
    ["meta.rate"] = "@number 44100", ["meta.on"] = "@boolean true", ["meta.at"] = "@string @x",
    ["meta.odd"] = "@hex ff", ["meta.plain"] = "x", ["meta.t"] = "@table\na=@number 1",
  }
  for key, value in pairs(wanted) do lu.assertEquals(strings[key], value, key) end
  local m = lstm.model{input = 2, hidden = 2, output = 1}
  assert(m:fit(lstm.minmax(rows):apply(rows):windows{look_back = 2, target = "b"}, {epochs = 1, verbose = 0}))
  lu.assertEquals(assert(lstm.load{data = m:bytes()}).core:meta().pipeline, "@table\nahead=@number 1\n" ..
    "columns=@table\\n@number 1\\ea\\n@number 2\\eb\nlook_back=@number 2\nscaler=@scaler minmax\\n1 3 a\\n10 30 b\n" ..
    "steps=@number 1\ntargets=@table\\n@number 1\\eb")
end

local TestRefused = {}

function TestRefused.testContradictions()
  fails('model: labels 1 and 3 are both "up"', lstm.model, {input = 1, hidden = 2, output = {"up", "down", "up"}})
  fails('model: read = "mean" for the model, but layer 1 has read = "last": give one of them', lstm.model,
    {input = 1, lstm.lstm{2, read = "last"}, output = 1, read = "mean"})
  lu.assertEquals(lstm.model{input = 1, lstm.lstm{2, read = "max"}, output = 1, read = "max"}:parameters() > 0, true)
end

function TestRefused.testClassesOfNumbers()
  local m = lstm.model{input = 1, hidden = 2, output = 1}
  fails('classify: the model gives numbers, not classes (its loss is "mse"): use predict', m.classify, m, {x = {{1}}})
end

-- What cannot be read again must not vanish without a word.
function TestRefused.testDamagedMeta()
  local m = lstm.model{input = 1, hidden = 2, output = {"up", "down"}}
  m.meta.scaler, m.meta.t = lstm.minmax(lstm.table{{1}, {2}}), {a = 1}
  local whole = m:bytes()
  local function damaged(message, from, to)
    local bytes, n = whole:gsub(from, to)
    lu.assertEquals(n, 1)
    local got, problem, status = lstm.load{data = bytes}
    lu.assertNil(got)
    lu.assertStrContains(problem, message)
    lu.assertEquals(status, "format")
  end
  damaged('data: meta.scaler is damaged: "@scaler minmix', "minmax", "minmix")
  damaged("data: meta.t is damaged", "@number 1\"", "@numbex 1\"")
  damaged("data: the labels are damaged", "=up", "=@p")
end

local code = lu.LuaUnit.new():runSuiteByInstances{
  {"TestMaking", TestMaking}, {"TestLooking", TestLooking}, {"TestFiles", TestFiles}, {"TestRunning", TestRunning},
  {"TestStrings", TestStrings}, {"TestRefused", TestRefused}, {"TestClassify", TestClassify},
  {"TestWrongUses", TestWrongUses},
}
os.remove(path)
os.exit(code, true)
