-- report.lua: what a model learned, as one HTML page that needs nothing else: no network, no other files.
--
-- Curves and matrices are inline SVG and the text is coloured in the page itself, so that it can be read without
-- scripts; the script (host/report/report.js) picks other cells and shows what the model expected next.

local cells = require "lstm.cells"
local core = require "lstm.core"
local lines = require "lstm.lines"
local options = require "lstm.options"
local plot = require "lstm.plot"
local sets = require "lstm.sets"
local svg = require "lstm.svg"
local utf = require "lstm.utf"

local report = {}

local escape = svg.escape
local WIDTH = 1000                                 -- of pictures in the page, in pixels
local KEPT = 3                                     -- how many cells the ranking names for each feature

-- [JSON]

local named = {['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r"}

-- A string of JSON that may stand in a <script>: no "<" ends it, whatever the text.
local function quoted(text)
  return '"' .. text:gsub('[%z\1-\31"\\<>&\127]', function(c)
    return named[c] or ("\\u%04x"):format(c:byte())
  end) .. '"'
end

-- Lists, tables with names, strings, numbers, true and false.
local function json(value)
  if type(value) == "string" then return quoted(svg.clean(value)) end
  if type(value) == "number" then return value % 1 == 0 and ("%.0f"):format(value) or ("%.4g"):format(value) end
  if type(value) ~= "table" then return tostring(value) end
  local parts, names = {}, {}
  for i, item in ipairs(value) do parts[i] = json(item) end
  if #parts > 0 or next(value) == nil then return "[" .. table.concat(parts, ",") .. "]" end
  for name in pairs(value) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do parts[i] = quoted(name) .. ":" .. json(value[name]) end
  return "{" .. table.concat(parts, ",") .. "}"
end

-- [Symbols]

-- How a symbol is shown: a control character by its picture, a byte that is no character by its number.
local function shown(symbol)
  if symbol == "\n" then return "\226\134\181" elseif symbol == "\t" then return "\226\134\146" end
  if #symbol == 1 and symbol:find "[%z\1-\31]" then return "\226\144" .. string.char(128 + symbol:byte()) end
  if symbol == "\127" then return "\226\144\161" end
  if utf.broken_at(symbol) then
    return (symbol:gsub(".", function(c) return ("\\x%02X"):format(c:byte()) end))
  end
  return svg.clean(symbol)
end

-- What stands in the text for each of its symbols. Bytes of one character: it stands at the first of them.
local function pieces_of(symbols, kind)
  local out, t = {}, 1
  while t <= #symbols do
    local symbol = symbols[t]
    local length = 1
    if kind == "bytes" and symbol:byte() >= 0xC2 then
      local text = table.concat(symbols, "", t, math.min(t + 3, #symbols))
      length = utf.length(text, 1) or 1
      if length > 1 then symbol = text:sub(1, length) end
    end
    out[t] = shown(symbol)
    for k = t + 1, t + length - 1 do out[k] = "\194\183" end
    t = t + length
  end
  return out
end

local function class_of(level) return level > 0 and "u" .. level or level < 0 and "d" .. -level or "z" end

-- The text as spans, coloured by one cell.
local function coloured(text, levels, words)
  local out = {}
  for t, symbol in ipairs(text.symbols) do
    out[t] = ("<i class=%s>%s</i>%s"):format(class_of(levels[t]), escape(text.pieces[t]),
      (symbol == "\n" or text.ends[t]) and "\n" or words and " " or "")
  end
  return table.concat(out)
end

-- [Sections]

local function section(title, id, ...)
  return ('<section id="%s">\n<h2>%s</h2>\n%s\n</section>\n'):format(id, escape(title), table.concat({...}, "\n"))
end

local function figure(picture) return "<figure>" .. picture .. "</figure>" end

local function curves(history, log)
  local advice = history:advice()
  return section("Curves", "curves",
    figure(plot.history(history, nil, {width = WIDTH, height = 520, inline = true, log = log,
      metrics = true, title = ""})),
    advice and "<p>" .. escape(advice) .. "</p>" or "")
end

local function read_samples(samples)
  for i, sample in ipairs(samples) do
    if type(sample) ~= "table" or type(sample.text) ~= "string" then
      core.raise(("report: sample %d must be {step = number, text = string}"):format(i))
    end
  end
  return samples
end

local function samples_section(samples)
  local out = {}
  for i, sample in ipairs(samples) do
    out[i] = ("<div><h3>%s</h3><pre>%s</pre></div>"):format(
      escape(sample.step and "step " .. tostring(sample.step) or "sample " .. i),
      (sample.text:gsub("[^\n]+", escape)))
  end
  return section("Samples", "samples", '<div class="samples">' .. table.concat(out, "\n") .. "</div>")
end

local GATES = {{"i", "input gate"}, {"f", "forget gate"}, {"o", "output gate"}, {"r", "reset gate"},
  {"z", "update gate"}}

-- The dots of one gate: a series for each layer that has it.
local function gate_series(layers, gate)
  local series = {}
  for k, layer in ipairs(layers) do
    local values = layer.gates[gate]
    if values then
      series[#series + 1] = {name = "", style = "dots", color = k, x = values.open, y = values.shut}
    end
  end
  return series
end

-- The gates' panels, three in a row: a dot for each cell, on the right those that are mostly open, at the top those
-- mostly shut.
local function saturation_picture(layers)
  local legend, side, count = {}, 290, 0
  for k, layer in ipairs(layers) do legend[k] = {name = layer.name, style = "dots", color = k, y = {}} end
  local names, rows = lines.legend(legend, 20, WIDTH - 20, 24)
  local out = {names}
  local top = 40 + rows * 20
  for _, gate in ipairs(GATES) do
    local series = gate_series(layers, gate[1])
    if #series > 0 then
      local column, row = count % 3, math.floor(count / 3)
      local box = {left = 20 + column * (side + 35), top = top + 10 + row * (side + 40), width = side, height = side}
      out[#out + 1] = svg.text(box.left + side / 2 + 20, box.top - 12, "ink", gate[2], ' text-anchor="middle"')
      local panel = lines.panel(box, {
        x = "share of steps mostly open (> 0.9)", y = column == 0 and "mostly shut (< 0.1)" or "", ticks = 5,
        x_range = {0, 1}, y_range = {0, 1},
      }, series)
      for _, element in ipairs(panel) do out[#out + 1] = element end
      count = count + 1
    end
  end
  return svg.document({width = WIDTH, height = top + math.ceil(count / 3) * (side + 40), title = "",
    what = "gate saturation", colors = #layers, inline = true}, out)
end

local function is_saturated(layers)
  for _, layer in ipairs(layers) do
    for _, gate in pairs(layer.gates) do
      for _, shares in ipairs{gate.open, gate.shut} do
        for _, share in ipairs(shares) do
          if share > 0 then return true end
        end
      end
    end
  end
end

local function saturation_section(layers)
  if not is_saturated(layers) then
    return section("Gate saturation", "gates", "<p>No gate of any cell is almost open (above 0.9) or almost shut " ..
      "(below 0.1) at any step.</p>")
  end
  return section("Gate saturation", "gates", "<p>Each dot is a cell: how often its gate is almost open, and how " ..
    "often almost shut. A forget gate far to the right remembers for long.</p>",
    figure(saturation_picture(layers)))
end

-- Cells as the ranking names them: buttons, which mean something only to the script.
local function ranking_table(layers, ranking)
  local rows = {}
  for i, row in ipairs(ranking) do
    local found = {}
    for k, hit in ipairs(row) do
      found[k] = ('<button data-layer="%d" data-cell="%d">%s, cell %d <b>%s%.2f</b></button>'):format(hit.layer,
        hit.cell, escape(layers[hit.layer].name), hit.cell, hit.r < 0 and "\226\136\146" or "+", math.abs(hit.r))
    end
    rows[i] = ("<tr><th>%s</th><td>%s</td></tr>"):format(escape(row.name), table.concat(found, " "))
  end
  if #rows == 0 then return "" end
  return '<table class="ranking"><caption>Cells that follow something (correlation)</caption>' .. table.concat(rows) ..
    "</table>"
end

-- Where to begin: the cell that follows something most closely, else the first one.
local function best_cell(ranking)
  local best = {layer = 1, cell = 1, r = 0}
  for _, row in ipairs(ranking) do
    if math.abs(row[1].r) > math.abs(best.r) then best = row[1] end
  end
  return best
end

local function levels_of(values)
  local out = {}
  for t, value in ipairs(values) do out[t] = cells.level(value) end
  return out
end

-- The layers for the script: names and sizes as JSON, the values as they were packed.
local function layer_data(layers)
  local list, blocks = {}, {}
  for k, layer in ipairs(layers) do
    list[k] = {name = layer.name, size = layer.size}
    blocks[k] = ('<script type="text/plain" class="cells">%s</script>'):format(layer.packed)
  end
  return list, table.concat(blocks, "\n")
end

-- The colours' scale, and what is coloured.
local function legend_of(what)
  return '<p class="legend"><i class=d31>\226\136\1461</i><i class=d16>\226\136\1460.5</i><i class=z>0</i>' ..
    '<i class=u16>0.5</i><i class=u31>1</i> <span id="what">' .. escape(what) .. "</span></p>"
end

local NEED = "<noscript><style>.bar,#next{display:none}</style>" ..
  "<p>Other cells, and what the model expected next, need scripts.</p></noscript>"

local function picker(layers, ranking, start, extra)
  return '<div class="picker"><div class="bar">' ..
    '<label>layer <select id="layer"></select></label> ' ..
    '<label>cell <input id="cell" type="number" min="1" value="' .. start.cell .. '"></label> ' .. extra ..
    '</div><div id="grid" tabindex="0" role="listbox" aria-label="cells"></div>' .. ranking_table(layers, ranking) ..
    "</div>"
end

-- [Text]

-- The ids of a text, at most `length` of them, and how many there are.
local function read_text(model, text, length)
  if not model.vocab then
    core.raise("report: text needs a model that reads a vocabulary; for series and sets give data")
  end
  local tokens = text
  if type(text) == "string" then
    if text == "" then core.raise("report: the text is empty") end
    local known, result = pcall(model.vocab.encode, model.vocab, text)
    if not known then core.raise((tostring(result):gsub("^.-encode: ", "report: text: "))) end
    tokens = result
  elseif type(text) ~= "table" or rawget(text, "kind") ~= "tokens" then
    core.raise("report: text must be a string or tokens of vocab:encode, got " .. options.show(text))
  end
  local ids, all = tokens.ids, #tokens.ids
  return all > length and ids:slice(1, length) or ids, all
end

local function append(list, more)
  for _, value in ipairs(more) do list[#list + 1] = value end
end

-- Sequences of ids one after another: {ids, symbols, pieces, ends (true at the last of each), features}.
local function joined(model, sequences, own)
  local text = {ids = {}, symbols = {}, pieces = {}, ends = {}, features = {}}
  for k, sequence in ipairs(sequences) do
    local ids, symbols = sequence:totable(), {}
    for t, id in ipairs(ids) do symbols[t] = model.vocab:symbol(id) end
    append(text.ids, ids)
    append(text.symbols, symbols)
    append(text.pieces, pieces_of(symbols, model.vocab.kind))
    text.ends[#text.ids] = k < #sequences
    for i, feature in ipairs(cells.features(symbols, own)) do
      text.features[i] = text.features[i] or {name = feature.name, values = {}}
      append(text.features[i].values, feature.values)
    end
  end
  return text
end

-- The places of the `top` largest numbers, the largest first.
local function largest(row, top)
  local at, least = {}, -1
  for i, value in ipairs(row) do
    if value > least then
      local k = math.min(#at + 1, top)
      while k > 1 and row[at[k - 1]] < value do
        at[k] = at[k - 1]
        k = k - 1
      end
      at[k] = i
      if #at == top then least = row[at[top]] end
    end
  end
  return at
end

-- The likeliest symbols after each step with their probabilities in thousandths, flat, and the loss of the symbol that
-- came, in hundredths of a nat. Nothing for a model that foretells no symbols at every step.
local function expectations(model, ids, list, top)
  if not model.output_vocab or model.output_vocab ~= model.vocab then return nil end
  local p = model:state():forward(ids)
  local steps, width = p:shape()
  if steps ~= #list then return nil end
  top = math.min(top, width)
  local best, losses, sum = {}, {}, 0
  for t = 1, steps do
    local row = p[t]:totable()
    if list[t + 1] then
      losses[t] = -math.log(math.max(row[list[t + 1] + 1], 1e-30))
      sum = sum + losses[t]
      losses[t] = math.floor(100 * losses[t] + 0.5)
    end
    for _, at in ipairs(largest(row, top)) do
      best[#best + 1] = at - 1
      best[#best + 1] = math.floor(1000 * row[at] + 0.5)
    end
  end
  return {best = best, losses = losses, top = top, mean = #losses > 0 and sum / #losses or nil}
end

-- The vocabulary's symbols as they are shown.
local function symbol_names(vocab)
  local names = {}
  for id = 0, vocab:size() - 1 do
    local symbol = vocab:symbol(id)
    names[id + 1] = symbol == " " and "\226\144\163" or shown(symbol)
  end
  return names
end

-- sequences: of ids; shown: which part that is ("The first "), or "".
local function text_section(model, opts, sequences, shown_part)
  local text = joined(model, sequences, opts.features)
  local layers = cells.trace(model, sequences)
  local ranking = cells.rank(layers, text.features, KEPT)
  local start, kind = best_cell(ranking), model.vocab.kind
  local next_ones = #sequences == 1 and expectations(model, sequences[1], text.ids, opts.top) or nil
  local data, blocks = layer_data(layers)
  local info = {kind = "text", layers = data, steps = #text.ids, layer = start.layer, cell = start.cell,
    ids = text.ids}
  if next_ones then
    info.symbols, info.best, info.losses, info.top = symbol_names(model.vocab), next_ones.best, next_ones.losses,
      next_ones.top
  end
  local unit = kind == "words" and "word" or kind == "bytes" and "byte" or "character"
  local mean = next_ones and next_ones.mean
  local note = ("%s%d %ss%s. Blue: the cell is positive, red: negative."):format(shown_part, #text.ids, unit,
    mean and (", %.4f nats each"):format(mean) or "")
  local modes = next_ones and '<label>colour <select id="mode"><option value="cell">the cell</option>' ..
    '<option value="loss">how unexpected the ' .. unit .. " was</option></select></label>" or ""
  return section("Cells", "cells", "<p>" .. note .. " Arrow keys go to other cells.</p>", NEED,
    picker(layers, ranking, start, modes),
    legend_of(layers[start.layer].name .. ", cell " .. start.cell),
    next_ones and '<div id="next" aria-live="polite">Point at a ' .. unit ..
      ", or tap it: what the model expected after it.</div>" or "",
    '<pre id="text" tabindex="0">' ..
      coloured(text, levels_of(layers[start.layer].values(start.cell)), kind == "words") .. "</pre>",
    blocks, '<script type="application/json" id="data">' .. json(info) .. "</script>"), layers
end

-- [Series and classes]

-- A set that a model reads, from what the user gave.
local function set_of(model, data, where)
  return sets.of(model, require "lstm.pipeline".input(model, data, where), nil, where)
end

-- Windows of a table as the model learned them.
local function windows_of(model, data)
  if type(data) ~= "table" or rawget(data, "kind") == "windows" then return data end
  local p = rawget(model, "pipeline")
  if rawget(data, "kind") ~= "table" or not p or not p.look_back then return data end
  return data:windows{look_back = p.look_back, ahead = p.ahead, steps = p.steps, target = p.targets}
end

local function first_column(values)
  local _, width = values:shape()
  return width and width > 1 and values:column(1) or values
end

-- What plot.forecast draws of a model's forecasts of windows, in the unit of the first target.
local function forecast_of(model, data)
  local set = windows_of(model, data)
  if type(set) ~= "table" or rawget(set, "kind") ~= "windows" then return nil end
  local result = {guess = model:predict(data), truth = set:targets(), naive = set:last()}
  local names, scaler = set.target_columns, rawget(set, "scaler")
  for name, values in pairs(result) do
    result[name] = first_column(scaler and scaler:undo(values, names) or values)
  end
  result.y, result.x, result.residuals = names[1], "window", true
  if #result.truth > 400 then result.last = 400 end
  return result
end

-- Inputs of one sequence [T][I] as features and as lines beside the cells.
local function input_features(x, names)
  local steps, width = x:shape()
  local list, packed = {{name = "the step", values = {}}}, {}
  for t = 1, steps do list[1].values[t] = t end
  for j = 1, math.min(width, 12) do
    local values = x:column(j):totable()
    list[#list + 1] = {name = names and names[j] or "input " .. j, values = values}
    local low, high, scaled = math.huge, -math.huge, {}
    for _, value in ipairs(values) do low, high = math.min(low, value), math.max(high, value) end
    for t, value in ipairs(values) do scaled[t] = high > low and 2 * (value - low) / (high - low) - 1 or 0 end
    packed[j] = cells.pack(scaled)
  end
  return list, packed
end

-- Sequence number i of a set of ids [T].
local function ids_of(set, i)
  local ids = set:batch(core.range(i - 1, 1))
  return ids:reshape{#ids}:copy()                                  -- the next batch uses its memory
end

-- Sequences of ids from number opts.sequence on, as many as opts.length has room for, from all over the set: sets are
-- often sorted by class.
local function id_sequences(set, opts)
  local first, left = opts.sequence, set.count - opts.sequence + 1
  local looked = math.min(left, 20)
  local sum, list, total = 0, {}, 0
  for k = 0, looked - 1 do sum = sum + #ids_of(set, first + math.floor(k * left / looked)) end
  local stride = math.max(1, left * (sum / looked) / opts.length)
  for k = 0, math.floor((left - 1) / stride) do
    local ids = ids_of(set, first + math.floor(k * stride))
    if #list > 0 and total + #ids > opts.length then break end
    list[#list + 1], total = ids, total + #ids
  end
  return list
end

-- The names of what the model reads: of a raw table of rows only the columns that it learned from.
local function input_names(model, data)
  if type(data) ~= "table" then return nil end
  local own = rawget(model, "pipeline")
  return rawget(data, "kind") == "table" and own and own.columns or rawget(data, "columns")
end

-- One sequence of the set as [T][I], and the columns' names; where the model reads ids, a list of sequences [T].
local function sequence_of(model, opts)
  local set = set_of(model, opts.data, "report")
  if set.count < opts.sequence then
    core.raise(("report: sequence %d is not there, the data have %d"):format(opts.sequence, set.count))
  end
  local x = set:batch(core.range(opts.sequence - 1, 1))
  local steps, _, width = x:shape()
  if not width then return id_sequences(set, opts) end
  return x:reshape{steps, width}, input_names(model, opts.data)
end

local function series_section(model, opts)
  local x, names = sequence_of(model, opts)
  if type(x) == "table" then
    if not model.vocab then return "", nil end                     -- ids of the user's own: nothing to show them as
    return text_section(model, opts, x, ("%d sequence%s, "):format(#x, #x > 1 and "s" or ""))
  end
  local layers = cells.trace(model, {x})
  local features, inputs = input_features(x, names)
  local ranking = cells.rank(layers, features, KEPT)
  local start, shown_names = best_cell(ranking), {}
  for j = 1, #inputs do shown_names[j] = features[j + 1].name end
  local data, blocks = layer_data(layers)
  local info = {kind = "series", layers = data, steps = #x, layer = start.layer, cell = start.cell, inputs = inputs,
    names = shown_names}
  return section("Cells", "cells",
    ("<p>What the cells hold over the %d steps of sequence %d: blue is positive, red negative; a row for each cell. ")
      :format(#x, opts.sequence) .. "Arrow keys go to other cells.</p>", NEED,
    picker(layers, ranking, start, ""), legend_of(""),
    '<div id="map"><canvas id="heat"></canvas></div><canvas id="line"></canvas>', blocks,
    '<script type="application/json" id="data">' .. json(info) .. "</script>"), layers
end

local function is_classifier(model)
  return model.labels or not model.output_vocab and model.loss:find("cross_entropy", 1, true)
end

-- The picture of what the model makes of the data: a confusion matrix, or a forecast.
local function results(model, opts)
  local out = {}
  local confusion, forecast = opts.confusion, opts.forecast
  if opts.data ~= nil and model then
    if is_classifier(model) then confusion = confusion or model:confusion(opts.data)
    else forecast = forecast or forecast_of(model, opts.data) end
  end
  if forecast then
    local figures = {}
    for k, one in ipairs(forecast[1] and forecast or {forecast}) do
      local copy = {}
      for key, value in pairs(one) do copy[key] = value end
      copy.width, copy.inline = WIDTH, true
      figures[k] = figure(plot.forecast(nil, copy))
    end
    out[#out + 1] = section("Forecast", "forecast", table.concat(figures))
  end
  if opts.results then
    out[#out + 1] = section("Results", "results", "<pre>" .. opts.results:gsub("[^\n]+", escape) .. "</pre>")
  end
  if confusion then
    local picture = plot.confusion(confusion, nil, {title = "", inline = true})
    out[#out + 1] = section("Confusion", "confusion", figure(picture))
  end
  return table.concat(out)
end

-- [The page]

-- Colours of levels 1 to 31: as much of blue or red.
local function level_rules()
  local rules = {}
  for level = 1, 31 do
    rules[#rules + 1] = (".u%d{background:rgb(var(--up)/%.2f)}.d%d{background:rgb(var(--down)/%.2f)}"):format(level,
      level / 31 * 0.85, level, level / 31 * 0.85)
  end
  return table.concat(rules)
end

local function page(title, body)
  return table.concat({
    '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width,initial-scale=1">',
    '<meta name="color-scheme" content="light dark">',
    "<title>" .. escape(title) .. "</title>",
    "<style>\n" .. core.embedded "report.css" .. svg.style(18) .. "\n" .. level_rules() .. "\n</style>\n</head>",
    "<body>\n<main>",
    "<h1>" .. escape(title) .. "</h1>",
    body,
    "</main>\n<script>\n" .. core.embedded "report.js" .. "</script>\n</body>\n</html>\n",
  }, "\n")
end

local spec = {
  title = {type = "string"}, model = {type = "table"}, history = {type = "table"}, text = true,
  samples = {type = "table"}, top = {type = "integer", default = 5, min = 1, max = 20}, data = true,
  results = {type = "string"}, forecast = {type = "table"}, confusion = {type = "table"},
  sequence = {type = "integer", default = 1, min = 1},
  features = {type = "table"}, length = {type = "integer", default = 2000, min = 1, max = 100000}, log = false,
}

-- An encoder and a decoder are shown by their summary alone.
local function is_pair(model)
  local class = getmetatable(model)
  return type(class) == "table" and class.__name == "lstm.seq2seq"
end

local function check(opts, where)
  local something = false
  for _, name in ipairs{"model", "history", "samples", "forecast", "confusion"} do
    something = something or opts[name] ~= nil
  end
  if not something then core.raise(where .. ": give a model, a history, samples, a forecast or a confusion") end
  local pair = opts.model and is_pair(opts.model)
  if opts.model and not pair and not require "lstm.model".is(opts.model) then
    core.raise(where .. ": model must be a model, got " .. options.show(opts.model))
  end
  if (opts.text ~= nil or opts.data ~= nil) and not opts.model then
    core.raise(where .. ": text and data are shown to a model: give model = ...")
  end
  if pair and (opts.text ~= nil or opts.data ~= nil) then
    core.raise(where .. ": text and data are shown to a model; of an encoder and a decoder there is only a summary")
  end
  if opts.history and (not opts.history.advice or #opts.history == 0) then
    core.raise(where .. ": history must be what fit returned, with at least one row")
  end
end

-- Everything that was asked for, in the order of the page.
local function sections(opts)
  local out, model, layers = {}, opts.model, nil
  if model and not opts.only_cells then
    out[1] = '<section id="model"><h2>Model</h2><pre>' .. tostring(model):gsub("[^\n]+", escape) .. "</pre></section>\n"
  end
  if opts.history then out[#out + 1] = curves(opts.history, opts.log) end
  out[#out + 1] = results(model, opts)
  if opts.samples and #opts.samples > 0 then out[#out + 1] = samples_section(read_samples(opts.samples)) end
  if opts.text ~= nil then
    local ids, all = read_text(model, opts.text, opts.length)
    out[#out + 1], layers = text_section(model, opts, {ids}, all > #ids and "The first " or "")
  elseif opts.data ~= nil then out[#out + 1], layers = series_section(model, opts) end
  if layers and not opts.only_cells then out[#out + 1] = saturation_section(layers) end
  return table.concat(out)
end

--- A page about a model and its training: lstm.report(file, {title =, model =, history =, text =, ...}).
-- file: the HTML file to write, or nil to get the page as a string.
-- opts, of which at least one of the first five must be given:
--   model: its summary; history: curves, metrics and the advice; samples: a list of {step =, text =}; forecast: what
--   plot.forecast takes, or a list of such; confusion: of model:confusion. results: text to show below these.
--   text (a string, or tokens; with model): coloured by any cell, what the model expected after each symbol (the top 5,
--   `top`), each symbol's loss, the cells that follow quotes, brackets, lines, ..., and how saturated the gates are. At
--   most `length` symbols (2000). features: what else cells may follow, {name = function(symbol, t, symbols)}, which
--   gives a number, true or false.
--   data (with model): windows, a raw table or sequences: the forecast or the confusion matrix of it, and the cells
--   over the steps of sequence number `sequence` (1); sequences of a vocabulary as text, from that number on.
--   title; log: a logarithmic axis for the losses.
-- Returns true (or the page), or nil, message, status where the file cannot be written. Raises for unknown options.
function report.write(file, opts)
  if type(file) == "table" and opts == nil then file, opts = nil, file end
  opts = options.check(opts, spec, "report")
  check(opts, "report")
  return svg.save(page(opts.title or "Report", sections(opts)), file)
end

--- The part of the report that colours a text by the cells of a model.
-- text: a string or tokens; file: the HTML file to write, or nil to get the page as a string; opts: title, top, length,
-- features as for report.
-- Returns true (or the page), or nil, message, status. Raises for unknown options.
function report.cells(model, text, file, opts)
  opts = options.check(opts, {title = "Cells", top = spec.top, length = spec.length, features = spec.features},
    "plot.cells")
  opts.model, opts.text, opts.only_cells = model, text, true
  check(opts, "plot.cells")
  if text == nil then core.raise("plot.cells: give a text") end
  return svg.save(page(opts.title, sections(opts)), file)
end

return report
