-- info.lua MODEL [options]: what is in a model file.
--
--   lstm scripts/info.lua shakespeare.safetensors
--   lstm scripts/info.lua shakespeare.safetensors --pytorch > model.py
--
-- stdout gets the layers, the parameters, what belongs to the model (vocabulary, labels, the columns that it reads and
-- how they are scaled), the last looks of the run where the file is a checkpoint, the tensors, and the PyTorch module
-- that loads the file. A pair of networks, as translate.lua saves it, is PATH.encoder and PATH.decoder: PATH shows
-- both.

local lstm = require "lstm"
local utf = require "lstm.utf"
local programs = require "lstm.program"

local opt = lstm.args{
  about = "Show what is in a model file: layers, parameters, what it reads, the run, tensors, and the PyTorch module" ..
    " that loads it.",
  {"model", help = "a model, a checkpoint, or a PyTorch state dict in safetensors format"},
  {"--pytorch", flag = true, help = "write the PyTorch module only, a program that runs"},
  {"--rows", default = 5, min = 0, help = "looks of a checkpoint's run to show"},
  {"--plot", type = "string", value = "FILE", help = "draw the losses of a checkpoint's run here, as in loss.svg"},
}

local stop = lstm.args.stop
local wrong = programs.wrong(opt, {"plot"}, {"model"})
if wrong then stop(wrong, 2) end

local function need(value, message)
  if not value then stop(message) end
  return value
end

local function say(format, ...) io.write(format:format(...), "\n") end

-- 12345 -> "12,345"
local function count(n)
  return (("%d"):format(n):reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", ""))
end

local function plural(n, word) return ("%s %s%s"):format(count(n), word, n == 1 and "" or "s") end

-- [PyTorch]

-- Options of a layer that nn.LSTM and nn.GRU have no word for, and what follows.
local lacking = {
  peephole = "load_state_dict refuses its tensor", layer_norm = "load_state_dict refuses its tensors",
  learned_state = "load_state_dict refuses its tensors", coupled = "it gives other numbers",
  cell_clip = "it gives other numbers where a cell would have been clipped", zoneout = "it gives other numbers",
  recurrent_dropout = "that matters in training only",
}
local modules = {
  tanh = "torch.tanh(x)", sigmoid = "torch.sigmoid(x)", relu = "torch.relu(x)", softsign = "F.softsign(x)",
  hard_sigmoid = "F.hardsigmoid(x)",
}

-- The prefix of each layer's tensors, and for recurrent ones the level in its module.
local function prefixes_of(model, layers)
  local found, result = {embedding = {}, dense = {}, recurrent = {}}, {}
  local first = model:tensors()[1]
  for _, name in ipairs(model:tensors()) do
    local prefix, level = name:match("^(.*)%.weight_ih_l(%d+)$")
    local dense = name:match("^(.*)%.bias$")
    if prefix then table.insert(found.recurrent, {prefix, tonumber(level)}) end
    if dense then table.insert(found.dense, {dense}) end
  end
  if layers[1].type == "embedding" then found.embedding[1] = {(first:gsub("%.weight$", ""))} end
  for i, layer in ipairs(layers) do
    local kind = (layer.type == "lstm" or layer.type == "gru") and "recurrent" or layer.type
    if found[kind] then result[i] = table.remove(found[kind], 1) end
  end
  return result
end

-- What nn.LSTM and nn.GRU do not have, of one layer.
local function notes_of(layer, i, notes)
  local function note(sentence) notes[#notes + 1] = ("layer %d: %s"):format(i, sentence) end
  for _, name in ipairs{"peephole", "layer_norm", "learned_state", "coupled", "cell_clip", "zoneout",
    "recurrent_dropout"} do
    if layer[name] then note(("nn.%s has no %s: %s"):format(layer.type:upper(), name, lacking[name])) end
  end
  if layer.type == "lstm" and (layer.activation ~= "tanh" or layer.gate_activation ~= "sigmoid") then
    note(("nn.LSTM has tanh and sigmoid only, not %s and %s: it gives other numbers"):format(layer.activation,
      layer.gate_activation))
  end
  if layer.forget and layer.forget ~= "learned" then
    note(('nn.LSTM has no forget = "%s": it gives other numbers'):format(layer.forget))
  end
end

-- The layers as PyTorch's modules: {name =, type =, layers = (of a run), first = (its number)}, in order.
local function modules_of(model, description, notes)
  local list, prefixes, rate = {}, prefixes_of(model, description.layers), 0
  for i, layer in ipairs(description.layers) do
    local prefix, level = (prefixes[i] or {})[1], (prefixes[i] or {})[2]
    if layer.type == "dropout" then
      rate = layer.rate
    elseif level and level > 0 then                  -- the next layer of a run
      local run = list[#list]
      table.insert(run.layers, layer)
      table.insert(run.rates, math.max(rate, layer.dropout or 0))
      rate = 0
    else
      rate = math.max(rate, layer.dropout or 0)
      if rate > 0 then list[#list + 1] = {type = "dropout", rate = rate} end
      list[#list + 1] = {type = layer.type, name = prefix, layers = {layer}, rates = {}}
      rate = 0
    end
    notes_of(layer, i, notes)
  end
  if rate > 0 then list[#list + 1] = {type = "dropout", rate = rate} end
  return list
end

-- The constructor of a run's module. Its dropout is one rate for all levels but the first.
local function recurrent_code(run, width, notes)
  local layer, words = run.layers[1], {}
  words[1], words[2] = ("%d"):format(width), ("%d"):format(layer.size)
  if #run.layers > 1 then words[#words + 1] = ("num_layers=%d"):format(#run.layers) end
  if layer.bidirectional then words[#words + 1] = "bidirectional=True" end
  if layer.projection then words[#words + 1] = ("proj_size=%d"):format(layer.projection) end
  local low, high = 1, 0
  for _, rate in ipairs(run.rates) do low, high = math.min(low, rate), math.max(high, rate) end
  if high > 0 then words[#words + 1] = ("dropout=%g"):format(high) end
  if #run.rates > 0 and low ~= high then
    notes[#notes + 1] = ("%s: nn.%s has one dropout rate for all of its layers, here they differ (training only)")
      :format(run.name, layer.type:upper())
  end
  return ("nn.%s(%s)"):format(layer.type:upper(), table.concat(words, ", "))
end

-- How the outputs [T, B, width] of a run become what the next module reads; and how wide that is.
local function read_code(run, lines)
  local last = run.layers[#run.layers]
  local unit = last.projection or last.size
  local both, sum = last.bidirectional, last.merge == "sum"
  local function line(...) lines[#lines + 1] = (...):format(select(2, ...)) end
  if last.read == "last" then
    local state = last.type == "gru" and "state" or "state[0]"
    local join = sum and "x = %s[-2] + %s[-1]" or "x = torch.cat([%s[-2], %s[-1]], -1)"
    line(both and join or "x = %s[-1]", state, state)
  else
    if both and sum then line("x = x[..., :%d] + x[..., %d:]", unit, unit) end
    if last.read == "mean" then line("x = x.mean(0)") end
    if last.read == "max" then line("x = x.amax(0)") end
  end
  return both and not sum and 2 * unit or unit
end

-- A name that Python takes for an attribute.
local function attribute(name) return (name:gsub("[^%w_]", "_"):gsub("^(%d)", "_%1")) end

-- The lines of __init__ and of forward, and the names that had to change.
local function module_lines(list, description, notes)
  local init, forward, renamed, width, drops = {}, {}, {}, description.input, 0
  for _, item in ipairs(list) do
    local name, code = item.name and attribute(item.name)
    local layer = item.layers and item.layers[1]
    local cell = layer and (layer.type == "lstm" or layer.type == "gru")
    if item.name ~= name then renamed[#renamed + 1] = {item.name, name} end
    if item.type == "dropout" then
      name, drops, code = ("drop%d"):format(drops), drops + 1, ("nn.Dropout(%g)"):format(item.rate)
    elseif item.type == "embedding" then
      code, width = ("nn.Embedding(%d, %d)"):format(width, layer.size), layer.size
    elseif item.type == "dense" then
      code, width = ("nn.Linear(%d, %d)"):format(width, layer.size), layer.size
    else
      code = recurrent_code(item, width, notes)
    end
    init[#init + 1] = ("self.%s = %s"):format(name, code)
    forward[#forward + 1] = ("%s = self.%s(x)"):format(cell and "x, state" or "x", name)
    if cell then width = read_code(item, forward) end
    if layer and modules[layer.activation] and layer.type == "dense" then
      forward[#forward + 1] = "x = " .. modules[layer.activation]
    end
    if layer and layer.residual then
      table.insert(forward, 1, "skip = x")
      forward[#forward + 1] = ("x = x + skip[..., :%d]"):format(width)
    end
  end
  return init, forward, renamed, width
end

local after = {softmax = "torch.softmax(y, -1)", sigmoid = "torch.sigmoid(y)"}

-- The program that loads the file, as text.
local function pytorch(model, path)
  local description, notes = model.core:describe(), {}
  local list = modules_of(model, description, notes)
  local init, forward, renamed, width = module_lines(list, description, notes)
  local lines = {"import safetensors.torch", "import torch"}
  local function add(...) lines[#lines + 1] = (...):format(select(2, ...)) end
  if table.concat(forward):find("F%.") then add("import torch.nn.functional as F") end
  add("from torch import nn\n")
  for _, note in ipairs(notes) do add("# %s", note) end
  add(#notes > 0 and "\n" or "")
  local takes_ids, once = select(4, model.core:sizes())
  add("class Model(nn.Module):\n    def __init__(self):\n        super().__init__()")
  for _, line in ipairs(init) do add("        %s", line) end
  add("\n    def forward(self, x):  # %s -> %s", takes_ids and "ids [T, B]" or ("[T, B, %d]"):format(description.input),
    once and ("[B, %d]"):format(width) or ("[T, B, %d]"):format(width))
  for _, line in ipairs(forward) do add("        %s", line) end
  add("        return x\n\n\nmodel = Model()")
  add('weights = safetensors.torch.load_file("%s")', (path:gsub('[\\"]', "\\%0")))
  for _, names in ipairs(renamed) do
    add('weights = {k.replace("%s.", "%s.", 1): v for k, v in weights.items()}', names[1], names[2])
  end
  local tied = description.layers[1].tied
  if tied then
    local embed, head = attribute(list[1].name), attribute(list[#list].name)
    add('weights["%s.weight"] = weights["%s.weight"]', head, embed)
    add("model.%s.weight = model.%s.weight", head, embed)
  end
  add('weights = {k: v for k, v in weights.items() if not k.startswith("trainer.")}  # of a checkpoint')
  if not model.core:meta()["fit.position"] then table.remove(lines) end
  add("model.load_state_dict(weights)\nmodel.eval()")
  if after[description.output] then add("# probabilities, as predict gives them: %s of y = model(x)",
    after[description.output]) end
  return table.concat(lines, "\n") .. "\n"
end

-- [What is in the file]

-- The first lines of what a model prints: its layers, with the number of each as notes and errors count them.
local function show_layers(model)
  local i = 0
  for line in (model.core:summary()):gmatch("[^\n]+") do
    local layer = line:find(" -> ", 1, true)
    if layer then i = i + 1 end
    if not line:find("^%d+ parameters") then say(layer and "  %d  %s" or "     %s", layer and i or line, line) end
  end
end

-- A symbol in quotes; bytes that are no characters by their numbers.
local function written(symbol)
  local text = ("%q"):format(symbol):gsub("\\\n", "\\n"):gsub("\\9", "\\t"):gsub("[%z\1-\31\127]", "?")
  if not utf.broken_at(text) then return text end
  return (text:gsub("[\128-\255]", function(c) return ("\\x%02X"):format(c:byte()) end))
end

-- Some symbols, so that one line shows them.
local function listed(symbols)
  local words, width = {}, 0
  for i, symbol in ipairs(symbols) do
    local word = written(symbol)
    width = width + #word + 1
    if width > 70 then
      words[#words + 1] = ("... (%s more)"):format(count(#symbols - i + 1))
      break
    end
    words[#words + 1] = word
  end
  return table.concat(words, " ")
end

local function show_scaler(scaler)
  for i, name in ipairs(scaler.columns) do
    if i > 8 then return say("    ... and %s", plural(#scaler.columns - 8, "more column")) end
    local offset, factor = scaler.offset[name], scaler.factor[name]
    if scaler.kind == "minmax" then
      say("    %s: %.6g .. %.6g becomes 0 .. 1", name, offset, offset + factor)
    else
      say("    %s: mean %.6g, deviation %.6g become 0 and 1", name, offset, factor)
    end
  end
end

-- What predict and forecast do with raw rows.
local function show_pipeline(pipe)
  if type(pipe) ~= "table" then return end
  if pipe.columns then
    say("reads rows with the columns %s", table.concat(pipe.columns, ", "))
    say("  %s back, gives %s, %s", plural(pipe.look_back, "row"), table.concat(pipe.targets or pipe.columns, ", "),
      (pipe.steps or 1) > 1 and ("rows %d to %d ahead"):format(pipe.ahead or 1, (pipe.ahead or 1) + pipe.steps - 1) or
        plural(pipe.ahead or 1, "row") .. " ahead")
  end
  if pipe.scaler then
    say("scales its input (%s):", pipe.scaler.kind)
    show_scaler(pipe.scaler)
  end
end

local function shown(value)
  if type(value) == "number" then return ("%.6g"):format(value) end
  if type(value) ~= "table" then
    local text = tostring(value):gsub("\n", "\\n")
    return (text:gsub("=(%-?%d+%.%d%d%d%d%d%d%d+)", function(n) return ("=%.6g"):format(tonumber(n)) end))
  end
  if value.tometa then return tostring(value.kind or "table") end
  local words = {}
  for key, one in pairs(value) do words[#words + 1] = tostring(key) .. "=" .. shown(one) end
  table.sort(words)
  return table.concat(words, " ")
end

local function show_belongings(model)
  for _, pair in ipairs{{"vocabulary", model.vocab}, {"output vocabulary", model.output_vocab}} do
    local vocab = pair[2]
    if vocab and not (pair[1] ~= "vocabulary" and vocab == model.vocab) then
      say("%s: %s of %s", pair[1], plural(vocab:size(), "symbol"), vocab.kind)
      say("  %s", listed(vocab:pieces()))
    end
  end
  if model.labels then say("labels: %s", listed(model.labels)) end
  show_pipeline(rawget(model, "pipeline"))
  local names = {}
  for name in pairs(model.meta) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do                    -- in lines that fit a terminal
    local line = ("meta.%s:"):format(name)
    for word in shown(model.meta[name]):gmatch("%S+") do
      if #line + #word > 98 then
        say("%s", line)
        line = "   "
      end
      line = line .. " " .. word
    end
    say("%s", line)
  end
end

-- Of which step the weights are. step: as the file says it, nil where it does not.
local function show_kept(history, step)
  local best = history[history.best or 0]
  local looks = best and ("step %d, %s %.4g"):format(best.step or history.best, history.monitor, history.best_value)
  if best and step == best.step then return say("  the weights are those of %s, the best look", looks) end
  if step then say("  the weights are those of step %d, which the program chose", step) end
  if not best then return end
  say("  the best look is that of %s%s", looks, step and "" or "; the file does not say of which one its weights are")
end

-- The run of a checkpoint. Returns its history.
local function show_run(strings)
  local position = strings["fit.position"]
  if not position then return nil end
  say("checkpoint of a run, after step %s", count(tonumber(position)))
  local history = lstm.history.frommeta(strings["fit.history"] or "")
  if not history or #history == 0 or opt.rows == 0 then return history end
  local lines = {}
  for line in tostring(history):gmatch("[^\n]+") do lines[#lines + 1] = line end
  say("  %s", lines[1])
  for i = math.max(2, #lines - opt.rows + 1), #lines do say("  %s", lines[i]) end
  show_kept(history, tonumber(strings["fit.kept"] or ""))
  return history
end

local function show_tensors(model)
  say("tensors%s shape            mean  deviation   smallest    largest", (" "):rep(22))
  for _, name in ipairs(model:tensors()) do
    local tensor = model:tensor(name)
    local mean, shape = tensor:mean(), {tensor:shape()}
    if #shape == 2 then mean = tensor:reshape{shape[1] * shape[2]}:mean() end
    local flat = tensor:reshape{#shape == 2 and shape[1] * shape[2] or shape[1]}
    local centred = flat - mean
    say("  %-27s %-12s %9.4f  %9.4f  %9.4f  %9.4f", name, "[" .. table.concat(shape, "][") .. "]", mean,
      math.sqrt((centred * centred):mean()), flat:min(), flat:max())
  end
end

local function show(path)
  local bytes = need(lstm.readfile(path))
  local model, message = lstm.load(path)
  need(model, require "lstm.sniff".no_model(path) or message)
  if opt.pytorch then return io.write(pytorch(model, path)) end
  local strings = model.core:meta()
  say("%s: %s, %s bytes%s", path, plural(model:parameters(), "parameter"), count(#bytes),
    model:numerics() == "portable" and ", portable numerics" or "")
  show_layers(model)
  say("     loss %s", model.loss)
  if model.assumed then say("assumed of this foreign file: %s", model.assumed) end
  show_belongings(model)
  local history = show_run(strings)
  show_tensors(model)
  say("in PyTorch (--pytorch writes only this):")
  for line in pytorch(model, path):gmatch("([^\n]*)\n") do say(line == "" and "" or "  %s", line) end
  if opt.plot then
    if not history or #history == 0 then stop(path .. " is no checkpoint of a run, so there are no losses to draw") end
    need(lstm.plot.history(history, opt.plot))
    io.stderr:write("plot: ", opt.plot, "\n")
  end
end

-- A pair of networks goes by the name that they share.
local function exists(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

need(lstm.args.writable("--plot", opt.plot))
if not exists(opt.model) and exists(opt.model .. ".encoder") and exists(opt.model .. ".decoder") then
  show(opt.model .. ".encoder")
  say("")
  show(opt.model .. ".decoder")
else
  show(opt.model)
end
