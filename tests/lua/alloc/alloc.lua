-- Every call of the Lua API, with its k-th allocation failing, for every k: it must raise or return nil, leave its
-- objects usable, and leak nothing. Prints a line for each call, as tests/run.sh counts them.

package.cpath = arg[1] .. "/?.so;" .. package.cpath
local run = require "alloc"

-- What every call finds; `check` shows that the objects still work.
local preamble = [[
  local lstm = require "lstm"
  local core = require "lstm.core"
  lstm.threads(1)
  local text = ("hello world, "):rep(8)
  local vocab = lstm.vocab(text)
  local tokens = vocab:encode(text)
  local model = lstm.model{input = vocab, hidden = 3, output = vocab, seed = 1}
  local numbers = lstm.model{input = 2, hidden = 3, output = 1, seed = 1}
  local set = {x = lstm.zeros{5, 3, 2} + 1, y = lstm.zeros{5, 1}}
  local state, trainer = numbers:state(), numbers:trainer{batch = 2, seq = 3, keep_best = true}
  local x, y = lstm.zeros{3, 2, 2} + 1, lstm.zeros{2, 1}
  trainer:train(x, y)
  local a = lstm.array{{1, 2}, {3, 4}}
  state:step(1, 2)
  local bytes, saved, path = model:bytes(), state:bytes(), %q
  local quiet = {steps = 3, batch = 2, seq = 5, verbose = 0, validate_every = 2, seed = 1, validation = tokens,
    checkpoint = path}
  if not lstm.readfile(path .. ".run") then              -- once is enough: every write waits for the disk
    assert(trainer:save(path .. ".run", {}))
    assert(lstm.writefile(path .. ".csv", "a,b\n1,2\n3,4\n"))
    assert(lstm.writefile(path .. ".ts", "@classLabel true u v\n@data\n1,2:3,4:u\n1:2:v\n"))
    assert(lstm.writenpy(path .. ".npy", a))
    local many = {}
    for i = 1, 600 do many[i] = ("w%%d,2020-01-02,%%d"):format(i, i) end
    assert(lstm.writefile(path .. ".long", "n,d,v\n" .. table.concat(many, "\n")))
  end
  local checkpoint = assert(lstm.readfile(path .. ".run"))
  local vocabulary, scaler = vocab:tometa(), lstm.minmax(lstm.table(a)):tometa()
  local rng = lstm.rng(1)
  local both = lstm.model{input = 2, lstm.lstm{3, bidirectional = true}, output = 1, read = "all", seed = 1}
  local words = lstm.vocab("a b c a b", "words")
  local function network(output)
    return lstm.model{input = words, lstm.embedding(3), lstm.gru(3), output = output, seed = 1}
  end
  local pair = lstm.seq2seq{encoder = network(), decoder = network(words)}
  local pairs_ = {x = {"a b", "c"}, y = {"b", "a c"}}
  local ragged = {x = {set.x[1], set.x[2]:slice(1, 2)}, y = lstm.zeros{2, 1}}
  local function square(out, gradient)
    if gradient then gradient[1][1][1] = 2 * out[1][1][1] end
    return out[1][1][1] ^ 2
  end
  require "lstm.fit" require "lstm.generate" require "lstm.csv"
  local function call() %s end
  local function check()
    assert(model:predict(tokens):finite() and numbers:predict(set.x):finite())
    if not pcall(state.output, state) then return end
    state:step(1, 2)
    assert(state:values():finite() and trainer:train(x, y))
  end
  return call, check
]]

local calls = {
  "lstm.array{{1, 2}, {3, 4}}", "lstm.zeros{3, 4}", "lstm.frombytes(a:bytes())", "core.range(0, 9)", "return a + a",
  "return 1 - a", "return a[1]", "a:slice(1, 1)", "a:column(1)", "a:reshape{4}", "a:copy()", "a:totable()", "a:bytes()",
  "a:sum(1)", "tostring(a)", "core.hash(a)", "lstm.rng(1):shuffle(core.range(0, 9))",
  "assert(lstm.readfile(path .. '.run'))", "assert(lstm.writefile(path, text))", "lstm.readfile '/nonexistent'",
  "lstm.vocab(text)", "vocab:encode(text)", "vocab:decode(tokens)", "lstm.vocab('äö', 'utf8'):encode('ö')",
  "assert(lstm.csv(path .. '.csv'))", "assert(lstm.ts(path .. '.ts'))", "assert(lstm.npy(path .. '.npy'))",
  "assert(lstm.csv(path .. '.long', {text = {'n'}, dates = {d = {'days', 'hour'}}})):text('n', 5)",
  "assert(lstm.text(path .. '.long', 'words'))", "assert(lstm.text(path .. '.long', 'utf8'))",
  "assert(lstm.safetensors(path .. '.run'))", "assert(lstm.raw(path .. '.npy', {kind = 'uint8'}))",
  "lstm.zeros(99999):slice(2, 9):copy():sort()", "core.join(lstm.zeros{9, 4000}, lstm.zeros{9, 4000})",
  "lstm.folder '.'", "state:step(1, 2) state:sample(1, rng, 1, 0.5)",
 "lstm.table(a):split(0.5)", "lstm.minmax(lstm.table(a)):apply(lstm.table(a))",
  "lstm.model{input = 2, hidden = {4, 3}, output = 2, dropout = 0.1}", "lstm.model{input = 1, hiden = 2}",
  "lstm.model{input = vocab, lstm.embedding(4), lstm.lstm(4), lstm.dense(3), output = vocab}", "model:clone()",
  "tostring(model)", "model:tensors()", "model:tensor 'head.bias'", "model:bytes()", "assert(model:save(path))",
  "assert(lstm.load(path .. '.run'))", "assert(lstm.load{data = bytes})", "assert(not lstm.load{data = 'rubbish'})",
  "numbers:state()", "numbers:state(4)", "state:step(1, 2)", "state:step(lstm.array{1, 2})", "state:best()",
  "state:forward(set.x[1])", "state:clone()", "state:values()", "state:bytes()", "assert(state:restore(saved))",
  "state:restore 'rubbish'", "state:close()", "numbers:trainer{batch = 4, seq = 4}", "trainer:train(x, y)",
  "trainer:train(x, y, {reset = true, lengths = lstm.array({1, 2}, 'int32')})", "trainer:final()",
  "assert(trainer:save(path, {a = 'b'}))", "assert(trainer:resume(checkpoint))", "numbers:predict(set.x)",
  "model:predict(tokens)", "numbers:evaluate(set)", "model:evaluate(tokens)", "model:sample{prime = 'he', length = 3}",
  "lstm.lstm{3, peephole = true, forget = 'noise', noise = 0.1}", "lstm.sequences(ragged):split(0.5)",
  "numbers:predict{x = ragged.x}", "numbers:evaluate(ragged)", "numbers:predict(set)", "numbers:trace(set.x[1])",
  "both:state():forward(set.x[1])", "local s = both:state() s:forward(set.x[1]) s:forward(lstm.zeros{9, 2})",
  "trainer:forward(x, {lengths = lstm.array({1, 2}, 'int32')}) trainer:loss(y) trainer:zero_gradients() " ..
    "trainer:saturation() trainer:backward{d_input = true} trainer:step_norms() trainer:clip() trainer:update()",
  "trainer:gradient 'head.weight'", "trainer:gradcheck(lstm.zeros{1, 1, 2} + 1, square)",
  "trainer:evaluate(numbers:state(2), x, y)", "words:decode(words:encode 'a d b')", "pair:translate 'a b'",
  "pair:evaluate(pairs_)", "assert(pair:save(path))", "tostring(pair)",
  "assert(numbers:fit(ragged, {epochs = 2, batch = 1, bucket = true, verbose = 0}))",
  "assert(pair:fit(pairs_, {epochs = 1, batch = 2, verbose = 0, checkpoint = path})) " ..
    "assert(pair:fit(pairs_, {epochs = 2, batch = 2, verbose = 0, seed = 1, checkpoint = path}))",
  "assert(numbers:fit(set, {epochs = 2, batch = 2, verbose = 0}))",
  "assert(model:fit(tokens, quiet)) quiet.steps, quiet.resume = 5, path assert(model:fit(tokens, quiet))",
}

-- A call is tried with one allocation failing (and the second try that Lua makes after collecting), then with all that
-- follow failing too. Long calls are sampled: every allocation up to `all`, then ever fewer.
local function try(call, path, all)
  local setup = preamble:format(path, call)
  local ok, count, left, message = run(setup, 0, 0)
  if left ~= 0 then return ("leaks %d bytes when nothing fails"):format(left) end
  if not ok and not message:find "hiden" then return "fails by itself: " .. message end
  local k = 1
  while k <= count do
    for _, last in ipairs{k + 1, math.maxinteger} do
      local fine, problem
      fine, problem, _, left = pcall(run, setup, k, last)
      if not fine then return ("allocation %d of %d: %s"):format(k, count, problem) end
      if left ~= 0 then return ("allocation %d of %d: %d bytes are left"):format(k, count, left) end
    end
    k = k < all and k + 1 or math.ceil(k * 1.2)
  end
  return nil, count
end

local path, failed = os.tmpname(), 0
for _, call in ipairs(calls) do
  local problem, count = try(call, path, tonumber(arg[2]) or 25)
  if problem then failed = failed + 1 end
  print(problem and ("not ok %s: %s"):format(call, problem) or ("ok %s (%d allocations)"):format(call, count))
end
for _, ending in ipairs{"", ".run", ".csv", ".ts", ".npy", ".long", ".encoder", ".decoder"} do
  os.remove(path .. ending)
end
os.exit(failed == 0, true)
