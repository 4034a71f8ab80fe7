-- commands.lua: `lstm forecast series.csv`, `lstm train FILE`, `lstm --help`: the scripts inside the binary, by name.

local core = require "lstm.core"
local options = require "lstm.options"

local commands = {}

local FOLDER = "scripts/"

-- The text of an embedded script, or nil.
local function text_of(name) return core.embedded(FOLDER .. name) end

-- What a script says about itself: the string after `about =`, which may be joined of several.
local function about_of(name)
  local text = text_of(name)
  local _, last = text:find("about%s*=%s*")
  local parts = {}
  while last do
    local _, stop, part = text:find('^"([^"]*)"%s*', last + 1)
    if not stop then break end
    parts[#parts + 1] = part
    _, last = text:find("^%.%.%s*", stop + 1)
  end
  return table.concat(parts)
end

local function is_folder(path)
  local inside = io.open(path .. "/.")
  if inside then inside:close() end
  return inside ~= nil
end

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

local function extension(path) return (path:match("%.(%w+)$") or ""):lower() end

-- Which script learns from a kind of file, and what that kind is.
local learners = {
  csv = {"forecast", "a table of numbers"}, ts = {"classify", "labelled sequences"},
  tsv = {"translate", "pairs of sentences"},
}
local function learner_of(path)
  if is_folder(path) then return "classify", "a folder of classes" end
  local known = learners[extension(path)] or {"chars", "a text"}
  return known[1], known[2]
end

local function stop(message)
  io.stderr:write("lstm ", message, " (see lstm --help)\n")
  os.exit(2, true)
end

-- Runs an embedded script as `lstm NAME ...` would. called: the name that its errors begin with, else that.
local function run(name, words, called)
  words[0] = called or name
  for i = -1, -20, -1 do words[i] = arg[i] end
  arg = words                                                    -- luacheck: ignore (what scripts read)
  local chunk = assert(load(text_of(name), "=lstm/" .. FOLDER .. name .. ".lua"))
  return chunk((table.unpack or unpack)(words))                  -- luacheck: ignore (Lua 5.1)
end

local function wants_help(words) return words[1] == "--help" or words[1] == "-h" end

local own = {}

own.train = {
  usage = "train FILE [options]",
  about = "Learn a file with the command that fits its kind.",
  text = [[
FILE.csv, a table of numbers          lstm forecast FILE.csv
FILE.tsv, pairs of sentences          lstm translate FILE.tsv
FILE.ts, labelled sequences           lstm classify FILE.ts
a folder with a folder for each class lstm classify FOLDER
any other file, a text                lstm chars FILE

The options are those of that command: lstm forecast --help
]],
  run = function(words)
    local path
    for _, word in ipairs(words) do
      if not path and word:sub(1, 1) ~= "-" and exists(word) then path = word end
    end
    if not path then
      local first = words[1] or "-"
      stop(first:sub(1, 1) == "-" and "train: FILE is missing" or ("train: there is no file %s"):format(first))
    end
    local no_data = not is_folder(path) and require "lstm.sniff".no_data(path, "data to learn")
    if no_data then stop("train: " .. no_data) end
    local name, kind = learner_of(path)
    if not text_of(name) then stop(("train: %s is %s, which this build cannot learn"):format(path, kind)) end
    io.stderr:write(("lstm train: %s is %s: lstm %s\n"):format(path, kind, name))
    return run(name, words)
  end,
}

own.sample = {
  usage = "sample MODEL [options]",
  about = "Let a model that `lstm chars --out MODEL` saved write text.",
  text = [[
The same as lstm chars --load MODEL, and the options are those of lstm chars.

lstm chars poems.txt --out poems.safetensors
lstm sample poems.safetensors --prime "The " --temperature 0.7
]],
  run = function(words)
    if not words[1] or words[1]:sub(1, 1) == "-" then stop "sample: MODEL is missing" end
    local called = "sample"
    for _, word in ipairs(words) do
      if wants_help{word} then called = "chars" end                      -- the help is that command's
    end
    return run("chars", {"--load", (table.unpack or unpack)(words)}, called)     -- luacheck: ignore (Lua 5.1)
  end,
}

own.help = {
  usage = "help [COMMAND]",
  about = "This text, or that of lstm COMMAND --help.",
  text = "",
  run = function(words)
    local name = words[1]
    if not name then return io.write(commands.help()) end
    local command, problem = commands.find(name)
    if not command then stop("help: " .. (problem or name .. " is a script: lstm " .. name .. " --help")) end
    return command{"--help"}
  end,
}

--- The names of all commands, sorted.
function commands.names()
  local names = {}
  for _, name in ipairs(core.embedded()) do
    if name:sub(1, #FOLDER) == FOLDER then names[#names + 1] = name:sub(#FOLDER + 1) end
  end
  for name in pairs(own) do names[#names + 1] = name end
  table.sort(names)
  return names
end

--- One line about a command.
function commands.about(name)
  local about = own[name] and own[name].about or about_of(name)
  return (about:match("^(.-%.)%s") or about)
end

local function print_own_help(command)
  io.write("usage: lstm ", command.usage, "\n\n", command.about, "\n\n", command.text)
end

--- What the first word of a command line that is no option means: a function that takes its arguments as a list, or
-- nil where it is a script for Lua, or nil and a sentence where it can be neither.
function commands.find(word)
  if own[word] then
    return function(words)
      if wants_help(words) then return print_own_help(own[word]) end
      return own[word].run(words)
    end
  elseif text_of(word) then
    return function(words) return run(word, words) end
  elseif is_folder(word) then
    return nil, ("%s is a folder, not a Lua script"):format(word)
  elseif exists(word) and learners[extension(word)] then
    return nil, ("%s is not a Lua script; to learn it: lstm train %s"):format(word, word)
  elseif exists(word) and extension(word) == "safetensors" then
    return nil, ("%s is a model, not a Lua script; to see what is in it: lstm info %s"):format(word, word)
  elseif not exists(word) and exists(word .. ".lua") then
    return nil, ('there is no file "%s", did you mean %s.lua?'):format(word, word)
  elseif not exists(word) and word:find("^[%w_-]+$") then
    local names = commands.names()
    local near = options.nearest(word, names)
    return nil, ('there is neither a command nor a file "%s"%s'):format(word,
      near and (', did you mean "%s"?'):format(near) or "; the commands are " .. options.list(names))
  end
  return nil
end

--- The text of `lstm --help`.
function commands.help()
  local lines = {[=[
usage: lstm COMMAND [arguments]              one of the programs inside, see below
       lstm [options] [script [arguments]]   a Lua script that begins with: local lstm = require "lstm"
       lstm                                  a prompt

Commands (lstm COMMAND --help tells more):]=]}
  for _, name in ipairs(commands.names()) do
    local about = commands.about(name)
    if #about > 104 then                                         -- goes on in a second line
      local first = about:sub(1, 104):match("^(.*)%s")
      about = first .. "\n" .. (" "):rep(16) .. about:sub(#first + 2)
    end
    lines[#lines + 1] = ("  %-13s %s"):format(name, about)
  end
  lines[#lines + 1] = [[

For example, with a CSV file and a text of yours:
  lstm forecast series.csv --out series.safetensors --plot forecast.svg
  lstm forecast series.csv --load series.safetensors
  lstm chars text.txt --out text.safetensors
  lstm sample text.safetensors

Options before a script or a command:
  -e CHUNK      run a piece of Lua
  -l NAME       require NAME and keep it in a global of that name
  -i            a prompt, after the script if there is one
  -             the script is standard input
  --            no more options
  --threads N   calculate with N threads (all cores if not given)
  --isa NAME    calculate with this instruction set: scalar, sse2, avx2, avx512, neon
  --seed N      where random numbers begin (1 if not given)
  --sandbox     run what is not trusted: no files but those named, no processes, no bytecode
    --memory 256M --timeout 30      at most so much memory, so many seconds (these if not given)
    --read PATH --write PATH        a file or a folder that can be read; or written, too (may be repeated)
  -v, --version print the version
  -h, --help    print this
Without a script: a prompt on a terminal, else the script is standard input.
Exit codes: 0 fine, 1 failed, 2 wrong usage, 124 --timeout, 130 Ctrl-C. LSTM_TRACE=1 shows the whole traceback.
]]
  return table.concat(lines, "\n")
end

return commands
