-- Every public function and method, called with arguments that make no sense: what it raises names the user's line,
-- says which function and what was wrong, and nothing of the host's own Lua or C shows through.

local lu = require "luaunit"
local lstm = require "lstm"

local stubs = assert(lstm.readfile "host/lstm.d.lua")

-- [The objects]

local function network() return lstm.model{input = 1, hidden = 2, output = 1, read = "all", seed = 1} end

local rows = lstm.table{{1, 2}, {3, 4}, {5, 7}, {7, 8}}
local vocab = lstm.vocab "abcd"

-- Each makes a new object, as some calls change it.
local makers = {
  Array = function() return lstm.zeros{3, 2} end,
  Tokens = function() return vocab:encode "abcabcdd" end,
  Vocab = function() return vocab end,
  Table = function() return rows end,
  Windows = function() return rows:windows{look_back = 1} end,
  Scaler = function() return lstm.minmax(rows) end,
  Sequences = function() return lstm.sequences{x = {{1}, {2, 3}}, y = {1, 2}} end,
  Model = function() return lstm.model{input = 1, hidden = 2, output = {"a", "b"}, seed = 1} end,
  State = function() return network():state() end,
  Trainer = function() return network():trainer{} end,
  Lesson = function()
    return assert(network():lesson({x = lstm.zeros{2, 3, 1}, y = lstm.zeros{2, 3, 1}}, {epochs = 1}))
  end,
  Pair = function() return lstm.seq2seq{encoder = network(), decoder = network()} end,
  History = function() return lstm.history.new() end,
  Bar = function() return lstm.progress.new{verbose = 0} end,
  Rng = function() return lstm.rng(1) end,
  Trials = function()
    local windows = rows:windows{look_back = 1, target = "1"}
    return assert(lstm.search{space = {lr = {0.1}}, data = windows, validation = windows, fit = {steps = 1},
      model = {input = 2, hidden = 1, output = 1}, verbose = 0})
  end,
  Confusion = function() return lstm.metrics.confusion({"a", "b"}, {"a", "a"}) end,
}

-- Calls that end the program, print, or are the progress line's own: they are told the time.
local left_out = {["lstm.args.stop"] = true, ["lstm.help"] = true, ["Bar:measure"] = true, ["Bar:counts"] = true,
  ["Bar:line"] = true, ["Bar:redraw"] = true, ["Bar:share"] = true, ["Bar:keep"] = true, ["Bar:say"] = true}

-- A function and the object that it is a method of.
local function resolve(name)
  local owner, method = name:match "^(%u%w*)[:.]([%w_]+)$"
  if owner then
    local object = assert(makers[owner], "no maker of " .. owner)()
    return object[method], object
  end
  local value = lstm
  for key in name:gsub("^lstm%.", ""):gmatch "[%w_]+" do value = value[key] end
  return value
end

local function public_names()
  local names = {}
  for name in ("\n" .. stubs):gmatch "\nfunction ([%w_.:]+)%(" do
    if not left_out[name] then names[#names + 1] = name end
  end
  for name in ("\n" .. stubs):gmatch "%-%-%-@overload fun[^\n]*\n(lstm[%w_.]*) = {}" do names[#names + 1] = name end
  return names
end

-- [The arguments]

local BAD = "/nonexistent/folder/x"
local NONE = {}                                                  -- stands for nil inside lists

local wrong = {
  {}, {NONE}, {-1}, {0.5}, {BAD}, {{}}, {true}, {print}, {{{}}}, {{1, "x"}}, {0 / 0}, {io.stdout}, {{x = 1}},
  {BAD, BAD}, {{}, {}}, {-1, -1}, {{}, -1}, {{}, BAD}, {BAD, {}}, {1, {}}, {1, 2, 3}, {1, {qqqqqq = 1}},
  {BAD, {qqqqqq = 1}}, {{}, {qqqqqq = 1}}, {lstm.zeros(2)}, {lstm.zeros(2), lstm.zeros(3)}, {lstm.zeros(2), {}},
  {lstm.zeros{2, 2}, BAD},
  {rows, -1}, {rows, BAD}, {rows, {qqqqqq = 1}}, {vocab, vocab}, {network(), {}}, {network(), -1}, {math.huge},
  {lstm.zeros(2, "int32"), lstm.zeros(2)},
}

local function text_of(arguments)
  local parts = {}
  for i = 1, #arguments do
    local value = arguments[i]
    parts[i] = value == NONE and "nil" or type(value) == "string" and ("%q"):format(value)
      or type(value) == "userdata" and "userdata" or lstm.show(value):gsub("%s+", " ")
  end
  return "(" .. table.concat(parts, ", ") .. ")"
end

-- What must not be read in a message.
local internal = {"lstm/", "bad argument #", "attempt to ", "%.c:", "stack traceback", "lstm%.core", "nil value",
  "upvalue", "table: 0x", "userdata: 0x", "function: 0x"}

local function flaw(message)
  if type(message) ~= "string" then return "not a string: " .. tostring(message) end
  for _, pattern in ipairs(internal) do
    if message:find(pattern) then return pattern end
  end
  if message == "" then return "empty" end
end

local call = assert(load("local f, n, a, b, c, d = ...\n"
  .. "local x, y, z\nif n == 0 then x, y, z = f()\nelseif n == 1 then x, y, z = f(a)\n"
  .. "elseif n == 2 then x, y, z = f(a, b)\nelseif n == 3 then x, y, z = f(a, b, c)\n"
  .. "else x, y, z = f(a, b, c, d) end\nreturn x, y, z", "=user.lua"))

-- Calls with the arguments; nil, or what is wrong with the message.
local function try(name, arguments)
  local f, object = resolve(name)
  local list, n = {}, 0
  if object then list[1], n = object, 1 end
  for _, value in ipairs(arguments) do
    n = n + 1
    if value ~= NONE then list[n] = value end
  end
  local ok, first, message = pcall(call, f, n, list[1], list[2], list[3], list[4])
  if not ok then
    local problem = flaw(first)
    if not problem and not first:find "^user%.lua:%d+: " then problem = "the line of the user" end
    return problem and ("%s%s: %s [%s]"):format(name, text_of(arguments), tostring(first), problem)
  elseif first == nil and message ~= nil and type(message) == "string" then
    local problem = flaw(message)
    return problem and ("%s%s: nil, %s [%s]"):format(name, text_of(arguments), message, problem)
  end
end

-- The first flaw of each function.
local function flaws_of(names)
  local list = {}
  for _, name in ipairs(names) do
    for _, arguments in ipairs(wrong) do
      local problem = try(name, arguments)
      if problem then
        list[#list + 1] = problem
        if not os.getenv "LSTM_ALL" then break end
      end
    end
  end
  return list
end

local TestWrongUses = {}

function TestWrongUses.testEveryFunction()
  local words = arg
  arg = {[0] = "user.lua"}                                       -- luacheck: ignore 121 (what lstm.args reads)
  local flaws = flaws_of(public_names())
  arg = words                                                    -- luacheck: ignore 121
  lu.assertEquals(table.concat(flaws, "\n"), "")
end

function TestWrongUses.testTheTestSeesFlaws()
  lu.assertEquals(flaw "lstm/model.lua:3: x", "lstm/")
  lu.assertEquals(flaw "bad argument #1 to 'x'", "bad argument #")
  lu.assertEquals(flaw "user.lua:3: attempt to index a nil value", "attempt to ")
  lu.assertNil(flaw 'user.lua:3: model: unknown option "x"')
end

local code = lu.LuaUnit.new():runSuiteByInstances{{"TestWrongUses", TestWrongUses}}
for _, name in ipairs{"-1", "0.5", "1", "nan", "inf", "-nan", "1e308"} do os.remove(name) end
os.exit(code, true)
