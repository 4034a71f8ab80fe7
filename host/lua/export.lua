-- export.lua: a model as constants of a C program: the header that `lstm export --c` writes.
--
--   local text, bytes = require "lstm.export".c(model, "gesture", seq)
--
-- The header is valid C99 and C++11, and reads back to the same bits. seq: the longest sequence, of models with a
-- bidirectional layer.

local export = {}

-- The fields of lstm_layer in their order in C; what a layer's description does not have is 0, or what stands here.
local fields = {
  "size", {"type", "LSTM_LAYER_"}, {"activation", "LSTM_", "LSTM_ACTIVATION_DEFAULT"},
  {"read", "LSTM_READ_", "LSTM_READ_ALL"}, "rate", {"name", nil, "NULL"},
  {"gate_activation", "LSTM_", "LSTM_ACTIVATION_DEFAULT"}, "peephole", "coupled", "projection", "layer_norm",
  "cell_clip", {"forget", "LSTM_FORGET_", "LSTM_FORGET_LEARNED"}, "noise", "dropout", "recurrent_dropout", "zoneout",
  "learned_state", "bidirectional", {"merge", "LSTM_MERGE_", "LSTM_MERGE_CONCAT"}, "tied", "residual",
}
local floats = {rate = true, cell_clip = true, noise = true, dropout = true, recurrent_dropout = true, zoneout = true}

-- The shortest spelling of at most nine digits is enough for every float; C wants a point in it.
local function number(x)
  local text = ("%.9g"):format(x):gsub(",", ".")
  return (text:find("[.e]") and text or text .. ".0") .. "f"
end

local function field(layer, which)
  local name, prefix, default = which, nil, "0"
  if type(which) == "table" then name, prefix, default = which[1], which[2], which[3] end
  local value = layer[name]
  if floats[name] then return number(value or 0) end
  if value == nil or default == "NULL" then return default end
  if prefix then return prefix .. value:upper() end
  return value == true and "1" or ("%d"):format(value)
end

-- A list of words in braces, in lines of at most 120.
local function listed(words, indent)
  local lines, line = {}, indent .. "{"
  for i, word in ipairs(words) do
    if i < #words then word = word .. "," end
    if #line + #word > 117 then lines[#lines + 1], line = line, indent end
    line = line .. (line:find("[^ {]$") and " " or "") .. word
  end
  lines[#lines + 1] = line .. "}"
  return table.concat(lines, "\n")
end

local function layer_code(layer)
  local words = {}
  for i, which in ipairs(fields) do words[i] = field(layer, which) end
  return listed(words, "    ")
end

-- An array of C; nil where a number is NaN or infinite.
local function array_code(name, array)
  local words = {}
  for i = 1, #array do
    local x = array[i]
    if x ~= x or x - x ~= 0 then return nil end
    words[i] = number(x)
  end
  return ("LSTM_ALIGNED static const float %s[%d] =\n%s;\n\n"):format(name, #array, listed(words, "    "))
end

-- The parameters that running reads, which are not in the packed weights: tensors, in their order.
local function kept(model, table_serves)
  local list, count = {}, 0
  for i, name in ipairs(model:tensors()) do
    local ids = select(4, model.core:sizes())
    if name:find("%.[hc]0_l%d+$") or name:find("%.[hc]0_l%d+_reverse$") or (i == 1 and ids and not table_serves) then
      local tensor = model:tensor(name)
      local rows, columns = tensor:shape()
      list[#list + 1] = tensor:reshape{rows * (columns or 1)}
      count = count + #list[#list]
    end
  end
  if count == 0 then return nil end
  local values = {}
  for _, tensor in ipairs(list) do
    for i = 1, #tensor do values[#values + 1] = tensor[i] end
  end
  return values
end

-- --- tables: what numbers mean ---------------------------------------------------------------------------------------

-- As a string of C: what could end it, be a trigraph or depend on the compiler's character set in octal digits.
local function quoted(text)
  return '"' .. text:gsub('[%c"\\?\127-\255]', function(c) return ("\\%03o"):format(c:byte()) end) .. '"'
end

local function table_code(comment, type, name, words)
  return ("/* %s */\nLSTM_UNUSED static const %s%s[%d] =\n%s;\n\n"):format(comment, type, name, #words,
    listed(words, "    "))
end

local function strings_code(comment, name, list)
  local words = {}
  for i, text in ipairs(list) do words[i] = quoted(text) end
  return table_code(comment, "char *const ", name, words)
end

-- The symbols of a vocabulary, by their ids.
local function symbols_code(name, vocab, of)
  local unknown = vocab.unknown ~= "error" and vocab.unknown ~= "skip" and vocab:id(vocab.unknown)
  local rest = (" of each id%s%s"):format(of, unknown and "; " .. unknown .. " stands for all others" or "")
  if vocab.kind ~= "bytes" then
    local what = vocab.kind == "utf8" and "The character, in UTF-8," or "The word"
    return strings_code(what .. rest, name, vocab:pieces())
  end
  local words = {}
  for i, byte in ipairs(vocab:pieces()) do words[i] = ("0x%02x"):format(byte:byte()) end
  return table_code("The byte" .. rest, "unsigned char ", name, words)
end

-- Offsets and factors of columns, `steps` times; nothing where a float has no room for one.
local function scale_code(name, scaler, columns, steps, comment)
  local offsets, factors = {}, {}
  for i = 1, #columns * steps do
    local column = columns[(i - 1) % #columns + 1]
    local offset, factor = scaler.offset[column], scaler.factor[column]
    if math.abs(offset) > 3.4e38 or factor > 3.4e38 or factor < 1.2e-38 then return "" end
    offsets[i], factors[i] = number(offset), number(factor)
  end
  return table_code((comment:gsub("NAME", name)), "float ", name .. "_offset", offsets) ..
    table_code("See " .. name .. "_offset.", "float ", name .. "_factor", factors)
end

-- What numbers mean, as constants that a program may leave unused.
local function tables_of(model, name, inputs)
  local own, code, vocab = model.pipeline, {}, model.vocab
  local shared = vocab and vocab == model.output_vocab
  local function add(text) code[#code + 1] = text end
  if vocab then add(symbols_code(name .. "_symbols", vocab, shared and " that goes in or comes out" or "")) end
  if model.output_vocab and not shared then
    add(symbols_code(name .. "_output_symbols", model.output_vocab, " that comes out"))
  end
  if model.labels then add(strings_code("What each output stands for.", name .. "_labels", model.labels)) end
  local columns = own and own.scaler and (own.columns or own.scaler.columns)
  if columns and #columns == inputs then
    add(scale_code(name .. "_input", own.scaler, columns, 1, "x[i] = (value - NAME_offset[i]) / NAME_factor[i]"))
  end
  if columns and own.targets then
    add(scale_code(name .. "_output", own.scaler, own.targets, own.steps,
      "value = y[i] * NAME_factor[i] + NAME_offset[i]"))
  end
  return table.concat(code)
end

-- What windows the model learned, and in what units.
local function about_data(own)
  local lines, scaler = {}, own.scaler
  if own.look_back then
    lines[1] = ("looks back %d step%s (from a state that is reset), foretells %s, %d ahead%s"):format(own.look_back,
      own.look_back == 1 and "" or "s", table.concat(own.targets, ", "), own.ahead,
      own.steps > 1 and (" and the %d after"):format(own.steps - 1) or "")
  end
  for _, name in ipairs(own.columns or scaler and scaler.columns or {}) do
    lines[#lines + 1] = scaler and ("input %s: (value - %.9g) / %.9g"):format(name, scaler.offset[name],
      scaler.factor[name]) or "input " .. name
  end
  for _, name in ipairs(scaler and own.targets or {}) do
    lines[#lines + 1] = ("output %s: y * %.9g + %.9g"):format(name, scaler.factor[name], scaler.offset[name])
  end
  return lines
end

-- What the model is, for a comment: no text of its own may end it, or be a trigraph.
local function about(model)
  local lines = {}
  for line in (model.core:summary()):gmatch("[^\n]+") do lines[#lines + 1] = (line:gsub(", runs on .*", "")) end
  if model.labels then lines[#lines + 1] = "outputs: " .. table.concat(model.labels, ", ") end
  for _, line in ipairs(model.pipeline and about_data(model.pipeline) or {}) do lines[#lines + 1] = line end
  local text = "     " .. table.concat(lines, "\n     ")
  return (text:gsub("%*/", "* /"):gsub("/%*", "/ *"):gsub("%?%?", "? ?"))
end

local EXAMPLE = [[
   int main(void) {
     LSTM_ALIGNED static unsigned char model_memory[${NAME}_MODEL_BYTES], state_memory[${NAME}_STATE_BYTES];
     static ${x};
     static float ${y};
     lstm_model *model;
     lstm_state *state;
${desc}     if (lstm_model_from_static(&${name}, model_memory, sizeof model_memory, &model) != LSTM_OK) return 1;
     if (lstm_state_create_in(model, ${given}, state_memory, sizeof state_memory, &state) != LSTM_OK) return 1;
     return ${call} != LSTM_OK; // ${often}
   }
]]

local HEADER = [[
/* ${name}.h, written by `lstm export --c`: a model as constants, for lstm.h ${version}.

${about}

   ${flash} bytes of constants, which stay in flash. RAM: ${model} bytes for the tables of the model and ${state} for
   a state of one lane where pointers have 64 bits; where they have 32, a little less. Include it in one file:

   ```
   #define LSTM_IMPLEMENTATION
   #include "lstm.h"
   #include "${name}.h"

${example}   ```
*/
#ifndef LSTM_MODEL_${NAME}
#define LSTM_MODEL_${NAME}

#include "lstm.h"

${unused}#if LSTM_STATIC_VERSION != ${layout}
#error "${name}.h was written for another version of lstm.h: write it again with the lstm export of this one"
#endif

#define ${NAME}_INPUTS ${inputs}
#define ${NAME}_OUTPUTS ${outputs}
${longest}#define ${NAME}_MODEL_BYTES ${model}
#define ${NAME}_STATE_BYTES ${state}

${tables}${arrays}static const lstm_layer ${name}_layers[${layers}] = {
${layer_code}};

static const lstm_static_model ${name} = {
    ${layout}, ${inputs}, ${layers}, LSTM_OUTPUT_${output}, LSTM_${numerics}, LSTM_ISA_AUTO, 0x${fingerprint}u,
    ${name}_layers, ${packed_count}, ${table_count}, ${params_count},
    ${packed}, ${table}, ${params}, 0};

#endif
]]

local UNUSED = [[
/* Tables of what numbers mean. They are not among the bytes above: what a program does not read takes no room once it
   is optimised, and is no reason for a warning. */
#ifndef LSTM_UNUSED
#ifdef __GNUC__
#define LSTM_UNUSED __attribute__((unused))
#else
#define LSTM_UNUSED
#endif
#endif

]]

-- ${word} becomes values.word.
local function filled(text, values)
  return (text:gsub("%${(%w+_?%w*)}", function(word) return tostring(values[word]) end))
end

-- The example, where no variable has the model's own name.
local function example(values)
  local text = filled(EXAMPLE, setmetatable({name = "${name}"}, {__index = values}))
  for _, word in ipairs{"model", "state", "x", "y", "desc", "model_memory", "state_memory"} do
    if word == values.name then text = text:gsub("%f[%w_]" .. word .. "%f[^%w_]", "my_%0") end
  end
  return filled(text, values)
end

-- How the model is called: what goes in, what comes out, and the call.
local function usage(values, ids, once, both)
  local count = both and "${NAME}_STEPS" or "1"
  values.x = filled(ids and "int32_t x[" .. count .. "]" or
    both and "float x[${NAME}_STEPS * ${NAME}_INPUTS]" or "float x[${NAME}_INPUTS]", values)
  values.y = filled(both and not once and "y[${NAME}_STEPS * ${NAME}_OUTPUTS]" or "y[${NAME}_OUTPUTS]", values)
  values.call = filled(both and ("lstm_forward%s(model, state, x, ${NAME}_STEPS, y)") or
    "lstm_step%s(model, state, x, y)", values):format(ids and "_ids" or "")
  values.often = both and "once a sequence" or "once a tick"
  values.given = both and "&desc" or "NULL"
  values.desc = both and filled("     lstm_state_desc desc = {1, 0, {NULL, NULL, NULL}, NULL, ${NAME}_STEPS};\n",
    values) or ""
  values.longest = both and filled("#define ${NAME}_STEPS ${steps} /* the longest sequence */\n", values) or ""
end

--- The header's text, and what it takes in bytes: {flash =, model =, state =}; or nil and what is wrong.
function export.c(model, name, seq)
  local packed, description = model.core:packed(seq), model.core:describe()
  local ids, once, both = select(4, model.core:sizes())
  local values = {
    name = name, NAME = name:upper(), about = about(model), steps = seq, layers = #description.layers,
    flash = 4 * 16 + #description.layers * 4 * #fields,
  }
  for key, value in pairs(packed) do values[key] = value end
  local arrays = {packed = packed.packed, table = packed.table, params = kept(model, packed.table)}
  values.arrays = ""
  for _, what in ipairs{"packed", "table", "params"} do
    local array, code = arrays[what], ""
    values[what], values[what .. "_count"] = array and name .. "_" .. what or "NULL", array and #array or 0
    if array then code = array_code(name .. "_" .. what, array) end
    if not code then return nil, "a weight is NaN or infinite: there are no constants for these" end
    values.arrays = values.arrays .. code
    values.flash = values.flash + values[what .. "_count"] * 4
  end
  local layers = {}
  for i, layer in ipairs(description.layers) do layers[i] = layer_code(layer) end
  values.layer_code = table.concat(layers, ",\n")
  values.inputs, values.outputs = model.core:sizes()
  values.output, values.numerics = description.output:upper(), description.numerics:upper()
  values.tables = tables_of(model, name, values.inputs)
  values.unused = values.tables ~= "" and UNUSED or ""
  usage(values, ids, once, both)
  values.example = example(values)
  return filled(HEADER, values), {flash = values.flash, model = values.model, state = values.state}
end

return export
