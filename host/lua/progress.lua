-- progress.lua: tells a person how far a long job is.
--
-- On a terminal: one line on stderr that is rewritten at most ten times a second and never wraps. Elsewhere (a pipe,
-- a log, TERM=dumb): no control characters, one line for each report and one every 30 seconds. stdout is left to the
-- script. NO_COLOR turns colour off; a locale that is not UTF-8 gets an ASCII bar.

local options = require "lstm.options"

local progress = {}
local Bar = require "lstm.methods".guard({}, "progress", {"total", "budget", "rate", "closed", "last_done"})
Bar.__index = Bar
Bar.__name = "lstm.progress"

local REDRAW, REPORT, SILENCE = 0.1, 1, 30        -- seconds between redraws, report lines, lines of a log
local HORIZON = 5                                 -- seconds over which the rate is smoothed

--- Whether text for a stream may be coloured: it is a terminal, not a dumb one, and NO_COLOR is not set.
-- stream: 1 stdout, 2 stderr (default).
function progress.color(stream)
  if (os.getenv("NO_COLOR") or "") ~= "" or os.getenv("TERM") == "dumb" then return false end
  return require("lstm.core").isatty(stream or 2)
end

--- How many columns the terminal has; 80 where there is none.
function progress.columns()
  return require("lstm.core").columns() or 80
end

-- Where lines go and what time it is; tests pass their own.
local function terminal()
  local core = require "lstm.core"
  local tty = core.isatty(2) and os.getenv("TERM") ~= "dumb"
  return {
    write = core.eprint, now = core.now, columns = core.columns, tty = tty,
    color = progress.color(2),
    utf8 = require("lstm.utf").terminal(),
  }
end

--- A progress line.
-- opts: title "", total (how many there are, nil where unknown), unit "step", start 0 (already done, for a resumed
--   run), budget (seconds: the bar then follows the clock instead of the count), verbose 1 (0 silent, 1 one line,
--   2 also keeps a line for every report), sink (where to write; default the terminal).
-- Raises on unknown options.
function progress.new(opts)
  opts = options.check(opts, {
    title = "", total = {type = "number", min = 0}, unit = "step", start = 0, budget = {type = "number", above = 0},
    verbose = {type = "integer", default = 1, min = 0, max = 2}, sink = {type = "table"},
  }, "progress")
  local bar = setmetatable(opts, Bar)
  bar.sink = bar.sink or terminal()
  bar.began = bar.sink.now()
  bar.done, bar.values, bar.curve, bar.drawn = bar.start, {}, {}, 0
  bar.rate_at, bar.rate_done = bar.began, bar.start
  bar.last_draw, bar.last_line = -math.huge, bar.began
  return bar
end

-- 75 -> "1:15", 3700 -> "1:01:40".
local function clock(seconds)
  if seconds ~= seconds or seconds >= 360000 then return "?" end
  seconds = math.floor(seconds + 0.5)
  local h, m, s = math.floor(seconds / 3600), math.floor(seconds / 60) % 60, seconds % 60
  if h > 0 then return ("%d:%02d:%02d"):format(h, m, s) end
  return ("%d:%02d"):format(m, s)
end

-- Figures of a steady width: 1.234, 12.35, 2e-03.
local function figure(value)
  if value ~= value then return "nan" end
  local size = math.abs(value)
  if size ~= 0 and (size < 1e-3 or size >= 1e5) then return ("%.3g"):format(value) end
  if value == math.floor(value) and size >= 10 then return ("%.0f"):format(value) end
  return (size < 10 and "%.4f" or "%.2f"):format(value)
end

local order = {"epoch", "loss", "val_loss", "accuracy", "perplexity", "rmse", "mae", "f1", "esr", "best", "norm", "lr"}
local short = {val_loss = "val"}

local dearest = {"loss", "val_loss"}              -- where there is no room for all

local function value_text(name, value)
  return (short[name] or name) .. " " .. (name == "epoch" and ("%.0f"):format(value) or figure(value))
end

-- The names of the values, the usual ones first.
local function names_of(values)
  local names, rest, usual = {}, {}, {}
  for _, name in ipairs(order) do
    usual[name] = true
    if values[name] then names[#names + 1] = name end
  end
  for name in pairs(values) do
    if not usual[name] then rest[#rest + 1] = name end
  end
  table.sort(rest)
  for _, name in ipairs(rest) do names[#names + 1] = name end
  return names
end

-- "  loss 1.2340  val 1.3010": as many values as fit into `room`; the losses are the last to be left out.
local function value_texts(values, room)
  local names, fits = names_of(values), {}
  local function try(name)
    if fits[name] or not values[name] then return end
    local text = "  " .. value_text(name, values[name])
    if #text > room then return end
    fits[name], room = text, room - #text
  end
  for _, name in ipairs(dearest) do try(name) end
  for _, name in ipairs(names) do try(name) end
  for i, name in ipairs(names) do names[i] = fits[name] or "" end
  return table.concat(names)
end

local function width_of(text)
  local _, continuation = text:gsub("[\128-\191]", "")
  return #text - continuation
end

-- The rate in units per second, smoothed; nil before there is one.
function Bar:measure(now)
  local dt = now - self.rate_at
  if dt < 0.05 or self.done == self.rate_done then return self.rate end
  local recent = (self.done - self.rate_done) / dt
  local keep = math.exp(-dt / HORIZON)
  local share = self.rate and keep or 0
  self.rate = share * (self.rate or 0) + (1 - share) * recent
  self.rate_at, self.rate_done = now, self.done
  return self.rate
end

-- How much is done (0..1, nil where unknown) and how many seconds are left (nil where unknown).
function Bar:share(now)
  if self.budget then
    local spent = now - self.began
    return math.min(1, spent / self.budget), math.max(0, self.budget - spent)
  end
  if not self.total or self.total == 0 then return nil end
  local left = self.rate and self.rate > 0 and (self.total - self.done) / self.rate
  return math.min(1, self.done / self.total), left
end

-- "840/2000 steps [0:12<0:16, 69/s]"; brief 1: without the unit and the rate; brief 2: without the times.
function Bar:counts(now, brief)
  local _, left = self:share(now)
  local text = ("%.0f"):format(self.done)
  if self.total and not self.budget then text = text .. "/" .. ("%.0f"):format(self.total) end
  if brief == 2 then return text end
  if not brief then text = text .. " " .. self.unit .. (self.total == 1 and "" or "s") end
  text = text .. " [" .. clock(now - self.began)
  if left and self.done < (self.total or math.huge) then text = text .. "<" .. clock(left) end
  if self.rate and not brief then
    local form = self.rate < 1 and "%.3g s each" or self.rate < 100 and "%.3g/s" or "%.0f/s"
    text = text .. ", " .. form:format(self.rate < 1 and 1 / self.rate or self.rate)
  end
  return text .. "]"
end

local function drawn_bar(share, cells, sink)
  local full = math.floor(share * cells + 0.5)
  local on, off = "#", "."
  if sink.utf8 then on, off = "\226\148\129", "\226\148\128" end      -- heavy and light horizontal line
  local left, right = on:rep(full), off:rep(cells - full)
  if sink.color then left, right = "\27[36m" .. left .. "\27[0m", "\27[2m" .. right .. "\27[0m" end
  return left .. right
end

local CELLS = 12                                  -- of the small curve

-- The last values of the curve as a small picture, or "" where there is no room or none can be drawn.
function Bar:spark(room)
  local n = #self.curve
  if not self.sink.utf8 or n < 3 or room < CELLS + 2 then return "" end
  local fine, draw = pcall(function() return require("lstm").spark end)
  if not fine or not draw then return "" end
  local values, positive = {}, true
  for i = math.max(1, n - CELLS + 1), n do
    values[#values + 1], positive = self.curve[i], positive and self.curve[i] > 0
  end
  for i, value in ipairs(values) do values[i] = positive and math.log(value) or value end    -- or the first hides all
  local text = draw(values)
  return width_of(text) <= CELLS and "  " .. text or ""
end

-- What the losses need.
function Bar:losses()
  local width = 0
  for _, name in ipairs(dearest) do
    if self.values[name] then width = width + 2 + #value_text(name, self.values[name]) end
  end
  return width
end

-- The line, no wider than `columns`. What does not fit is left out: the bar, the curve, values but the losses, the
-- title, the rate, the times.
function Bar:line(now, columns, with_bar)
  local share = self:share(now)
  local head = self.title ~= "" and self.title .. " " or ""
  if share then head = head .. ("%3.0f%% "):format(math.floor(share * 100)) end
  local tail, losses = self:counts(now), self:losses()
  if losses > 0 and share and width_of(head) + width_of(tail) + losses > columns then
    head = head:sub(#self.title + (self.title ~= "" and 2 or 1))
  end
  for brief = 1, 2 do
    if width_of(head) + width_of(tail) + losses > columns then tail = self:counts(now, brief) end
  end
  tail = tail .. value_texts(self.values, columns - width_of(head) - width_of(tail))
  if with_bar then tail = tail .. self:spark(columns - width_of(head) - width_of(tail)) end
  local room = columns - width_of(head) - width_of(tail) - 1
  if with_bar and share and room >= 5 then
    return head .. drawn_bar(share, math.min(room, 20), self.sink) .. " " .. tail,
      width_of(head) + math.min(room, 20) + 1 + width_of(tail)
  end
  local text = head .. tail
  if width_of(text) > columns then text = text:gsub("[\128-\255]", "?"):sub(1, columns) end
  return text, width_of(text)
end

function Bar:redraw(now)
  local columns = math.max(10, (self.sink.columns() or 80) - 1)       -- the last column makes some terminals wrap
  local text, width = self:line(now, columns, true)
  self.sink.write("\r" .. text .. (" "):rep(math.min(columns, self.drawn) - width))
  self.drawn, self.last_draw = width, now
end

-- A line that stays. On a terminal it replaces the drawn one.
function Bar:keep(text, now)
  options.argument(text, "string", "progress: the line")
  if self.drawn > 0 then
    text = "\r" .. text .. (" "):rep(self.drawn - width_of(text))
    self.drawn = 0
  end
  self.sink.write(text .. "\n")
  self.last_line = now
end

local function check_done(done, values)
  options.argument(done, "number", "progress: how many are done")
  if values ~= nil then options.argument(values, "table", "progress: the values to show") end
end

--- Tells how many are done. Cheap: it may be called for every step; the line is redrawn when it is time.
-- done: a count from 0 to total. values: optional table of numbers to show (loss, val_loss, lr, ...); they stay
-- until they are replaced.
function Bar:update(done, values)
  check_done(done, values)
  self.done = done
  for name, value in pairs(values or {}) do self.values[name] = value end
  if self.verbose == 0 then return end
  local now = self.sink.now()
  if self.sink.tty then
    if now - self.last_draw >= REDRAW then
      self:measure(now)
      self:redraw(now)
    end
  elseif now - self.last_line >= SILENCE then
    self:measure(now)
    self:keep(self:line(now, 200, false), now)
  end
end

--- Tells of something worth a line in a log: a validation, an epoch. values: as for update.
-- Not on a terminal, lines closer than a second are left out (verbose 2 keeps them all).
function Bar:report(done, values)
  check_done(done, values)
  self.done = done
  for name, value in pairs(values or {}) do self.values[name] = value end
  local loss = values and (values.val_loss or values.loss)
  if loss and loss == loss and math.abs(loss) < math.huge then self.curve[#self.curve + 1] = loss end
  if self.verbose == 0 then return end
  local now = self.sink.now()
  self:measure(now)
  if self.verbose == 2 or not self.sink.tty and now - self.last_line >= REPORT then
    self:keep((self:line(now, 200, false)), now)
    self.last_done = done
  elseif self.sink.tty then
    self:redraw(now)
  end
end

--- Writes a line of text above the progress line (verbose 0: nothing).
function Bar:say(text)
  if self.verbose == 0 then return end
  self:keep(text, self.sink.now())
end

--- Seconds since the line was made.
function Bar:elapsed() return self.sink.now() - self.began end

--- Whether the budget is spent (false without one).
function Bar:over() return self.budget ~= nil and self:elapsed() >= self.budget end

--- Ends the line: draws it a last time and leaves it standing. May be called twice.
function Bar:close()
  if self.closed then return end
  self.closed = true
  if self.verbose == 0 then return end
  local now = self.sink.now()
  self:measure(now)
  if self.sink.tty then
    self:redraw(now)
    self.sink.write("\n")
    self.drawn = 0
  elseif self.last_done ~= self.done then
    self:keep((self:line(now, 200, false)), now)
  end
end

Bar.__close = Bar.close

--- Counts from 1 to n with a progress line: `for i, bar in lstm.progress(n, "reading") do ... end`.
-- Leaving the loop early closes the line (Lua 5.4).
local function count(_, n, title)
  local bar = progress.new{total = n, title = title or ""}
  local function advance(_, i)
    bar:update(i)
    if i < n then return i + 1, bar end
    bar:close()
    return nil
  end
  return advance, nil, 0, bar
end

return setmetatable(progress, {__call = count})
