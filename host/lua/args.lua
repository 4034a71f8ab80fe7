-- args.lua: the command line of a script, declared once: names, defaults, types, ranges and help.
--
--   local opt = lstm.args{
--     about = "Learn the style of a text.",
--     {"file", help = "text to learn from"},
--     {"--hidden", default = 128, min = 1, help = "cells per layer"},
--     {"--quiet", flag = true, help = "no progress line"},
--     examples = {{"poems.txt --hidden 256", "with more cells"}},
--   }
--   print(opt.file, opt.hidden, opt.quiet)

local core = require "lstm.core"
local options = require "lstm.options"

local args = {}

local declared = {
  "help", "default", "type", "min", "max", "above", "below", "choices", "flag", "optional", "value", "alias",
  "many",
  ["#"] = true,
}

-- "--validate-every" -> "validate_every": the field the value is found in.
local function field_of(name) return (name:gsub("^%-+", ""):gsub("%-", "_")) end

local function kind_of(default)
  if type(default) ~= "number" then return type(default or "") end
  return default == math.floor(default) and not tostring(default):find("[.eE]") and "integer" or "number"
end

local function raise_declaration(given)
  core.raise(('args: an argument %s, as in {"--hidden", default = 128}; got %s'):format(
    type(given) == "table" and "has a name" or "is declared as a table",
    options.show(type(given) == "table" and given[1] or given)))
end

-- Reads the declarations: a list of positionals, options by spelling, and all spellings in order.
local function read_spec(spec)
  options.argument(spec, "table", "args: the declaration")
  options.check(spec, {"about", "examples", "version", ["#"] = true}, "args", 4)
  local parser = {about = spec.about, positionals = {}, options = {}, by_name = {}, names = {}}
  for _, given in ipairs(spec) do
    if type(given) ~= "table" or type(given[1]) ~= "string" then raise_declaration(given) end
    local item = options.check(given, declared, "args", 4)
    item.name, item.field = given[1], field_of(given[1])
    item.type = item.type or kind_of(item.default)
    if given[1]:sub(1, 1) ~= "-" then
      parser.positionals[#parser.positionals + 1] = item
    else
      parser.options[#parser.options + 1] = item
      local spellings = {given[1]}
      for _, alias in ipairs(type(item.alias) == "string" and {item.alias} or item.alias or {}) do
        spellings[#spellings + 1] = alias
      end
      for _, name in ipairs(spellings) do
        parser.by_name[name] = item
        parser.names[#parser.names + 1] = name
      end
    end
  end
  return parser
end

-- Text from the command line as the value the item wants, or nil and the sentence.
local function convert(item, text)
  local value = text
  if item.type ~= "string" then value = tonumber(text) end
  if item.type ~= "string" and text:find("[xXnN]") then value = nil end     -- decimal, finite
  local checked, want = options.value(value, {type = item.type, min = item.min, max = item.max, above = item.above,
    below = item.below, choices = item.choices})
  if value == nil or checked == nil then
    return nil, ('%s must be %s, got "%s"'):format(item.name, want, text)
  end
  return checked
end

local function unknown(parser, name)
  local near = options.nearest(name, parser.names)
  if near then near = parser.by_name[near].name end
  return ("unknown option %s%s"):format(name, near and ", did you mean " .. near .. "?" or "; --help lists them all")
end

-- One option at argv[i]; returns the index of the last word it used, or nil and the sentence.
local function read_option(parser, argv, i, result, given)
  local name, attached = argv[i]:match("^(%-[^=]*)=(.*)$")
  name = name or argv[i]
  local item = parser.by_name[name] or parser.by_name[(name:gsub("_", "-"))] or parser.by_name["-" .. name]
  if not item then return nil, unknown(parser, name) end
  given[item.field] = true
  if item.flag then
    if attached then return nil, name .. " takes no value" end
    result[item.field] = true
    return i
  end
  local text = attached
  if not text then
    i = i + 1
    text = argv[i]
    if text == nil then return nil, name .. " needs a value" end
  end
  local value, problem = convert(item, text)
  if value == nil then return nil, problem end
  if item.many then
    table.insert(result[item.field], value)
  else
    result[item.field] = value
  end
  return i
end

-- Whether the word at argv[i], which is no option, seems to be the rest of a text with spaces: {word =, typed = what
-- was meant}; else nil. A file that is there is one.
local function cut_value(parser, argv, i)
  local name = argv[i - 2] or ""
  local item = parser.by_name[name]
  if not item or item.flag or item.type ~= "string" or core.exists(argv[i]) then return nil end
  local last = i
  while argv[last + 1] and not argv[last + 1]:find("^%-") and not core.exists(argv[last + 1]) do last = last + 1 end
  return {word = argv[i], typed = ('%s "%s"'):format(name, table.concat(argv, " ", i - 1, last))}
end

local function base_name(path) return path and path:match("[^/\\]+$") or "script.lua" end

local function version_line(spec, program)
  return ("%s, %s\n"):format(base_name(program), spec.version or "lstm " .. require "lstm.core".version)
end

--- Reads a command line. Returns a table of values by name (dashes become underscores, flags are true or false) and a
-- table of the names that were given, or nil and one sentence, or nil, nil, text for --help and --version.
-- spec: about = text, examples = list of {arguments, what that does} for the help, version = text (default: that of
--   this library), then one table for each argument: {"name", ...} a positional, {"--name", ...} an option, with
--   help, default, type ("string", "integer", "number"; default: that of the default value), min, max, above, below,
--   choices, flag = true (no value), many = true (may be given several times: its value is a list), optional = true (a
--   positional that may be left out), alias (other spellings), value (what to call the value in the help).
-- argv: a list of strings, [0] = the script's name.
function args.parse(spec, argv)
  if argv ~= nil then options.argument(argv, "table", "args: the command line") end
  argv = argv or {}
  local parser = read_spec(spec)
  local result, given, words, cut = {}, {}, {}, nil
  for _, item in ipairs(parser.options) do
    result[item.field] = item.default
    if item.flag then result[item.field] = item.default or false end
    if item.many then result[item.field] = {} end
  end
  local i, only_words = 1, false
  while argv[i] do
    local word = argv[i]
    if not only_words and (word == "--help" or word == "-h" or word == "-help") and not parser.by_name[word] then
      return nil, nil, args.help(spec, argv[0])
    elseif not only_words and word == "--version" and not parser.by_name[word] then
      return nil, nil, version_line(spec, argv[0])
    elseif not only_words and word == "--" then
      only_words = true
    elseif not only_words and word:find("^%-.") then
      local last, problem = read_option(parser, argv, i, result, given)
      if not last then return nil, problem end
      i = last
    else
      words[#words + 1] = word
      cut = cut or cut_value(parser, argv, i)
    end
    i = i + 1
  end
  for k, item in ipairs(parser.positionals) do
    if words[k] == nil then
      if not item.optional and item.default == nil then return nil, item.name:upper() .. " is missing" end
      result[item.field] = item.default
    else
      local value, problem = convert(item, words[k])
      if value == nil then return nil, problem end
      result[item.field], given[item.field] = value, true
    end
  end
  if #words > #parser.positionals then
    return nil, ('"%s" is one argument too many%s'):format(cut and cut.word or words[#parser.positionals + 1],
      cut and ("; what has spaces needs quotes: %s"):format(cut.typed) or "")
  end
  return result, given
end

local function kept_text(value)
  return type(value) == "number" and ("%.17g"):format(value) or tostring(value)
end

--- Options as one string, to be kept with what they made: `steps=2000 lr=0.002`. names: which ones.
-- Values must not contain white space.
function args.keep(values, names)
  options.argument(values, "table", "keep: the values")
  options.argument(names, "table", "keep: the names")
  local words = {}
  for _, name in ipairs(names) do
    local value = values[name]
    if value ~= nil then words[#words + 1] = name .. "=" .. kept_text(value) end
  end
  return table.concat(words, " ")
end

local function check_kept(values, given, text)
  options.argument(values, "table", "args: the values")
  options.argument(given, "table", "args: the names that were given")
  options.argument(text, "string", "args: the text that keep made")
end

local words_of = {["true"] = true, ["false"] = false}

--- Puts the options of such a string into `values`, but those that `given` has (see parse): they were asked for anew.
function args.recall(values, given, text)
  check_kept(values, given, text)
  for name, value in text:gmatch("(%S+)=(%S+)") do
    if not given[name] then
      values[name] = tonumber(value) or value
      if words_of[value] ~= nil then values[name] = words_of[value] end
    end
  end
end

-- An option as it is typed: "--hidden 96"; a flag is its name alone.
local function typed(name, value)
  name = "--" .. name:gsub("_", "-")
  if value == true or value == "true" then return name end
  if value == false or value == "false" then return "no " .. name end
  local number = tonumber(value)
  return name .. " " .. (number and ("%.6g"):format(number) or tostring(value))
end

--- The first option that was given and is another one than in such a string: how it was typed and how it was kept
-- ("--hidden 128", "--hidden 96"); nil where all agree. free: a list of names that may differ.
function args.conflict(values, given, text, free)
  check_kept(values, given, text)
  local may = {}
  for _, name in ipairs(free or {}) do may[name] = true end
  for name, value in text:gmatch("(%S+)=(%S+)") do
    if given[name] and not may[name] and kept_text(values[name]) ~= value then
      return typed(name, values[name]), typed(name, value)
    end
  end
  return nil
end

-- A word that a shell takes as it is.
local function quoted(text)
  if text:find("^[%w%._/=:,+%-]+$") then return text end
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- The command line that starts this script again: program, script, `words`, then those of the options `names` that
-- were given. A shell reads it as it stands.
function args.command(words, values, given, names)
  for _, list in ipairs{{words, "words"}, {values, "values"}, {given, "names that were given"}, {names, "names"}} do
    options.argument(list[1], "table", "command: the " .. list[2])
  end
  local line = {}
  for i = -20, 0 do line[#line + 1] = arg and arg[i] end                  -- lstm --threads 2 script.lua
  if #line == 0 then line = {"lstm", "script.lua"} end
  for _, word in ipairs(words) do line[#line + 1] = word end
  for _, name in ipairs(names) do
    local value = values[name]
    for _, one in ipairs(given[name] and (type(value) == "table" and value or {value}) or {}) do
      if one ~= false then line[#line + 1] = "--" .. name:gsub("_", "-") end
      if one ~= false and one ~= true then line[#line + 1] = tostring(one) end
    end
  end
  for i, word in ipairs(line) do line[i] = quoted(word) end
  return table.concat(line, " ")
end

--- Ends the program with one sentence on stderr, after the script's name. code: 1 if not given.
function args.stop(message, code)
  local name = (arg and arg[0] or "lstm"):match("[^/\\]+$") or "lstm"
  if name:find("^%l+$") and name ~= "lstm" then name = "lstm " .. name end      -- lstm forecast
  io.stderr:write(name, ": ", message, "\n")
  os.exit(code or 1, true)
end

--- Whether a file can be written there, before hours of work depend on it. Returns true, or nil and the sentence.
-- option: what to blame ("--out"); path: nil is fine.
function args.writable(option, path)
  if not path then return true end
  options.argument(path, "string", "writable: the path")
  local folder = io.open(path .. "/.")
  if folder then
    folder:close()
    return nil, ("%s %s is a folder: give the name of a file"):format(option, path)
  end
  local probe = path .. ".probe"
  local fine, message = require "lstm.core".writefile(probe, "")
  if not fine then return nil, (message:gsub("%.probe", "", 1)) end
  os.remove(probe)
  return true
end

-- Words of text in lines of at most `width`, each after the first indented.
local function wrap(text, width, indent)
  local lines, line = {}, ""
  for word in text:gmatch("%S+") do
    if line ~= "" and #line + 1 + #word > width then
      lines[#lines + 1], line = line, word
    else
      line = line == "" and word or line .. " " .. word
    end
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n" .. (" "):rep(indent))
end

local LEFT, WIDTH = 24, 96

-- "default 128", "adam if not given, or sgd": what the help adds about an item.
local function remarks(item)
  local notes = {}
  if item.choices then
    local others = {}
    for _, choice in ipairs(item.choices) do
      if choice ~= item.default then others[#others + 1] = choice end
    end
    notes[1] = (item.default and item.default .. " if not given, or " or "") .. table.concat(others, ", ")
  elseif item.default ~= nil and item.default ~= "" and not item.flag then
    notes[1] = "default " .. (item.type == "number" and ("%g"):format(item.default) or tostring(item.default))
  end
  if type(item.alias) == "string" then item.alias = {item.alias} end
  if item.alias then notes[#notes + 1] = "also " .. table.concat(item.alias, ", ") end
  return #notes > 0 and " (" .. table.concat(notes, "; ") .. ")" or ""
end

local function help_line(left, text)
  left = "  " .. left
  local gap = #left < LEFT and (" "):rep(LEFT - #left) or "\n" .. (" "):rep(LEFT)
  return left .. gap .. wrap(text, WIDTH - LEFT, LEFT)
end

-- Each example as it is typed, and below it what it does.
local function add_examples(lines, examples, program)
  if #examples > 0 then lines[#lines + 1] = "\nExamples:" end
  for _, example in ipairs(examples) do
    if type(example) == "string" then example = {example} end
    lines[#lines + 1] = ("  lstm %s %s"):format(program or "script.lua", example[1])
    if example[2] then lines[#lines + 1] = "      " .. wrap(example[2], WIDTH - 6, 6) end
  end
end

--- The help text of a declaration. program: the script's path (default "script.lua").
function args.help(spec, program)
  if program ~= nil then options.argument(program, "string", "help: the script") end
  local parser = read_spec(spec)
  local usage = {"usage: lstm", program or "script.lua"}
  for _, item in ipairs(parser.positionals) do
    local name = item.name:upper()
    usage[#usage + 1] = (item.optional or item.default ~= nil) and "[" .. name .. "]" or name
  end
  usage[#usage + 1] = #parser.options > 0 and "[options]" or nil
  local lines = {table.concat(usage, " "), ""}
  if parser.about then
    lines[#lines + 1] = wrap(parser.about, WIDTH, 0)
    lines[#lines + 1] = ""
  end
  for _, item in ipairs(parser.positionals) do
    lines[#lines + 1] = help_line(item.name:upper(), (item.help or "") .. remarks(item))
  end
  if #parser.positionals > 0 then lines[#lines + 1] = "" end
  local words = {integer = "N", number = "X", string = "TEXT"}
  for _, item in ipairs(parser.options) do
    local left = item.name .. (item.flag and "" or " " .. (item.value or words[item.type] or "VALUE"))
    lines[#lines + 1] = help_line(left, (item.help or "") .. remarks(item))
  end
  lines[#lines + 1] = help_line("-h, --help", "this text")
  add_examples(lines, spec.examples or {}, program)
  return table.concat(lines, "\n") .. "\n"
end

-- lstm.args(spec [, argv]): reads the script's command line (argv defaults to the global `arg`).
-- --help prints the help and ends the program with code 0; a mistake prints one sentence and ends it with code 2.
local function run(_, spec, argv)
  argv = argv or arg or {}
  local result, second, help = args.parse(spec, argv)
  if result then return result, second end
  if help then
    io.stdout:write(help)
    os.exit(0, true)
  end
  args.stop(second, 2)
end

return setmetatable(args, {__call = run})
