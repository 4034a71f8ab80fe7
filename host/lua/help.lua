-- help.lua: what the editor's stubs (host/lstm.d.lua, inside the binary) say about a function, a class or an object.

local core = require "lstm.core"
local options = require "lstm.options"

local help = {}

local WIDTH = 100

-- Where a type ends in `table<string, integer> ids by symbol`: at the first blank outside of brackets.
local function type_end(text)
  local depth, i = 0, 1
  while i <= #text do
    local c = text:sub(i, i)
    if c:find("[%(<{%[]") then depth = depth + 1 end
    if c:find("[%)>}%]]") then depth = depth - 1 end
    if c == " " and depth == 0 and not text:sub(i - 1, i - 1):find("[:,]") then return i - 1 end
    i = i + 1
  end
  return #text
end

-- `name? type words`.
local function read_item(text)
  local name, rest = text:match("^(%S+)%s*(.*)$")
  local stop = type_end(rest)
  return {name = name:gsub("%?$", ""), optional = name:find("%?$") ~= nil, type = rest:sub(1, stop),
    text = rest:sub(stop + 2)}
end

local readers = {
  param = function(block, text) block.params[#block.params + 1] = read_item(text) end,
  field = function(block, text) block.fields[#block.fields + 1] = read_item(text) end,
  ["return"] = function(block, text) block.returns[#block.returns + 1] = text end,
  overload = function(block, text) block.overload = text:match("^fun(.*)$") end,
  class = function(block, text) block.class, block.parent = text:match("^([%w_.]+):?%s*([%w_.]*)") end,
  see = function(block, text) block.see = text end,
  private = function(block) block.private = true end,
  alias = function(block, text)
    local name, values = text:match("^(%S+) (.*)$")
    help.aliases[name], block.text = values, {}
  end,
}

local function new_block() return {text = {}, params = {}, fields = {}, returns = {}} end

-- A line of text; those between ```lua and ``` are an example.
local function read_text(block, line)
  if line:sub(1, 3) == "```" then
    block.fenced = not block.fenced
    block.example = block.example or {}
  elseif block.fenced then
    block.example[#block.example + 1] = "  " .. line
  else
    block.text[#block.text + 1] = line
  end
end

-- The stubs as a list of entries: functions (name, arguments) and classes (class, name: what holds its methods).
local function read_stubs(stubs)
  local entries, block = {}, new_block()
  local function finish()
    if (block.name or block.class) and not block.private then entries[#entries + 1] = block end
    block = new_block()
  end
  local item                                         -- the parameter or field whose text may go on in the next line
  for line in stubs:gmatch("([^\n]*)\n") do
    local tag, rest = line:match("^%-%-%-@(%l+) ?(.*)$")
    if tag then
      if readers[tag] then readers[tag](block, rest) end
      item = tag == "param" and block.params[#block.params] or tag == "field" and block.fields[#block.fields] or nil
    elseif item and line:sub(1, 3) == "---" then
      item.text = item.text .. " " .. line:sub(4)
    elseif line:sub(1, 3) == "---" then
      read_text(block, line:sub(4))
    else
      local name, arguments = line:match("^function ([%w_.:]+)(%b())")
      block.name, block.arguments = name or line:match("^local (%u%w*) = {}") or line:match("^(lstm[%w_.]*) = {}"),
        arguments
      item = nil
      finish()
    end
  end
  return entries
end

local function entries()
  if not help.entries then
    help.aliases = {}
    help.entries = read_stubs(core.embedded "lstm.d" .. "\n")
  end
  return help.entries
end

local function class_named(name)
  for _, entry in ipairs(entries()) do
    if entry.class and (entry.class == name or entry.name == name) then return entry end
  end
end

-- [Text]

-- Words in lines of at most WIDTH; the first line begins with `left`, the others with `indent`.
local function wrap(text, indent, left)
  local lines, line = {}, left or indent
  for word in text:gmatch("%S+") do
    if #line + 1 + #word > WIDTH and #line > #indent then lines[#lines + 1], line = line, indent end
    line = line .. (line:find("%S$") and " " or "") .. word
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n")
end

-- "lstm.Array" -> "array": types as a user knows them.
local function plain(text)
  text = text:gsub("(lstm%.%u%w*)(%[%])", function(name, list)
    return help.aliases[name] and "(" .. help.aliases[name] .. ")" .. list
  end):gsub("lstm%.%u%w*", help.aliases):gsub("lstm%.%u%w*Options", "table")
  return (text:gsub("lstm%.(%u)(%w*)", function(first, rest)
    return first:lower() .. rest
  end))
end

local function padded(text, width) return text .. (" "):rep(math.max(0, width - #text)) end

local function add_items(lines, items, indent)
  for _, item in ipairs(items) do
    local left = padded(indent .. padded(item.name, 15) .. " " .. plain(item.type), 40) .. "  "
    lines[#lines + 1] = wrap(item.text, (" "):rep(42), left):gsub("%s+$", "")
  end
end

-- The options that a type stands for, where it is a class of them, or may be.
local function add_options(lines, type, indent)
  local class = class_named(type:match("lstm%.%u%w*Options") or "")
  while class do
    add_items(lines, class.fields, indent)
    class = class.parent ~= "" and class_named(class.parent)
  end
end

-- "(text: string, options?: {least: integer})" -> "(text, options)".
local function names_of(arguments)
  return (arguments:match("^%b()"):gsub("%b{}", ""):gsub("%??:.-([,)])", "%1"))
end

-- How it is called, a line for each way.
local function add_signatures(lines, entry)
  if entry.arguments then
    local returns = #entry.returns > 0 and " -> " .. table.concat(entry.returns, ", ") or ""
    lines[1] = entry.name:gsub("^%u", string.lower) .. entry.arguments .. returns
  end
  if entry.overload then
    local arguments, result = entry.overload:match("^(%b()):?%s*(.*)$")
    if entry.arguments then                                -- the types are below
      arguments, result = names_of(arguments), " -> " .. result
    else
      result = result ~= "" and ": " .. result or ""
    end
    lines[#lines + 1] = entry.name .. arguments .. result
  end
end

-- The example of an entry, or of that which it refers to with @see.
local function add_example(lines, entry)
  local name = entry.see
  for _, other in ipairs(name and entries() or {}) do
    if other.name == name then entry = other end
  end
  if not entry.example then return end
  lines[#lines + 1] = "  Example:"
  for _, line in ipairs(entry.example) do lines[#lines + 1] = "  " .. line end
end

local function function_text(entry)
  local lines = {}
  add_signatures(lines, entry)
  if #entry.text > 0 then lines[#lines + 1] = wrap(table.concat(entry.text, " "), "  ") end
  for _, param in ipairs(entry.params) do
    add_items(lines, {param}, "  ")
    add_options(lines, param.type, "    ")
  end
  if entry.overload and not entry.arguments then
    for name in entry.overload:gmatch("lstm%.%u%w*Options") do add_options(lines, name, "    ") end
  end
  add_example(lines, entry)
  return plain(table.concat(lines, "\n"))
end

local function first_sentence(entry)
  local text = table.concat(entry.text, " ")
  return text:match("^(.-%.)%s") or text
end

-- "Model:fit" -> "Model", "fit".
local function split(name) return name:match("^(.-)[.:]?([%w_]+)$") end

-- The functions of an owner ("Model", "lstm", "lstm.csv"), one line each.
local function add_functions(lines, owner)
  for _, entry in ipairs(entries()) do
    local holder, name = split(entry.name or "")
    if holder == owner and (entry.arguments or entry.overload) then
      local arguments = entry.arguments or names_of(entry.overload)
      local about = first_sentence(entry)
      if about == "" and entry.returns[1] then about = "-> " .. entry.returns[1] end
      lines[#lines + 1] = wrap(about, (" "):rep(34), padded("  " .. name .. arguments, 32) .. "  "):gsub("%s+$", "")
    end
  end
end

local function class_text(entry)
  local title = (entry.name or ""):match("^lstm.*") or entry.class or entry.name
  local lines = {title .. (#entry.text > 0 and ": " .. table.concat(entry.text, " ") or "")}
  lines[1] = wrap(lines[1], "  ", "")
  add_items(lines, entry.fields, "  ")
  if entry.name then add_functions(lines, entry.name) end
  return plain(table.concat(lines, "\n"))
end

local function entry_text(entry)
  if entry.arguments then return function_text(entry) end
  if not entry.overload then return class_text(entry) end
  local lines = {function_text(entry)}
  add_functions(lines, entry.name)
  return table.concat(lines, "\n")
end

-- [Search]

local function plain_name(name) return (name:gsub("^lstm%.", ""):gsub(":", "."):lower()) end

-- The entries of that name, whole names before last names, which are then more to look at; and the fields of classes,
-- as texts.
local function find(word)
  local wanted, exact, whole, last, fields = plain_name(word), {}, {}, {}, {}
  for _, entry in ipairs(entries()) do
    local text
    for _, name in ipairs{entry.name or "", entry.class or ""} do
      local _, tail = split(name)
      if name == word and name ~= "" and name ~= "lstm" then text = exact
      elseif name ~= "" and plain_name(name) == wanted then text = text or whole
      elseif tail and tail:lower() == wanted then text = text or last end
    end
    if text then text[#text + 1] = entry end
    for _, field in ipairs(entry.fields) do
      if field.name == word then
        fields[#fields + 1] = ("%s.%s: %s %s"):format(entry.class:gsub("^lstm%.", ""), field.name, plain(field.type),
          field.text)
      end
    end
  end
  if #exact > 0 then return exact, {}, fields end
  if #whole > 0 then return whole, last, fields end
  return last, {}, fields
end

local function all_names()
  local names = {}
  for _, entry in ipairs(entries()) do
    local _, name = split(entry.name or entry.class or "")
    names[#names + 1] = name
    for _, field in ipairs(entry.fields) do names[#names + 1] = field.name end
  end
  return names
end

local function text_of_word(word)
  local found, others, fields = find(word)
  if found[1] then
    local texts, names, whole = {}, {}, plain_name(found[1].name or "") == plain_name(word)
    for i, entry in ipairs(found) do
      if i == 1 or whole or not entry.arguments then texts[#texts + 1] = entry_text(entry)
      else names[#names + 1] = entry.name end
    end
    for _, entry in ipairs(others) do names[#names + 1] = entry.name end
    for i, name in ipairs(names) do names[i] = ('help "%s"'):format(name:gsub("^%u", string.lower)) end
    if names[1] then texts[#texts + 1] = wrap(table.concat(names, ", "), "  ", "See also: ") end
    return table.concat(texts, "\n\n")
  elseif fields[1] then
    return table.concat(fields, "\n")
  end
  local near = word ~= "" and options.nearest(word:match("[%w_]*$"), all_names())
  return nil, ('there is no help on "%s"%s'):format(word, near and (', did you mean "%s"?'):format(near)
    or "; help() lists what there is")
end

local other_names = {seq2seq = "Pair", progress = "Bar"}

--- The name that the stubs give to the class of an object ("Model"), or nil.
function help.class_of(value)
  local meta = getmetatable(value)
  local name = type(meta) == "table" and rawget(meta, "__name") or meta
  name = type(name) == "string" and name:match("^lstm%.([%w_]+)$")
  if not name then return nil end
  for _, entry in ipairs(entries()) do
    local owner = entry.class and entry.name
    if owner and (owner == other_names[name] or owner:lower() == name) then return owner end
  end
end

--- The names of the methods of a class of the stubs.
function help.methods(owner)
  local names = {}
  for _, entry in ipairs(entries()) do
    local holder, name = split(entry.name or "")
    if holder == owner and entry.arguments then names[#names + 1] = name end
  end
  return names
end

-- What holds the functions of an owner in the stubs ("lstm.csv", "Array", "State"), or nil.
local function holder_of(owner)
  local lstm = require "lstm"
  if owner == "lstm" then return lstm end
  if owner == "Array" then return lstm.zeros(1) end
  if owner == "Rng" then return lstm.rng(1) end
  if owner == "State" then return core.states end
  if owner == "Trainer" then return lstm.model{input = 1, hidden = 1, output = 1, seed = 1}:trainer{} end
  local name = owner:match("^lstm%.([%w_]+)$")
  return name and lstm[name]
end

-- A member, or nil: some classes raise for a name that they do not have yet.
local function member(where, name)
  local fine, value = pcall(function() return where[name] end)
  return fine and value or nil
end

-- The name that the source gives a function on its first line.
local function name_in_source(f)
  local info = debug.getinfo(f, "S")
  local text, line = core.embedded(info.source:match("^=lstm/([%w_]+)%.lua$") or ""), 0
  for code in (text or ""):gmatch("([^\n]*)\n") do
    line = line + 1
    if line == info.linedefined then return code:match("function ([%w_.:]+)") end
  end
end

-- The name of a function: of the module, of a class in C, or as the source has it.
local function name_of_function(f)
  local holders, found = {}, nil
  for _, entry in ipairs(entries()) do
    local owner, name = split(entry.name or "")
    if entry.arguments and holders[owner] == nil then holders[owner] = holder_of(owner) or false end
    local where = entry.arguments and holders[owner]
    if where and type(where) ~= "function" and member(where, name) == f then
      if owner == "lstm" then return entry.name end          -- lstm.text, which is lstm.vocab.text too
      found = found or entry.name
    end
  end
  return found or name_in_source(f)
end

local function overview()
  local lines = {'help(x) and help "name" tell about a function, a method, an option or an object.',
    "A script has them as lstm.help; help is a global of the prompt only. In lstm:"}
  add_functions(lines, "lstm")
  return plain(table.concat(lines, "\n"))
end

--- The text about a value, or about a name: "fit", "model:fit", "lstm.csv", "look_back". Without any: an overview.
-- Returns nil and a sentence where there is none.
function help.text(...)
  if select("#", ...) == 0 then return overview() end
  local value = ...
  if value == "lstm" then return overview() .. '\n\nSee also: help "lstm.lstm"' end
  if type(value) == "string" then return text_of_word(value) end
  local name = type(value) == "function" and name_of_function(value) or help.class_of(value)
  if name then return text_of_word(name) end
  local lstm = require "lstm"
  if value == lstm then return overview() end
  for key, module in next, lstm do
    if module == value and type(module) == "table" then return text_of_word("lstm." .. key) end
  end
  return nil, ("there is no help on %s; help \"name\" looks for a name"):format(options.show(value))
end

--- Prints it.
function help.print(...)
  local text, problem = help.text(...)
  print(text or problem)
end

return help
